"""Two one-sided tests (TOST): is the difference inside +-margin? Through statsmodels; margins in the values' unit.

"Not significant" is no evidence of "no effect"; this is the test that can give some. It agrees with reading whether the
(1 - 2 alpha) interval of a `Contrast` lies inside the margin.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from statsmodels.stats.weightstats import ttost_ind, ttost_paired

from mulligan.compare.check import check_margin
from mulligan.compare.contrast import PAIRED, WELCH, Contrast, paired, welch


@dataclass(frozen=True)
class Equivalence:
    """The outcome of a TOST.

    `p` is the greater of `p_above` (against "the difference is -margin or less") and `p_below` (against "it is +margin
    or more"); `equivalent` says p < alpha.
    """

    name: str
    method: str
    estimate: float
    margin: float
    p: float
    p_above: float
    p_below: float
    df: float
    alpha: float
    equivalent: bool


def tost_paired(
    name: str, baseline: Mapping[int, float], arm: Mapping[int, float], margin: float, alpha: float = 0.05
) -> Equivalence:
    """Test |arm - baseline| < margin over the shared seeds; ValueError below two of them or when margin <= 0."""
    check_margin(margin)
    contrast = paired(name, baseline, arm, alpha)
    x, y = (np.array([values[seed] for seed in contrast.seeds]) for values in (arm, baseline))
    return _equivalence(PAIRED, contrast, margin, ttost_paired(x, y, -margin, margin) if contrast.sd > 0 else None)


def tost_welch(name: str, baseline: Sequence[float], arm: Sequence[float], margin: float, alpha: float = 0.05) -> Equivalence:
    """Test |mean(arm) - mean(baseline)| < margin without pairing or equal variances; two or more values in each."""
    check_margin(margin)
    contrast = welch(name, baseline, arm, alpha)
    found = ttost_ind(np.array(arm), np.array(baseline), -margin, margin, usevar="unequal") if contrast.sd > 0 else None
    return _equivalence(WELCH, contrast, margin, found)


def _equivalence(
    method: str, contrast: Contrast, margin: float, found: tuple[float, tuple[float, ...], tuple[float, ...]] | None
) -> Equivalence:
    if found is None:  # nothing varies: the estimate is all there is
        above, below = float(contrast.estimate <= -margin), float(contrast.estimate >= margin)
    else:
        above, below = float(found[1][1]), float(found[2][1])
    p = max(above, below)
    return Equivalence(
        contrast.name, method, contrast.estimate, margin, p, above, below, contrast.df, contrast.alpha, p < contrast.alpha
    )
