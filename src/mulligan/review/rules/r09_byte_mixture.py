"""Mixtures over the bytes of the token that came

What it finds
    A model of bytes that is asked only for the bytes of the token that came, mixed byte by byte with the token's own score
    that was divided among them.
Why it matters
    A token's probability shared out among its bytes is no distribution over next bytes: the mixture does not sum to one over
    the tokens that might have come.
Example
    `a = log_p_token / n_bytes`, `b = ppm.log_p(byte)`, `log(exp(a) / 2 + exp(b) / 2)` for each byte.
What it cannot see
    Models of bytes in compiled code.
Source
    Rule R9; issue 1872 of the challenge's repository; condition C2.
"""

from collections.abc import Iterator

from mulligan.review.finding import Finding, NotChecked
from mulligan.review.subject import Subject
from mulligan.review.told import told

CODE = "R9"


def check(subject: Subject) -> Iterator[Finding | NotChecked]:
    """Yield the lines that ask for a byte."""
    yield from told(subject, CODE, lambda fault: "byte_ppm" if fault.rule == CODE else None)
