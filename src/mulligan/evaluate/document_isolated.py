"""Document-isolated windows: no token sees another document.

What it does     Sliding windows within each document; none starts before its BOS or runs past its last target, the next BOS.
Why it may help  The other documents are noise to a model that was trained on documents alone.
Touches          evaluate: the context each token sees.
Cost             As sliding, less what short documents save.
Source           parameter-golf PR 77 (PR 199's scorer runs into the next documents).
"""

import numpy as np

from mulligan.evaluate.config import DocumentIsolated
from mulligan.evaluate.window import Windows, cover
from mulligan.values.byte_table import IntArray


def document_isolated_windows(config: DocumentIsolated, starts: IntArray, num_positions: int) -> Windows:
    """Return the windows over documents that begin at `starts` in a stream of `num_positions` targets."""
    ends = np.append(starts[1:], num_positions)
    return cover(starts, np.minimum(ends, num_positions) - starts, config.context_len, config.stride)
