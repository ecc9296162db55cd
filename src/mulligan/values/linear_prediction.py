"""Prediction of a row's later codes from its earlier ones, by what the rows above have in common.

Rows of a token table share directions (Zipf's law leaves many rows nearly alike). The covariance of the columns is gathered
from the rows above, shrunk towards its diagonal, and factored as L D L^T with a unit-lower L: a row is L times what is new in
each column, so what is new so far predicts the next columns. Integers, products of integers below 2^53 and single IEEE
operations: the same everywhere. Torch-free.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mulligan.values.code_size import POWERS, UNIT_SIZE, size_of_energy
from mulligan.values.range_coder import Ints

MAX_COLUMNS = 1024
NUM_CHUNKS = 16
"""Columns are coded in so many chunks: a chunk is predicted from the chunks before it."""
SHRINKAGE_ROWS = 512
FIRST_ROWS = 64
"""Rows before the first factorization; the next ones come each time there are an eighth more."""
FACTOR_BITS = 12
PANEL = 32
NEWS_LIMIT = 1 << 12


class LinearPrediction:
    """The covariance of the rows so far, and its factor. Rows are in quarters of a code, relative to their class's mean."""

    def __init__(self, num_columns: int) -> None:
        self._products: NDArray[np.float64] = np.zeros((num_columns, num_columns))
        self._num_rows = self._factored_rows = 0
        self._lower: NDArray[np.float64] | None = None
        width = max(4, -(-num_columns // NUM_CHUNKS))
        self._chunks = [slice(start, min(start + width, num_columns)) for start in range(0, num_columns, width)]

    @property
    def chunks(self) -> Sequence[slice]:
        """The chunks of columns in which the next rows are coded: one before there is anything to predict by."""
        return [slice(0, len(self._products))] if self._lower is None else self._chunks

    def prediction(self, news: Ints, columns: slice) -> Ints:
        """Return what is predicted for a chunk, int (rows, chunk), from what is `new` (rows, cols) in the chunks before."""
        if self._lower is None or not columns.start:
            return np.zeros((len(news), columns.stop - columns.start), dtype=np.int64)
        return _product(news[:, : columns.start], self._lower[columns, : columns.start])

    def news(self, surprise: Ints, columns: slice) -> Ints:
        """Return what is new in each column of a chunk, given its codes minus their prediction."""
        found = np.clip(surprise, -NEWS_LIMIT, NEWS_LIMIT)
        if self._lower is not None:
            factor = self._lower[columns, columns]
            for column in range(1, found.shape[1]):
                predicted = _product(found[:, :column], factor[column : column + 1, :column])[:, 0]
                found[:, column] = np.clip(surprise[:, column] - predicted, -NEWS_LIMIT, NEWS_LIMIT)
        return found

    def surprise(self, rows: Ints) -> Ints:
        """Return `rows` minus their predictions, for an encoder that wants to know beforehand."""
        found, news = rows.copy(), np.zeros_like(rows)
        for columns in self.chunks:
            found[:, columns] -= self.prediction(news, columns)
            news[:, columns] = self.news(found[:, columns], columns)
        return found

    def learn(self, rows: Ints) -> None:
        """Take in rows (rows, cols), each as large as any other."""
        energy = (rows * rows).sum(axis=1) * 256 // rows.shape[1]
        size = np.clip(size_of_energy(energy, 12), -UNIT_SIZE, 64)
        scaled = (rows * POWERS[136 - size][:, None]) >> 11  # a row's own size becomes 2^8
        normal = np.clip(scaled, -(1 << 14), 1 << 14).astype(np.float64)
        self._products += normal.T @ normal
        self._num_rows += len(rows)
        if self._num_rows >= max(FIRST_ROWS, self._factored_rows + self._factored_rows // 8):
            self._lower = _unit_lower_factor(self._products, self._num_rows)
            self._factored_rows = self._num_rows


def _unit_lower_factor(products: NDArray[np.float64], num_rows: int) -> NDArray[np.float64]:
    """Return L of the shrunk covariance's L D L^T, below its diagonal, in units of 2^-12, whole and within +-8.

    It is factored as a correlation, in whole units of 2^-24, panel by panel: then the products of panels are exact sums.
    """
    size = np.sqrt(products.diagonal() * (1.0 + SHRINKAGE_ROWS / num_rows) + 1.0)
    rest = np.rint(products / size[:, None] / size * 2.0**24)
    np.fill_diagonal(rest, 2.0**24)
    lower = np.zeros_like(rest)
    for start in range(0, len(rest), PANEL):
        stop = min(start + PANEL, len(rest))
        panel = rest[start:, start:stop]
        for column in range(stop - start):
            below = panel[column + 1 :, column]
            factor = _whole(below / max(panel[column, column], 1.0) * 2.0**14, 1 << 18)
            lower[start + column + 1 :, start + column] = factor
            # Product, quotient, difference: each rounds by itself, and none is fused with another.
            panel[column + 1 :, column + 1 :] -= np.rint(
                np.multiply.outer(factor, below[: stop - start - column - 1]) / 2.0**14
            )
        rest[stop:, stop:] -= np.rint(lower[stop:, start:stop] @ panel[stop - start :].T / 2.0**14)
    return _whole(lower / 2.0 ** (14 - FACTOR_BITS) * size[:, None] / size, 1 << 15)


def _whole(values: NDArray[np.float64], limit: int) -> NDArray[np.float64]:
    return np.clip(np.rint(values), -limit, limit)


def _product(news: Ints, factor: NDArray[np.float64]) -> Ints:
    product: Ints = (news.astype(np.float64) @ factor.T).astype(np.int64) >> FACTOR_BITS
    return product
