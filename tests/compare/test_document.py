"""Documents of one checkpoint: the ratio of sums, its interval against a plain bootstrap, and what is refused."""

import math

import numpy as np
import pytest

from mulligan.compare.document import binned_contrasts, document_contrast


def drawn(count, seed=0):
    rng = np.random.default_rng(seed)
    size = rng.integers(50, 5000, count)
    baseline = size * rng.normal(0.8, 0.1, count)
    return baseline + size * rng.normal(-0.01, 0.02, count), baseline, size


def test_the_estimate_is_the_difference_of_the_two_scores():
    nats, baseline, size = drawn(40)
    expected = nats.sum() / math.log(2) / size.sum() - baseline.sum() / math.log(2) / size.sum()
    assert document_contrast(nats, baseline, size).estimate == pytest.approx(expected, abs=1e-12)


def test_the_interval_is_that_of_a_plain_bootstrap_over_whole_documents():
    nats, baseline, size = drawn(60)
    rng = np.random.default_rng(7)
    plain = []
    for _ in range(4000):
        chosen = rng.integers(0, 60, 60)
        plain.append((nats[chosen] - baseline[chosen]).sum() / math.log(2) / size[chosen].sum())
    found = document_contrast(nats, baseline, size)
    spread = np.std(plain)
    assert found.low == pytest.approx(np.quantile(plain, 0.025), abs=0.15 * spread)
    assert found.high == pytest.approx(np.quantile(plain, 0.975), abs=0.15 * spread)
    assert found == document_contrast(nats, baseline, size)


def test_it_covers_the_truth_about_as_often_as_it_says():
    covered = 0
    for seed in range(100):
        nats, baseline, size = drawn(50, seed)
        found = document_contrast(nats, baseline, size, seed=seed)
        covered += found.low <= -0.01 / math.log(2) <= found.high
    assert 86 <= covered <= 100


def test_equal_differences_give_a_point():
    size = np.array([10, 20, 30])
    found = document_contrast(size * 1.0, size * 0.5, size)
    assert found.low == found.high == found.estimate == pytest.approx(0.5 / math.log(2))


@pytest.mark.parametrize(
    ("nats", "baseline", "size"),
    [([1.0], [1.0], [3]), ([1.0, 2.0], [1.0], [3, 4]), ([1.0, math.nan], [1.0, 1.0], [3, 4]), ([1.0, 2.0], [1.0, 1.0], [3, 0])],
)
def test_what_cannot_be_compared_is_refused(nats, baseline, size):
    with pytest.raises(ValueError, match=r"documents|document has"):
        document_contrast(np.array(nats), np.array(baseline), np.array(size))


def test_bins_have_the_interval_that_each_has_alone():
    nats, baseline, size = drawn(60)
    other = drawn(60, 5)
    bits = np.stack([nats - baseline, other[0] - other[1], nats * 0], 1) / math.log(2)
    estimate, low, high = binned_contrasts(bits, np.stack([size, other[2], size * 0], 1).astype(float))
    for i, (a, b, length) in enumerate([(nats, baseline, size), other]):
        alone = document_contrast(a, b, length)
        assert estimate[i] == pytest.approx(alone.estimate)
        assert low[i] == pytest.approx(alone.low, abs=0.1 * (alone.high - alone.low))
        assert high[i] == pytest.approx(alone.high, abs=0.1 * (alone.high - alone.low))
    assert np.isnan([estimate[2], low[2], high[2]]).all()


def test_a_bin_of_one_document_has_an_estimate_and_no_interval():
    size = np.array([[10.0, 4.0], [10.0, 0.0]])
    estimate, low, high = binned_contrasts(size / 2, size)
    assert estimate.tolist() == [0.5, 0.5]
    assert (low[0], high[0]) == (0.5, 0.5)
    assert np.isnan([low[1], high[1]]).all()
    with pytest.raises(ValueError, match="documents, bins"):
        binned_contrasts(size, size[:1])
