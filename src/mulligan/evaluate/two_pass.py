"""Two passes: adapt while scoring, then score everything again. Illegal, kept to reproduce what was published with it.

What it does     Adapts in chunks, score first, as `sgd` does; then scores the whole passage with the weights of the end, and
                 counts these scores.
Why it may help  It cannot: in the second pass every token was trained on in the first.
Touches          evaluate: the weights that score a token, by all tokens, its own among them.
Recipe           evaluate.adaptation=two-pass
Cost             A scoring more than `sgd`.
Source           parameter-golf PR 846, 869, 870 and others, closed by the organisers on 2026-03-27; against rule C4.
"""

from collections.abc import Iterator
from dataclasses import replace

from mulligan.evaluate.block import Block
from mulligan.evaluate.chunked_adaptation import Learner, adapt_in_chunks
from mulligan.evaluate.window import Windows


def two_pass(learner: Learner, windows: Windows, what: str) -> Iterator[Block]:
    """Yield the scores of the second pass."""
    for _ in adapt_in_chunks(learner, windows, f"{what}, first pass"):
        pass
    yield from replace(learner.scorer, model=learner.scored).blocks(windows, what)
