"""`mulligan levers`: every lever, stage by stage, from the cards in their files, and what a recipe may say of them."""

from pathlib import Path
from typing import TYPE_CHECKING

from cyclopts import App

from mulligan.cli.setting import AsJson, lever_options

if TYPE_CHECKING:
    from mulligan.choice import Choice
    from mulligan.lever_card import Card

app = App(name="levers")


@app.default
def levers(name: str | None = None, /, *, json: AsJson = False) -> int:
    """List every lever in a line each with what can be written for it, or show the lever NAME: its card, where a recipe says
    it, and a line that switches it on."""
    from mulligan.lever_card import find_cards
    from mulligan.lever_file import user_cards

    cards = [*find_cards(), *user_cards()]
    if name is None:
        _list(cards, as_json=json)
    elif kinds := _kinds_called(name, cards):
        _show_kinds(kinds, as_json=json)
    else:
        _show(_named(name, cards), as_json=json)
    return 0


def _kinds_called(name: str, cards: list["Card"]) -> list["Choice"]:
    """Return the kinds called so that no card stands for, such as the scale rules of the grid."""
    from mulligan.choice import choices
    from mulligan.lever_place import find_places
    from mulligan.recipe import Recipe

    on_cards = {word for card in cards for place in find_places(card) for word in (*place.values, card.name)}
    return [choice for choice in choices(Recipe) if choice.value == name and name not in on_cards]


def _show_kinds(kinds: list["Choice"], *, as_json: bool) -> None:
    from dataclasses import asdict

    from mulligan.cli.terminal import out, print_json

    if as_json:
        print_json({"choices": [asdict(choice) for choice in kinds]})
        return
    for choice in kinds:
        out.print(f"{choice.path} = {choice.value}  {choice.text}")
        out.print(f"  Settings         {_settings(choice.settings) or 'none'}")


def _list(cards: list["Card"], *, as_json: bool) -> None:
    from dataclasses import asdict

    from mulligan.choice import choices
    from mulligan.cli.terminal import out, print_json, print_table
    from mulligan.recipe import Recipe

    if as_json:
        print_json({"levers": [_said(card) for card in cards], "choices": [asdict(choice) for choice in choices(Recipe)]})
        return
    print_table("Levers", ["stage", "lever", "what it is"], [[card.stage, card.name, card.title] for card in cards])
    rows = [[choice.path, choice.value, _settings(choice.settings), choice.text] for choice in choices(Recipe)]
    print_table("What a recipe may say", ["path", "kind or value", "settings", ""], rows)
    out.print("next       mulligan levers NAME" + lever_options())


def _said(card: "Card") -> dict[str, str]:
    return {"name": card.name, "stage": card.stage, "title": card.title, **card.headings}


def _show(cards: list["Card"], *, as_json: bool) -> None:
    from dataclasses import asdict

    from mulligan.cli.terminal import out, print_json
    from mulligan.lever_place import EXAMPLE, card_lines, find_places

    if as_json:
        places = [{"places": [asdict(place) for place in find_places(card)]} for card in cards]
        print_json({"levers": [{**_said(card), **where} for card, where in zip(cards, places, strict=True)]})
        return
    for card in cards:
        out.print(f"{card.stage}/{card.name}  {card.title}")
        for heading, text in card_lines(card):
            out.print(f"  {heading:<16} {text}{lever_options() if heading == EXAMPLE else ''}")


def _named(name: str, cards: list["Card"]) -> list["Card"]:
    """Return the cards called `name`; ValueError with the nearest name, or with the lever that has a kind called so."""
    import difflib

    from mulligan.lever_place import find_places

    found = [card for card in cards if card.name.replace("-", "_") == name.replace("-", "_")]
    if found:
        return found
    meant = {word: card.name for card in cards for place in find_places(card) for word in place.values}
    meant |= {card.name: card.name for card in cards}
    near = [meant[word] for word in difflib.get_close_matches(name, meant, n=1)]
    raise ValueError(
        f"No lever is called {name!r}. "
        + "".join(f"Did you mean {word!r}? " for word in near)
        + f"There are: {', '.join(card.name for card in cards)}; one of your own is known with --lever FILE.py."
    )


def _settings(settings: dict[str, object]) -> str:
    return ", ".join(f"{name} {value}" if value == "(required)" else f"{name} = {value}" for name, value in settings.items())


@app.command
def check(file: Path, /, *, json: AsJson = False) -> int:
    """Run the contracts on the levers in FILE, a Python file of your own; exit code 1 when one fails.

    Contracts that fail of one cause stand together, with the line of FILE that raised it.
    """
    from dataclasses import asdict
    from tempfile import TemporaryDirectory

    from mulligan.cli.terminal import out, print_json
    from mulligan.lever_check import check_lever_file

    with TemporaryDirectory(prefix="mulligan-levers-") as folder:
        findings = check_lever_file(file, Path(folder))
    failed = sum(not finding.holds for finding in findings)
    if json:
        print_json({"findings": [asdict(finding) for finding in findings], "failed": failed})
    else:
        for finding in findings:
            if finding.holds:
                out.print(f"holds      {finding.lever}: {finding.contract}")
        for cause in dict.fromkeys(finding.cause for finding in findings if not finding.holds):
            alike = [finding for finding in findings if not finding.holds and finding.cause == cause]
            for finding in alike:
                out.print(f"FAILS      {finding.lever}: {finding.contract}")
            for line in filter(None, (*alike[0].why.splitlines(), alike[0].where)):
                out.print(f"           {line}")
        out.print(f"{len(findings) - failed} of {len(findings)} contracts hold")
    return int(failed > 0)
