"""Windows as arrays: which tokens are run, and which of their targets are counted.

Position p reads token p and predicts token p + 1; N positions for N + 1 tokens. A window runs positions [start, stop)
and counts [first, stop); over all windows every position is counted exactly once.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mulligan.values.byte_table import IntArray
from mulligan.values.scores import Array


@dataclass(frozen=True)
class Windows:
    """`start`, `first` and `stop`, one entry a window, in stream order."""

    start: IntArray
    first: IntArray
    stop: IntArray

    def __getitem__(self, chosen: slice | IntArray) -> "Windows":
        """Return some of the windows."""
        return Windows(self.start[chosen], self.first[chosen], self.stop[chosen])

    def cut(self, num_positions: int) -> Iterator["Windows"]:
        """Yield windows that follow one another, as many at a time as count about `num_positions` positions."""
        ends = np.arange(num_positions, int(self.stop[-1]), num_positions)
        edges = [0, *np.unique(np.searchsorted(self.stop, ends)).tolist(), len(self.start)]
        for begin, end in itertools.pairwise(edges):
            if end > begin:
                yield self[begin:end]

    def times_counted(self, begin: int, stop: int) -> Array:
        """Return for each of the positions [begin, stop), int32, how many windows count it."""
        change = np.zeros(stop - begin + 1, np.int32)
        np.add.at(change, self.first - begin, 1)
        np.add.at(change, self.stop - begin, -1)
        found: Array = np.cumsum(change, dtype=np.int32)[:-1]
        return found

    def position_in_window(self) -> Array:
        """Return for each counted position, int32, how many tokens stand before the one it reads in its window."""
        counted = self.stop - self.first
        position = np.arange(int(counted.sum())) - np.repeat(np.cumsum(counted) - counted - self.first, counted)
        found: Array = (position - np.repeat(self.start, counted)).astype(np.int32)
        return found


def cover(offsets: IntArray, lengths: IntArray, context_len: int, stride: int) -> Windows:
    """Return the windows over spans [offset, offset + length), each covered exactly on its own.

    Within a span windows start every `stride` positions; the first counts all of its positions, each later one its
    last `stride`, the last one what is left.
    """
    counts = 1 + -(-np.maximum(lengths - context_len, 0) // stride)
    counts[lengths == 0] = 0
    span = np.repeat(np.arange(len(lengths)), counts)
    begin = np.arange(len(span)) - np.repeat(np.cumsum(counts) - counts, counts)
    begin = begin * stride
    stop = np.minimum(begin + context_len, lengths[span])
    first = np.where(begin == 0, 0, begin + context_len - stride)
    return Windows(offsets[span] + begin, offsets[span] + first, offsets[span] + stop)
