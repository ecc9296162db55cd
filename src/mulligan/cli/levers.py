"""`mulligan levers`: every lever, stage by stage, from the cards in their files, and what a recipe may say of them."""

from pathlib import Path

from cyclopts import App

from mulligan.cli.setting import AsJson

app = App(name="levers")


@app.default
def levers(name: str | None = None, /, *, json: AsJson = False) -> int:
    """List every lever in a line each with what can be written for it, or show the whole card of the lever NAME."""
    from dataclasses import asdict

    from mulligan.choice import choices
    from mulligan.cli.terminal import out, print_json, print_table
    from mulligan.lever_card import find_cards
    from mulligan.recipe import Recipe

    cards = [card for card in find_cards() if name is None or card.name == name.replace("-", "_")]
    if not cards:
        known = ", ".join(card.name for card in find_cards())
        raise ValueError(f"No lever is called {name!r}. There are: {known}.")
    if json:
        listed = [{"name": c.name, "stage": c.stage, "title": c.title, **c.headings} for c in cards]
        print_json({"levers": listed} | ({} if name else {"choices": [asdict(choice) for choice in choices(Recipe)]}))
    elif name is None:
        print_table("Levers", ["stage", "lever", "what it is"], [[c.stage, c.name, c.title] for c in cards])
        rows = [[choice.path, choice.value, _settings(choice.settings), choice.text] for choice in choices(Recipe)]
        print_table("What a recipe may say", ["path", "kind or value", "settings", ""], rows)
        out.print("next       mulligan levers NAME")
    else:
        for card in cards:
            out.print(f"{card.stage}/{card.name}  {card.title}")
            for heading, text in card.headings.items():
                out.print(f"  {heading:<16} {text}")
    return 0


def _settings(settings: dict[str, object]) -> str:
    return ", ".join(f"{name} {value}" if value == "(required)" else f"{name} = {value}" for name, value in settings.items())


@app.command
def check(file: Path, /, *, json: AsJson = False) -> int:
    """Run the contracts on the levers in FILE, a Python file of your own; exit code 1 when one fails."""
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
            out.print(f"{'holds' if finding.holds else 'FAILS'}      {finding.lever}: {finding.contract}")
            if not finding.holds:
                out.print(f"           {finding.why}")
        out.print(f"{len(findings) - failed} of {len(findings)} contracts hold")
    return int(failed > 0)
