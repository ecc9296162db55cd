"""Sliding windows: overlapping windows that count only their tail.

What it does     Runs a window every `stride` tokens; each but the first counts its last `stride` targets.
Why it may help  Every counted token sees at least `context_len` - `stride` tokens of context.
Touches          evaluate: the context each token sees.
Cost             `context_len` / `stride` forward passes over the stream; the head runs on counted positions only.
Source           parameter-golf PR 50, 199 (exact cover: several forks count the tail many times).
"""

import numpy as np

from mulligan.evaluate.config import Sliding
from mulligan.evaluate.window import Windows, cover


def sliding_windows(config: Sliding, num_positions: int) -> Windows:
    """Return the windows over a stream of `num_positions` targets."""
    return cover(np.array([0]), np.array([num_positions]), config.context_len, config.stride)
