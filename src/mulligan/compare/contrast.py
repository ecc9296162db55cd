"""Two arms against each other: paired by seed, or Welch. The estimate is arm - baseline, so negative is better.

Tests come from statsmodels, intervals from scipy's t distribution. Where nothing varies between seeds there is no t:
equal differences give t = +-inf and p = 0, differences that are all 0 give t = 0 and p = 1, and the interval is a point.
A spread below the rounding of the values (32 float64 epsilons of the largest) counts as none.
"""

import dataclasses
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from mulligan.compare.check import check_alpha

PAIRED, WELCH, UNTESTED = "paired by seed", "Welch", "one run per arm"


@dataclass(frozen=True)
class Contrast:
    """A difference and what can be said of it.

    `estimate` is arm - baseline in the values' unit. (`low`, `high`) is the two-sided (1 - alpha) interval,
    (`inner_low`, `inner_high`) the (1 - 2 alpha) one, which decides equivalence. `n` counts seeds (the smaller arm's
    where unpaired) and `sd` is the spread of one seed's difference, so that the standard error is sd / sqrt(n).
    `differences` are the values per seed of `seeds`; both are empty where arms are not paired. `p` is two-sided.
    """

    name: str
    method: str
    estimate: float
    low: float
    high: float
    inner_low: float
    inner_high: float
    t: float
    df: float
    p: float
    n: int
    sd: float
    differences: tuple[float, ...]
    seeds: tuple[int, ...]
    alpha: float

    @property
    def se(self) -> float:
        """The standard error of the estimate; NaN where there is one run per arm."""
        return self.sd / math.sqrt(self.n) if self.n else math.nan

    def at(self, alpha: float) -> "Contrast":
        """Return the same contrast with the intervals of another alpha (0 < alpha < 0.5)."""
        check_alpha(alpha)
        if self.n < 2:
            return dataclasses.replace(self, alpha=alpha)
        low, high = interval(self.estimate, self.se, self.df, alpha)
        inner_low, inner_high = interval(self.estimate, self.se, self.df, 2 * alpha)
        return dataclasses.replace(self, alpha=alpha, low=low, high=high, inner_low=inner_low, inner_high=inner_high)

    def to_json(self) -> dict[str, object]:
        """Return the fields as JSON data; what is infinite or unknown becomes None."""
        data = {**dataclasses.asdict(self), "differences": list(self.differences), "seeds": list(self.seeds)}
        return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in data.items()}


def paired(name: str, baseline: Mapping[int, float], arm: Mapping[int, float], alpha: float = 0.05) -> Contrast:
    """Return arm - baseline over the seeds that both have; {seed: value}, ValueError below two shared seeds."""
    check_alpha(alpha)
    check_finite(name, baseline, arm)
    seeds = tuple(sorted(baseline.keys() & arm.keys()))
    if len(seeds) < 2:
        raise ValueError(
            f"{name}: the baseline has the seeds {sorted(baseline)}, the arm {sorted(arm)}; a paired contrast needs two "
            "or more that both have. Run the missing ones, or compare unpaired (Welch)."
        )
    differences = np.array([arm[seed] - baseline[seed] for seed in seeds])
    described = DescrStatsW(differences)
    se = without_rounding(float(described.std_mean), [*baseline.values(), *arm.values()])
    t, p = described.ttest_mean(0.0)[:2] if se > 0 else (None, None)
    return make_contrast(
        name, PAIRED, float(differences.mean()), se, len(seeds) - 1, len(seeds), alpha, t, p, differences.tolist(), seeds
    )


def welch(name: str, baseline: Sequence[float], arm: Sequence[float], alpha: float = 0.05) -> Contrast:
    """Return mean(arm) - mean(baseline), variances not assumed equal; ValueError below two values in either."""
    check_alpha(alpha)
    check_finite(name, dict(enumerate(baseline)), dict(enumerate(arm)))
    if min(len(baseline), len(arm)) < 2:
        raise ValueError(
            f"{name}: the baseline has {len(baseline)} value(s), the arm {len(arm)}; Welch's test needs two or more in "
            "each. Run more seeds."
        )
    means = CompareMeans(DescrStatsW(np.array(arm)), DescrStatsW(np.array(baseline)))
    se = without_rounding(float(means.std_meandiff_separatevar), [*baseline, *arm])
    t, p, df = means.ttest_ind(usevar="unequal") if se > 0 else (None, None, len(arm) + len(baseline) - 2)
    estimate = float(np.mean(arm) - np.mean(baseline))
    return make_contrast(name, WELCH, estimate, se, float(df), min(len(baseline), len(arm)), alpha, t, p)


def untested(name: str, baseline: Sequence[float], arm: Sequence[float], alpha: float = 0.05) -> Contrast:
    """Return the bare difference of means of arms too small for a test: n below 2, infinite intervals, p = 1."""
    check_alpha(alpha)
    check_finite(name, dict(enumerate(baseline)), dict(enumerate(arm)))
    if not baseline or not arm:
        raise ValueError(f"{name}: the baseline has {len(baseline)} value(s), the arm {len(arm)}; give one or more of each.")
    estimate, inf = float(np.mean(arm) - np.mean(baseline)), math.inf
    return Contrast(name, UNTESTED, estimate, -inf, inf, -inf, inf, 0.0, 0.0, 1.0, 1, math.nan, (), (), alpha)


def contrast(name: str, baseline: Mapping[int, float], arm: Mapping[int, float], alpha: float = 0.05) -> Contrast:
    """Return the contrast that these runs allow: paired where two seeds are shared, else Welch, else `untested`."""
    if len(baseline.keys() & arm.keys()) >= 2:
        return paired(name, baseline, arm, alpha)
    values, others = list(baseline.values()), list(arm.values())
    return (welch if min(len(values), len(others)) >= 2 else untested)(name, values, others, alpha)


def make_contrast(
    name: str,
    method: str,
    estimate: float,
    se: float,
    df: float,
    n: int,
    alpha: float,
    t: float | None = None,
    p: float | None = None,
    differences: Sequence[float] = (),
    seeds: Sequence[int] = (),
) -> Contrast:
    """Return a contrast with its intervals from a standard error with `df` degrees of freedom (`se` = 0: no spread)."""
    if se == 0 or t is None or p is None:
        t, p = (0.0, 1.0) if estimate == 0 else (math.copysign(math.inf, estimate), 0.0)
    low, high = interval(estimate, se, df, alpha)
    inner = interval(estimate, se, df, 2 * alpha)
    sd = se * math.sqrt(n)
    return Contrast(
        name, method, estimate, low, high, *inner, float(t), float(df), float(p), n, sd, tuple(differences), tuple(seeds), alpha
    )


def interval(estimate: float, se: float, df: float, alpha: float) -> tuple[float, float]:
    """Return the two-sided (1 - alpha) t interval; a point where `se` is 0."""
    if se == 0:
        return estimate, estimate
    low, high = stats.t.interval(1 - alpha, df, loc=estimate, scale=se)
    return float(low), float(high)


def without_rounding(spread: float, values: Sequence[float]) -> float:
    """Return `spread`, or 0.0 where it is no more than the rounding of these values."""
    return 0.0 if spread <= 32 * sys.float_info.epsilon * max(abs(value) for value in values) else spread


def check_finite(name: str, *arms: Mapping[int, float]) -> None:
    """ValueError naming the first value that is NaN or infinite."""
    for arm in arms:
        for seed, value in arm.items():
            if not math.isfinite(value):
                raise ValueError(
                    f"{name}: run {seed} has the value {value}; tests need finite ones. Leave the run out and say so, "
                    "or run it again: a diverged run is a result of its own."
                )
