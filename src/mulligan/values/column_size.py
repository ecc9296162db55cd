"""What the rows so far say about each column: its size, and the mean of its codes in every class of rows. Torch-free."""

import numpy as np

from mulligan.values.code_size import POWERS, size_of_energy
from mulligan.values.range_coder import Ints

MAX_COLUMN_SIZE = 32
"""A column is at most 2^(32/8) times larger or smaller than a row's size says."""
ENERGY_BITS = 8
MAX_ENERGY = 1 << 20


class ColumnSizes:
    """Sizes and means by class; class 0 has mean 0. `start` are the sizes (cols,) that count as `strength` rows."""

    def __init__(self, num_classes: int, start: Ints, strength: int) -> None:
        start = np.clip(start, -MAX_COLUMN_SIZE, MAX_COLUMN_SIZE)
        energy = np.maximum((strength * POWERS[128 + 2 * start]) >> (16 - ENERGY_BITS), 1)
        self._energy: Ints = np.tile(energy, (num_classes, 1))
        self._weight: Ints = np.full(num_classes, strength, dtype=np.int64)
        self._total: Ints = np.zeros_like(self._energy)
        self._num_rows: Ints = np.zeros(num_classes, dtype=np.int64)

    def means(self) -> Ints:
        """Return the mean code of each class and column, in quarters, int (classes, cols)."""
        num_rows = np.maximum(self._num_rows, 1)[:, None]
        means: Ints = (4 * self._total + (num_rows >> 1)) // num_rows
        means[0] = 0
        return means

    def sizes(self) -> Ints:
        """Return each column's size relative to its row's, in eighths of an octave, int (classes, cols)."""
        mean_energy = (self._energy << (16 - ENERGY_BITS)) // self._weight[:, None]
        sizes: Ints = np.clip(size_of_energy(mean_energy, 16), -MAX_COLUMN_SIZE, MAX_COLUMN_SIZE)
        return sizes

    def learn(self, labels: Ints, codes: Ints, surprise: Ints, row_sizes: Ints) -> None:
        """Take in rows: their classes, codes, surprise in quarters, and the sizes that they stated."""
        scaled = (surprise * surprise * POWERS[224 - 2 * row_sizes][:, None]) >> (26 - ENERGY_BITS)
        energy = np.minimum(scaled, MAX_ENERGY)
        for label in np.unique(labels):
            members = labels == label
            self._energy[label] += energy[members].sum(axis=0)
            self._total[label] += codes[members].sum(axis=0)
            self._weight[label] += int(members.sum())
            self._num_rows[label] += int(members.sum())


def start_sizes(profile: Ints, slope: int) -> Ints:
    """Return a profile's sizes about their mean, times slope / 4."""
    start: Ints = ((profile - int(profile.sum()) // len(profile)) * slope) >> 2
    return start
