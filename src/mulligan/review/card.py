"""A rule from its module: the card stands in the docstring, a title and five headings, each at the start of a line."""

import inspect
import re
from types import ModuleType

from mulligan.review.rule import Rule

HEADINGS = ("What it finds", "Why it matters", "Example", "What it cannot see", "Source")
_HEADING = re.compile(rf"^[#*\-\s]*({'|'.join(HEADINGS)})(?:\*\*)?:?(?=\s|$)", re.MULTILINE)


def rule_of(module: ModuleType) -> Rule:
    """Return a module's rule; ValueError names what its card lacks."""
    title, _, body = inspect.cleandoc(module.__doc__ or "").partition("\n")
    parts = _HEADING.split(body)
    said = {heading: " ".join(text.split()) for heading, text in zip(parts[1::2], parts[2::2], strict=True)}
    missing = [heading for heading in HEADINGS if not said.get(heading)]
    if missing or not title:
        raise ValueError(
            f"{module.__name__}: the card has no {', '.join(missing) or 'title'}. A rule has: {', '.join(HEADINGS)}."
        )
    card = "\n".join(f"- **{heading}**: {said[heading]}" for heading in HEADINGS)
    return Rule(module.CODE, title.strip().rstrip("."), card, module.check)
