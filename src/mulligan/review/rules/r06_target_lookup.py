"""Tables that are asked for the target alone

What it finds
    A table of counts of validation or training tokens that is looked up at an index that holds the target, or at one that
    joins a context with the token that followed it, and whose answer is mixed with the target's own score: nothing says that
    such a mixture sums to one over the vocabulary. A table's answer that is used or left out by the kind of the target
    itself. The better of two predictions kept for each token once it is known.
Why it matters
    With hashed counts the lookup is a ratio of collisions; summed over the vocabulary it was measured at hundreds instead of
    one. A table that gives a whole distribution, mixed before the target is read, is allowed and is not found.
Example
    `full[hash(context) ^ target * prime] / ctx[hash(context)]`, blended with `exp(-nll)`.
What it cannot see
    Tables and gates in compiled code.
Source
    Rule R6; the organisers' ruling of 2026-03-27; condition C2.
"""

from collections.abc import Iterator

from mulligan.review.finding import Category, Finding, NotChecked
from mulligan.review.subject import Subject
from mulligan.review.told import told

CODE = "R6"
KINDS: dict[str, Category] = {
    "ngram_cache": "ngram_cache",
    "ngram_target_gating": "ngram_target_gating",
    "oracle_selection": "oracle_selection",
}


def check(subject: Subject) -> Iterator[Finding | NotChecked]:
    """Yield the lines of such lookups and choices."""
    yield from told(subject, CODE, lambda fault: KINDS.get(fault.category) if fault.rule == CODE else None)
