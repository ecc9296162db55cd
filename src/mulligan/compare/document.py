"""Two readings of one and the same checkpoint, compared over documents: how sure is their difference on other text?

Says nothing of other seeds: the unit here is the document, and the weights are given. For contrasts between trainings the
unit of replication is the seed (`contrast.py`). Source of the estimator: Efron 1979; scipy's percentile bootstrap.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mulligan.compare.check import check_alpha

RESAMPLES = 2_000


@dataclass(frozen=True)
class DocumentContrast:
    """A difference in bits per byte between two readings of one checkpoint, with its interval over documents."""

    estimate: float
    low: float
    high: float
    alpha: float
    documents: int


def document_contrast(
    nats: NDArray[np.floating[Any]],
    baseline_nats: NDArray[np.floating[Any]],
    num_bytes: NDArray[np.integer[Any]],
    alpha: float = 0.05,
    seed: int = 0,
) -> DocumentContrast:
    """Return (sum nats - sum baseline nats) / ln 2 / sum bytes with its percentile interval; arrays of one value per document.

    Whole documents are drawn, since a score is a ratio of sums over them. ValueError below two documents, or where the
    arrays differ in length or hold what is not finite.
    """
    check_alpha(alpha)
    if not len(nats) == len(baseline_nats) == len(num_bytes) or len(nats) < 2:
        raise ValueError(
            f"{len(nats)}, {len(baseline_nats)} and {len(num_bytes)} documents: give both readings and the bytes of the same "
            "documents, two or more."
        )
    difference = (np.asarray(nats, np.float64) - np.asarray(baseline_nats, np.float64)) / math.log(2)
    size = np.asarray(num_bytes, np.float64)
    if not np.isfinite(difference).all() or size.min() <= 0:
        raise ValueError("A document has nats that are not finite, or no bytes. Score both readings again on whole documents.")

    def ratio(bits: NDArray[Any], length: NDArray[Any], axis: int = -1) -> NDArray[Any]:
        return np.asarray(bits.sum(axis) / length.sum(axis))

    estimate = float(ratio(difference, size))
    if np.ptp(difference / size) == 0:
        return DocumentContrast(estimate, estimate, estimate, alpha, len(size))
    found = stats.bootstrap(
        (difference, size),
        ratio,
        paired=True,
        vectorized=True,
        n_resamples=RESAMPLES,
        batch=100,
        confidence_level=1 - alpha,
        method="percentile",
        rng=np.random.default_rng(seed),
    )
    low, high = found.confidence_interval
    return DocumentContrast(estimate, float(low), float(high), alpha, len(size))


def binned_contrasts(
    difference: NDArray[np.floating[Any]], num_bytes: NDArray[np.floating[Any]], alpha: float = 0.05, seed: int = 0
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return the estimate and the percentile interval (low, high), each (bins,), of ratios of sums over documents.

    `difference` and `num_bytes` (documents, bins): bits and bytes of each document in each bin. Whole documents are drawn, all
    bins of one together. NaN where a bin has no bytes; of an interval, where fewer than two documents have some.
    """
    check_alpha(alpha)
    if difference.shape != num_bytes.shape or difference.ndim != 2:
        raise ValueError(f"Arrays of {difference.shape} and {num_bytes.shape}: give both as (documents, bins).")
    documents = len(difference)
    rng, batch = np.random.default_rng(seed), max(1, (1 << 22) // max(documents, 1))
    drawn = []
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = difference.sum(0) / num_bytes.sum(0)
        for begin in range(0, RESAMPLES, batch):
            times = rng.multinomial(documents, np.full(documents, 1 / documents), min(batch, RESAMPLES - begin)).astype(float)
            drawn.append((times @ difference) / (times @ num_bytes))
    several = (num_bytes > 0).sum(0) >= 2
    ratios = np.concatenate(drawn)[:, several]
    low, high = np.full(len(estimate), np.nan), np.full(len(estimate), np.nan)
    if several.any():
        low[several], high[several] = np.nanpercentile(
            np.where(np.isfinite(ratios), ratios, np.nan), [100 * alpha / 2, 100 * (1 - alpha / 2)], axis=0
        )
    return np.where(np.isfinite(estimate), estimate, np.nan), low, high
