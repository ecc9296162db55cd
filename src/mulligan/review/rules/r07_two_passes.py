"""Counts of tokens that are scored with them

What it finds
    A table that was filled with the very tokens that are then scored with its help: two passes over the stream, a rescoring
    with the full cache, an update that comes before the score of its own tokens.
Why it matters
    The second pass scores what the first has learned; its end is a score of nothing at all.
Example
    `cache.build(tokens)` over the whole stream, then `cache.score(tokens)`.
What it cannot see
    Passes that meet through files that it cannot tell apart.
Source
    Rule R7; the organisers' ruling of 2026-03-27; condition C4.
"""

from collections.abc import Iterator

from mulligan.review.finding import Finding, NotChecked
from mulligan.review.subject import Subject
from mulligan.review.told import told

CODE = "R7"


def check(subject: Subject) -> Iterator[Finding | NotChecked]:
    """Yield the lines that fill such a table."""
    yield from told(subject, CODE, lambda fault: "two_pass" if fault.rule == CODE else None)
