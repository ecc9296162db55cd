"""The noise floor."""

import numpy as np
import pytest

from mulligan.compare.noise import noise_floor, rerun_noise


def test_arms_are_pooled_by_their_degrees_of_freedom():
    found = noise_floor({"a": {1: 1.0, 2: 3.0}, "b": {1: 10.0, 2: 11.0, 3: 12.0}, "alone": {1: 99.0}})
    assert found.sd == pytest.approx(np.sqrt((2.0 + 2 * 1.0) / 3))
    assert (found.df, found.groups) == (3, 2)
    assert found.low < found.sd < found.high


def test_the_interval_is_chi_square():
    found = noise_floor({"a": dict(enumerate([1.0, 2.0, 3.0, 4.0, 5.0]))})
    assert (found.low / found.sd, found.high / found.sd) == pytest.approx((0.599, 2.874), abs=1e-3)
    rng = np.random.default_rng(0)
    inside = [
        noise.low < 1 < noise.high
        for noise in (noise_floor({str(i): dict(enumerate(rng.normal(size=3))) for i in range(2)}) for _ in range(1000))
    ]
    assert 0.93 < np.mean(inside) < 0.97


def test_pr_989_noise(as_reported):
    found = noise_floor({str(arm): runs for arm, runs in as_reported.items()})
    assert found.df == 6
    assert 0.0005 < found.sd < 0.0007


def test_reruns_of_one_seed():
    assert rerun_noise({"a/1": [1.0, 1.0], "a/2": [2.0, 2.0, 2.0]}).sd == 0.0
    assert rerun_noise({"a/1": [1.0, 3.0]}).sd == pytest.approx(np.sqrt(2))


def test_nothing_repeated_is_no_noise_floor():
    assert noise_floor({"a": {1: 1.0}}) is None
    assert rerun_noise({}) is None
