"""Column sizes and class means, against plain floating point."""

import numpy as np
import pytest

from mulligan.values.code_size import UNIT_SIZE
from mulligan.values.column_size import MAX_COLUMN_SIZE, ColumnSizes, start_sizes


def test_sizes_are_those_of_the_root_mean_square_of_rows_made_alike():
    rng = np.random.default_rng(0)
    start, strength = rng.integers(-20, 20, 50), 8
    columns = ColumnSizes(1, start, strength)
    row_sizes = rng.integers(UNIT_SIZE, UNIT_SIZE + 24, 40)
    surprise = np.rint(4 * 2 ** ((row_sizes[:, None] - UNIT_SIZE) / 8) * rng.normal(0, 3, (40, 50))).astype(np.int64)
    columns.learn(np.zeros(40, dtype=np.int64), surprise // 4, surprise, row_sizes)
    energy = ((surprise / 4 / 2 ** ((row_sizes[:, None] - UNIT_SIZE) / 8)) ** 2).sum(axis=0)
    expected = 4 * np.log2((energy + strength * 2 ** (start / 4)) / (40 + strength))
    assert np.abs(columns.sizes()[0] - expected).max() < 1.1
    assert np.abs(ColumnSizes(1, start, strength).sizes()[0] - start).max() <= 1


def test_means_are_those_of_each_class_in_quarters_and_zero_for_class_zero():
    codes = np.array([[1, 2], [3, -2], [8, 8]])
    columns = ColumnSizes(4, np.zeros(2, dtype=np.int64), 1)
    columns.learn(np.array([2, 2, 0]), codes, 4 * codes, np.full(3, UNIT_SIZE))
    assert columns.means().tolist() == [[0, 0], [0, 0], [8, 0], [0, 0]]
    columns.learn(np.array([2]), np.array([[1, 0]]), np.array([[4, 0]]), np.array([UNIT_SIZE]))
    assert columns.means()[2].tolist() == [round(4 * 5 / 3), 0]


def test_sizes_stay_within_their_range_whatever_comes():
    columns = ColumnSizes(1, np.array([-99, 99]), 1)
    assert columns.sizes()[0].tolist() == [-MAX_COLUMN_SIZE, MAX_COLUMN_SIZE]
    for size in (0, 80):
        columns.learn(np.array([0]), np.array([[0, 0]]), np.array([[1024, 0]]), np.array([size]))
        assert np.abs(columns.sizes()).max() <= MAX_COLUMN_SIZE


@pytest.mark.parametrize(("slope", "expected"), [(4, [-8, 0, 8]), (2, [-4, 0, 4]), (7, [-14, 0, 14])])
def test_a_profile_gives_sizes_about_its_mean(slope, expected):
    assert start_sizes(np.array([92, 100, 108]), slope).tolist() == expected
