"""A rule of the review: its card, in the module's docstring, and its check."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mulligan.review.finding import Finding, NotChecked
from mulligan.review.subject import Subject

Check = Callable[[Subject], Iterator[Finding | NotChecked]]


@dataclass(frozen=True)
class Rule:
    """`code`: R1 to R13. `card`: five headings in Markdown, those of `card.HEADINGS`."""

    code: str
    title: str
    card: str
    check: Check
