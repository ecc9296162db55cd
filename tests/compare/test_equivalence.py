"""TOST: it agrees with the inner interval, and with nothing to spread."""

import numpy as np
import pytest

from mulligan.compare.contrast import paired, welch
from mulligan.compare.equivalence import tost_paired, tost_welch


@pytest.mark.parametrize("seed", range(20))
def test_it_agrees_with_the_inner_interval(seed):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(1.0, 0.001, 5).tolist(), rng.normal(1.0005, 0.001, 5).tolist()
    for margin in (0.0005, 0.001, 0.002, 0.005):
        free, inside = tost_welch("x", a, b, margin), welch("x", a, b)
        assert free.equivalent == (-margin < inside.inner_low and inside.inner_high < margin)
        one, other = dict(enumerate(a)), dict(enumerate(b))
        pairs, inside = tost_paired("x", one, other, margin), paired("x", one, other)
        assert pairs.equivalent == (-margin < inside.inner_low and inside.inner_high < margin)
        assert pairs.p == max(pairs.p_above, pairs.p_below)


def test_both_answers_occur():
    a, b = {1: 1.0, 2: 1.1, 3: 1.2}, {1: 1.001, 2: 1.1, 3: 1.199}
    assert tost_paired("x", a, b, 0.01).equivalent
    assert not tost_paired("x", a, b, 0.001).equivalent
    assert not tost_welch("x", list(a.values()), list(b.values()), 0.01).equivalent


def test_the_side_that_fails_is_told():
    low = tost_paired("x", {1: 1.0, 2: 1.0}, {1: 0.89, 2: 0.91}, 0.01)
    assert low.p_above > 0.5 > 0.05 > low.p_below


@pytest.mark.parametrize(("shift", "equivalent"), [(0.0, True), (0.004, True), (0.01, False), (-0.02, False)])
def test_without_spread_the_estimate_decides(shift, equivalent):
    a = {1: 1.0, 2: 2.0}
    found = tost_paired("x", a, {seed: value + shift for seed, value in a.items()}, 0.005)
    assert (found.equivalent, found.p) == (equivalent, 0.0 if equivalent else 1.0)
    assert tost_welch("x", [1.0, 1.0], [1.0 + shift] * 2, 0.005).equivalent is equivalent


@pytest.mark.parametrize("margin", [0.0, -1.0, float("inf"), float("nan")])
def test_a_margin_is_positive(margin):
    with pytest.raises(ValueError, match="margin"):
        tost_paired("x", {1: 1.0, 2: 2.0}, {1: 1.0, 2: 2.1}, margin)
