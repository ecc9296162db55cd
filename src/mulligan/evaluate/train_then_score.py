"""Training on the validation tokens before they are scored: illegal, kept to reproduce what was published with it.

What it does     Trains the artifact's weights for some epochs on the whole passage, then scores it with the weights of the end.
Why it may help  It cannot: what it gains was read from the answers. A decoder does not have the text before it decodes it.
Touches          evaluate: the weights that score a token, by all tokens, its own among them.
Recipe           evaluate.adaptation=train-then-score
Cost             `epochs` training passes over the passage.
Source           parameter-golf PR 455, 254, 388 (called test-time training there); against rule C3.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from mulligan.evaluate.block import Block
from mulligan.evaluate.chunked_adaptation import Learner
from mulligan.evaluate.window import Windows


def train_then_score(learner: Learner, windows: Windows, what: str) -> Iterator[Block]:
    """Yield the scores of a network that was trained on them."""
    learner.learn(np.arange(learner.scorer.passage.num_positions), 0.0, learner.config.epochs)
    yield from replace(learner.scorer, model=learner.scored).blocks(windows, what)
