"""Sizes and bells in integers, against floating point and a distribution of scipy's."""

import numpy as np
import pytest
from scipy import stats

from mulligan.values.code_size import (
    NUM_SIZES,
    POWERS,
    PRIOR_SYMBOLS,
    UNIT_SIZE,
    bell_counts,
    log2_eighths,
    size_of_energy,
)


def test_powers_are_the_eighth_roots_of_two():
    assert list(POWERS[:4]) == [1, 1, 1, 1]
    assert all(POWERS[8 * octave] == 1 << octave for octave in range(44))
    assert np.allclose(POWERS[160:], 2 ** (np.arange(160, len(POWERS)) / 8), rtol=1e-6)


def test_logarithms_are_whole_eighths():
    values = np.array([1, 2, 3, 100, 2**30, 2**40 + 99])
    assert list(log2_eighths(values)) == list(np.ceil(8 * np.log2(values + 1.0)).astype(int) - 1)
    assert list(log2_eighths(np.array([0, -5]))) == [7, 7]


@pytest.mark.parametrize("sigma", [0.125, 0.5, 1.0, 2.41, 90.0])
def test_the_size_of_an_energy_is_that_of_its_root(sigma):
    size = int(size_of_energy(np.array([round(sigma**2 * 2**16)]), 16)[0])
    assert abs(size - 8 * np.log2(sigma)) <= 1


@pytest.mark.parametrize("phase", [0, 1, 2, 3])
@pytest.mark.parametrize("size", [0, 12, UNIT_SIZE, 35, 60, NUM_SIZES - 1])
def test_a_bell_is_students_distribution_in_whole_counts(size, phase):
    counts = bell_counts(6, size, phase)
    edges = np.arange(-64, 66) - 0.5 - phase / 4
    sigma = 2 ** (size / 8 - 3)
    expected = np.diff(stats.t(31).cdf(edges / sigma * np.sqrt(31 / 32)))
    assert len(counts) == 129
    assert counts.min() >= 1
    assert counts.sum() == pytest.approx(PRIOR_SYMBOLS << 6 + 16, rel=1e-4)
    assert np.abs(counts / counts.sum() - expected / expected.sum()).max() < (0.02 if size < 12 else 0.005)
