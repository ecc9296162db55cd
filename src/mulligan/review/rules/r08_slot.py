"""Tensors fitted on the targets that they score

What it finds
    A tensor made during evaluation (a shift of hidden states, a bias of logits) that is fitted by gradient on targets which
    are then scored with it.
Why it matters
    What is added to the logits of a window was chosen with the window's own answers: the score of one token depends on others
    that come after it and on itself.
Example
    `delta = torch.zeros(..., requires_grad=True)`; eight steps on the window's loss; the window's loss again is the score.
What it cannot see
    Closed-form fits without a gradient; a mask that keeps the scored targets out of the loss is not understood and is
    taken for none.
Source
    Rule R8; condition C1; issue 1336 of the challenge's repository.
"""

from collections.abc import Iterator

from mulligan.review.finding import Finding, NotChecked
from mulligan.review.subject import Subject
from mulligan.review.told import told

CODE = "R8"


def check(subject: Subject) -> Iterator[Finding | NotChecked]:
    """Yield the lines of such fits."""
    yield from told(subject, CODE, lambda fault: "slot" if fault.rule == CODE else None)
