"""How large each code of a matrix is expected to be: the adaptive model that the range coder is fed by.

Trained matrices, rounded to a grid, are noise whose size varies by row and by column and by little else. Each row states its
size. A column's size is learned from the rows above; it starts from the sizes of another tensor's columns, or of its scales
(the hidden units that a matrix writes are those that another reads). Rows of a class resemble one another, and their mean is
predicted; `LinearPrediction` may add to it. Codes of one expected size share a table of counts, which starts as a bell and
learns from all matrices in turn. `walk` is the same for who writes, who reads and who measures. Torch-free.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mulligan.values.code_size import FRACTION_BITS, NUM_SIZES, POWERS, UNIT_SIZE, bell_counts, log2_eighths, size_of_energy
from mulligan.values.column_size import ColumnSizes, start_sizes
from mulligan.values.linear_prediction import MAX_COLUMNS, LinearPrediction
from mulligan.values.range_coder import Coder, Ints

MAX_CLASSES_LOG2 = 3
MAX_SLOPE = 7
MAX_STRENGTH = 11
MAX_BLOCK_CODES = 1 << 18
"""Codes that are held at once in several arrays of 8 bytes, but for one row of any length."""
SIDE_STEP, SIDE_LIMIT = 16, 8192
"""What one size or class of a row adds to its count, and the sum at which those counts are halved."""


@dataclass(frozen=True)
class MatrixPlan:
    """What a writer chooses for one matrix, and states.

    `labels`: each row's class, below 2^`classes_log2`; class 0 has mean 0. `source`: 0, or 1 + the number of the profile that
    the columns start from, raised to `slope` / 4; it counts as 2^`strength` rows. `linear`: whether codes are predicted.
    """

    labels: Ints | None = None
    classes_log2: int = 0
    source: int = 0
    slope: int = 0
    strength: int = 0
    linear: int = 0


class CodeModel:
    """The tables of counts, and the walk over one matrix after another."""

    def __init__(self) -> None:
        self._counts: dict[tuple[int, int, int], Ints] = {}
        self._row_sizes: Ints = np.ones((1 << MAX_CLASSES_LOG2, NUM_SIZES), dtype=np.int64)

    def copy(self) -> Self:
        """Return a model that has learned the same and goes its own way."""
        other = type(self)()
        other._counts = {key: counts.copy() for key, counts in self._counts.items()}
        other._row_sizes = self._row_sizes.copy()
        return other

    def walk(
        self,
        coder: Coder,
        shape: tuple[int, int],
        bits: int,
        profiles: Sequence[Ints],
        codes: NDArray[np.int8] | None = None,
        plan: MatrixPlan | None = None,
    ) -> tuple[NDArray[np.int8], Ints]:
        """Return the codes (rows, cols) and the profile of the columns: their sizes (cols,) in eighths of an octave.

        Who writes gives the codes and the plan. ValueError where what is read cannot be codes of `bits` bits.
        """
        rows, cols = shape
        plan = _stated(coder, shape, len(profiles), None if codes is None else plan)
        start = start_sizes(profiles[plan.source - 1], plan.slope) if plan.source else np.zeros(cols, dtype=np.int64)
        columns = ColumnSizes(1 << plan.classes_log2, start, 1 << plan.strength)
        linear = LinearPrediction(cols) if plan.linear else None
        found = np.empty(shape, dtype=np.int8) if codes is None else codes
        class_counts = np.ones(1 << plan.classes_log2, dtype=np.int64)
        row = 0
        while row < rows:
            # Few rows at first, so that the second learns from the first; many later, so that there are few steps.
            stop = min(rows, row + max(1, min(64, row // 8, MAX_BLOCK_CODES // cols), 512 // cols))
            here = slice(row, stop)
            given = None if codes is None else codes[here].astype(np.int64)
            labels = self._labels(coder, class_counts, stop - row, None if given is None else plan.labels, here)
            means, column_sizes = columns.means()[labels], columns.sizes()[labels]
            sizes = self._sizes(coder, labels, given, means, column_sizes, linear)
            block, surprise = self._block(coder, bits, means, sizes[:, None] + column_sizes, given, linear)
            columns.learn(labels, block, surprise, sizes)
            if linear:
                linear.learn(4 * block - means)
            if codes is None:
                found[here] = block
            row = stop
        return found, columns.sizes()[0]

    def _labels(self, coder: Coder, counts: Ints, num_rows: int, labels: Ints | None, here: slice) -> Ints:
        if len(counts) == 1:
            return np.zeros(num_rows, dtype=np.int64)
        found = coder.code(counts, num_rows, None if labels is None else labels[here])
        _count(counts, found)
        return found

    def _sizes(
        self,
        coder: Coder,
        labels: Ints,
        given: Ints | None,
        means: Ints,
        column_sizes: Ints,
        linear: LinearPrediction | None,
    ) -> Ints:
        """Return each row's size (rows,): the root mean square of what is not predicted, columns made alike."""
        sizes = np.zeros(len(labels), dtype=np.int64)
        if given is not None:
            surprise = 4 * given - means
            if linear:
                surprise = linear.surprise(surprise)
            energy = ((surprise * surprise * POWERS[128 - 2 * column_sizes]) >> 8).sum(axis=1) // given.shape[1]
            sizes = self._cheapest(energy, labels, given.shape[1])
        for label in np.unique(labels):
            members = np.flatnonzero(labels == label)
            counts = self._row_sizes[label]
            sizes[members] = coder.code(counts, len(members), None if given is None else sizes[members])
            _count(counts, sizes[members])
        return sizes

    def _cheapest(self, energy: Ints, labels: Ints, cols: int) -> Ints:
        """Return the sizes near that of each row's energy, in units of 2^-12, that make size and codes shortest together."""
        nearest = size_of_energy(energy, 12) + UNIT_SIZE
        choices = np.clip(nearest[:, None] + np.arange(-3, 4), 0, NUM_SIZES - 1)
        # A normal distribution's log2 s + x^2 / (2 s^2 ln 2), and what the size itself takes.
        code_bits = cols * (choices / 8 + energy[:, None] / 2.0 ** (choices / 4 + 6) / (2 * math.log(2)))
        bits = code_bits - np.log2(self._row_sizes[labels[:, None], choices])
        cheapest: Ints = choices[np.arange(len(choices)), bits.argmin(axis=1)]
        return cheapest

    def _block(
        self,
        coder: Coder,
        bits: int,
        means: Ints,
        sizes: Ints,
        given: Ints | None,
        linear: LinearPrediction | None,
    ) -> tuple[Ints, Ints]:
        """Code some whole rows; return them, and 4 times them minus what was predicted."""
        codes, surprise, news = np.empty_like(sizes), np.empty_like(sizes), np.zeros_like(sizes)
        limit = 1 << (bits - 1)
        for columns in linear.chunks if linear else [slice(0, sizes.shape[1])]:
            predicted = means[:, columns]
            if linear:
                predicted = np.clip(predicted + linear.prediction(news, columns), -4 * limit, 4 * limit)
            whole = predicted >> 2
            contexts = (predicted & 3) * NUM_SIZES + np.clip(sizes[:, columns], 0, NUM_SIZES - 1)
            offset = whole - 2 * limit
            symbols = None if given is None else given[:, columns] - offset
            chunk = self._symbols(coder, bits, contexts, symbols) + offset
            if chunk.min() < -limit or chunk.max() >= limit:
                raise ValueError(f"a code lies outside the range of {bits} bits")
            codes[:, columns] = chunk
            surprise[:, columns] = 4 * chunk - predicted
            if linear:
                news[:, columns] = linear.news(surprise[:, columns], columns)
        return codes, surprise

    def _symbols(self, coder: Coder, bits: int, contexts: Ints, symbols: Ints | None) -> Ints:
        """Code symbols of one shape with their contexts, all of a context together, and learn from them."""
        flat = contexts.astype(np.uint16).ravel()
        order = np.argsort(flat, kind="stable")
        given = None if symbols is None else symbols.ravel()[order]
        found = np.empty(flat.size, dtype=np.int64)
        start = 0
        numbers = np.bincount(flat)
        for context in np.flatnonzero(numbers):
            stop = start + int(numbers[context])
            phase, size = divmod(int(context), NUM_SIZES)
            counts = self._table(bits, size, phase)
            part = coder.code(counts, stop - start, None if given is None else given[start:stop])
            counts += np.bincount(part, minlength=len(counts)) << FRACTION_BITS
            found[order[start:stop]] = part
            start = stop
        return found.reshape(contexts.shape)

    def _table(self, bits: int, size: int, phase: int) -> Ints:
        key = (bits, size, phase)
        if key not in self._counts:
            self._counts[key] = bell_counts(bits, size, phase)
        return self._counts[key]


def _stated(coder: Coder, shape: tuple[int, int], num_profiles: int, plan: MatrixPlan | None) -> MatrixPlan:
    """State the plan, or read it: then it has no labels."""

    def state(limit: int, choice: int) -> int:
        counts = np.ones(limit + 1, dtype=np.int64)
        return int(coder.code(counts, 1, None if plan is None else np.array([choice], dtype=np.int64))[0])

    given = plan or MatrixPlan()
    classes_log2 = state(MAX_CLASSES_LOG2, given.classes_log2)
    source = state(num_profiles, given.source) if num_profiles else 0
    slope = state(MAX_SLOPE, given.slope) if source else 0
    strength = state(MAX_STRENGTH, given.strength)
    linear = state(1, given.linear) if linear_fits(shape) else 0
    return MatrixPlan(given.labels, classes_log2, source, slope, strength, linear)


def _count(counts: Ints, symbols: Ints) -> None:
    counts += SIDE_STEP * np.bincount(symbols, minlength=len(counts))
    if counts.sum() > SIDE_LIMIT:
        counts[:] = (counts + 1) >> 1


def linear_fits(shape: tuple[int, int]) -> bool:
    """Say whether rows are many enough, and short enough, for the prediction to be offered."""
    return 4 * shape[1] < shape[0] and 16 <= shape[1] <= MAX_COLUMNS


def log2_of_scales(scale: NDArray[np.float16]) -> Ints:
    """Return 8 log2 of float16 scales, a profile; what is no scale (zero, negative, infinite) passes for one."""
    finite = np.minimum(scale.view(np.uint16) & 0x7FFF, 0x7BFF).view(np.float16)
    return log2_eighths((finite.astype(np.float64) * 2.0**24).astype(np.int64))
