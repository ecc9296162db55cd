"""The cards of the levers: read from the docstrings of the lever files, without importing them.

`mulligan levers`, docs/levers.md and the contract "is documented" all read these.
"""

import ast
import re
from dataclasses import dataclass
from importlib import resources

HEADINGS = ("What it does", "Why it may help", "Touches", "Cost", "Source")
PUBLISHED = "Published"
STAGES = ("data", "model", "train", "average", "quantize", "pack", "evaluate")


@dataclass(frozen=True)
class Card:
    """One lever: its file's name, its stage (folder), the first sentence of its docstring, and the five headings.

    A sixth, Published, gives effects that were published, where there are any.
    """

    name: str
    stage: str
    title: str
    headings: dict[str, str]


def find_cards() -> list[Card]:
    """Return the cards of all lever files, by stage and name. A file with some of the headings but not all is an error."""
    cards = []
    for stage in STAGES:
        files = (path for path in resources.files(f"mulligan.{stage}").iterdir() if path.name.endswith(".py"))
        for path in sorted(files, key=lambda path: path.name):
            docstring = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
            if HEADINGS[0] in docstring:
                cards.append(read_card(path.name.removesuffix(".py"), stage, docstring))
    return cards


def read_card(name: str, stage: str, docstring: str) -> Card:
    """Return the card in a docstring, without paragraphs after it; ValueError names a heading that is missing or empty."""
    title, _, body = docstring.partition("\n")
    pattern = "|".join(re.escape(heading) for heading in (*HEADINGS, PUBLISHED))
    parts = re.split(rf"^({pattern})\s+", body, flags=re.MULTILINE)
    headings = {
        heading: " ".join(text.split("\n\n")[0].split()) for heading, text in zip(parts[1::2], parts[2::2], strict=True)
    }
    for heading in HEADINGS:
        if not headings.get(heading):
            raise ValueError(f"{stage}/{name}.py: the card has no {heading!r}. A lever file has: {', '.join(HEADINGS)}.")
    return Card(name, stage, title.strip(), headings)


def cards_as_markdown(cards: list[Card]) -> str:
    """Return docs/levers.md."""
    lines = ["# Levers", "", "Generated from the lever files by `docs/generate_levers.py`; do not edit.", ""]
    for stage in STAGES:
        of_stage = [card for card in cards if card.stage == stage]
        lines += [f"## {stage}", ""] if of_stage else []
        for card in of_stage:
            lines += [f"### {card.name}", "", card.title, ""]
            lines += [f"- **{heading}**: {text}" for heading, text in card.headings.items()]
            lines += [""]
    return "\n".join(lines).rstrip() + "\n"
