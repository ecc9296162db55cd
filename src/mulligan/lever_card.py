"""The cards of the levers: read from the docstrings of the lever files, without importing them.

`mulligan levers`, docs/levers.md and the contract "is documented" all read these.
"""

import ast
import re
from dataclasses import dataclass
from importlib import resources

HEADINGS = ("What it does", "Why it may help", "Touches", "Cost", "Source")
PUBLISHED = "Published"
RECIPE = "Recipe"
STAGES = ("data", "model", "train", "average", "quantize", "pack", "evaluate")


@dataclass(frozen=True)
class Card:
    """One lever: its file's name, its stage (folder), the first sentence of its docstring, and the five headings.

    Published gives effects that were published, where there are any; Recipe where a recipe says it, if not under that name.
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
    card = card_in(name, stage, docstring)
    for heading in HEADINGS:
        if not card.headings.get(heading):
            raise ValueError(f"{stage}/{name}.py: the card has no {heading!r}. A lever file has: {', '.join(HEADINGS)}.")
    return card


def card_in(name: str, stage: str, docstring: str) -> Card:
    """Return what there is of a card in a docstring."""
    title, _, body = docstring.partition("\n")
    pattern = "|".join(re.escape(heading) for heading in (*HEADINGS, PUBLISHED, RECIPE))
    parts = re.split(rf"^({pattern})\s+", body, flags=re.MULTILINE)
    headings = zip(parts[1::2], parts[2::2], strict=True)
    return Card(name, stage, title.strip(), {heading: " ".join(text.split("\n\n")[0].split()) for heading, text in headings})
