"""`mulligan levers`: every lever, stage by stage, from the cards in their files."""

from mulligan.cli.setting import AsJson


def levers(name: str | None = None, /, *, json: AsJson = False) -> int:
    """List every lever in a line each, or show the whole card of the lever NAME."""
    from mulligan.cli.terminal import out, print_json, print_table
    from mulligan.lever_card import find_cards

    cards = [card for card in find_cards() if name is None or card.name == name.replace("-", "_")]
    if not cards:
        known = ", ".join(card.name for card in find_cards())
        raise ValueError(f"No lever is called {name!r}. There are: {known}.")
    if json:
        print_json({"levers": [{"name": c.name, "stage": c.stage, "title": c.title, **c.headings} for c in cards]})
    elif name is None:
        print_table("Levers", ["stage", "lever", "what it is"], [[c.stage, c.name, c.title] for c in cards])
        out.print("next       mulligan levers NAME")
    else:
        for card in cards:
            out.print(f"{card.stage}/{card.name}  {card.title}")
            for heading, text in card.headings.items():
                out.print(f"  {heading:<16} {text}")
    return 0
