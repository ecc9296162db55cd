"""Contrasts: the published figures, no spread at all, and what is refused."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from mulligan.compare.contrast import contrast, paired, untested, welch

CONTROL, QAT_ALONE = ("0", "1"), ("1", "0")


def milli(*values):
    return [round(1000 * value, 2) for value in values]


def test_the_headline_of_pr_989_as_reported(as_reported):
    control, arm = as_reported[CONTROL], as_reported[QAT_ALONE]
    free = welch("claim", list(control.values()), list(arm.values()))
    assert (round(free.t, 2), round(free.df, 2), round(free.p, 4)) == (-7.24, 3.74, 0.0025)
    assert milli(free.estimate, free.low, free.high) == [-3.65, -5.09, -2.21]
    pairs = paired("claim", control, arm)
    assert (round(pairs.t, 1), pairs.df, round(pairs.p, 4)) == (-26.4, 2, 0.0014)
    assert milli(pairs.low, pairs.high) == pytest.approx([-4.24, -3.05], abs=0.011)
    assert milli(*pairs.differences) == [-3.66, -3.40, -3.88]
    assert pairs.seeds == (42, 1337, 2024)


def test_the_headline_of_pr_989_with_one_pruning(consistent):
    control, arm = consistent[CONTROL], consistent[QAT_ALONE]
    free = welch("claim", list(control.values()), list(arm.values()))
    assert (round(free.t, 2), round(free.df, 2), round(free.p, 4)) == (-8.09, 3.89, 0.0014)
    assert round(paired("claim", control, arm).p, 3) == 0.028


def test_intervals_are_those_of_scipy():
    a, b = [1.0, 1.2, 0.9, 1.1], [1.3, 1.25, 1.0, 1.4]
    free, theirs = welch("x", a, b, 0.1), stats.ttest_ind(b, a, equal_var=False)
    assert (free.low, free.high) == pytest.approx(tuple(theirs.confidence_interval(0.9)))
    assert (free.inner_low, free.inner_high) == pytest.approx(tuple(theirs.confidence_interval(0.8)))
    pairs, theirs = paired("x", dict(enumerate(a)), dict(enumerate(b)), 0.1), stats.ttest_rel(b, a)
    assert (pairs.low, pairs.high) == pytest.approx(tuple(theirs.confidence_interval(0.9)))
    assert (pairs.t, pairs.p) == pytest.approx((theirs.statistic, theirs.pvalue))
    other = pairs.at(0.02)
    assert (other.low, other.high) == pytest.approx(tuple(theirs.confidence_interval(0.98)))
    assert (other.estimate, other.p, other.alpha) == (pairs.estimate, pairs.p, 0.02)
    assert pairs.se == pytest.approx(np.std(np.subtract(b, a), ddof=1) / 2)


def test_only_shared_seeds_are_paired():
    pairs = paired("x", {1: 1.0, 2: 2.0, 3: 9.0}, {4: 0.0, 2: 2.5, 1: 1.1})
    assert pairs.seeds == (1, 2)
    assert pairs.differences == pytest.approx((0.1, 0.5))


@pytest.mark.parametrize("shift", [-0.001, 0.002])
def test_equal_differences_are_certain_not_nan(shift):
    baseline = {1: 1.1, 2: 1.3, 3: 1.7}
    pairs = paired("x", baseline, {seed: value + shift for seed, value in baseline.items()})
    assert (pairs.sd, pairs.p, pairs.t) == (0.0, 0.0, math.copysign(math.inf, shift))
    assert pairs.low == pairs.high == pairs.estimate == pytest.approx(shift)
    assert pairs.at(0.01).high == pairs.estimate
    assert json.loads(json.dumps(pairs.to_json(), allow_nan=False))["t"] is None
    flat = welch("x", [1.0, 1.0, 1.0], [1.0 + shift] * 2)
    assert (flat.sd, flat.p, flat.df) == (0.0, 0.0, 3)


def test_no_difference_at_all_is_no_evidence():
    same = paired("x", {1: 1.1, 2: 1.3}, {1: 1.1, 2: 1.3})
    assert (same.estimate, same.t, same.p, same.low, same.high) == (0.0, 0.0, 1.0, 0.0, 0.0)
    assert welch("x", [1.1, 1.1], [1.1, 1.1]).p == 1.0


def test_one_constant_arm_is_no_trouble():
    assert welch("x", [1.0, 1.0, 1.0], [1.1, 1.2, 1.3]).df == pytest.approx(2)


def test_the_contrast_that_the_runs_allow():
    assert contrast("x", {1: 1.0, 2: 1.1}, {1: 1.2, 2: 1.0}).method == "paired by seed"
    assert contrast("x", {1: 1.0, 2: 1.1}, {3: 1.2, 2: 1.0}).method == "Welch"
    alone = contrast("x", {1: 1.0, 2: 1.2}, {1: 1.5})
    assert (alone.method, alone.n, alone.low, alone.high, alone.p) == ("one run per arm", 1, -math.inf, math.inf, 1.0)
    assert alone.estimate == pytest.approx(0.4)
    assert alone.at(0.01).high == math.inf
    assert json.loads(json.dumps(alone.to_json(), allow_nan=False))["sd"] is None


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: paired("x", {1: 1.0, 2: 1.0}, {2: 1.0, 3: 1.0}), r"seeds \[1, 2\], the arm \[2, 3\]"),
        (lambda: welch("x", [1.0], [1.0, 2.0]), "two or more"),
        (lambda: untested("x", [], [1.0]), "one or more"),
        (lambda: paired("x", {1: 1.0, 2: math.nan}, {1: 1.0, 2: 1.0}), "run 2 has the value nan"),
        (lambda: welch("x", [1.0, 2.0], [1.0, math.inf]), "value inf"),
        (lambda: paired("x", {1: 1.0, 2: 1.0}, {1: 1.0, 2: 1.0}, alpha=5), "alpha = 5"),
        (lambda: paired("x", {1: 1.0, 2: 2.0}, {1: 1.0, 2: 1.0}).at(0.5), "alpha = 0.5"),
    ],
)
def test_what_cannot_be_tested_is_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()
