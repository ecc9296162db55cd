"""The noise floor: how far runs that differ in nothing but the seed (or in nothing at all) lie apart."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from mulligan.compare.check import check_alpha


@dataclass(frozen=True)
class Noise:
    """A pooled standard deviation in the values' unit.

    `df` is the sum of (values - 1) over the `groups` that have two values or more; (`low`, `high`) is the (1 - alpha)
    chi-square interval of the sd, which is wide: with df = 4 it runs from 0.6 to 2.9 times the sd.
    """

    sd: float
    df: int
    low: float
    high: float
    groups: int
    alpha: float


def noise_floor(arms: Mapping[str, Mapping[int, float]], alpha: float = 0.05) -> Noise | None:
    """Pool the spread between seeds over several arms ({arm: {seed: value}}); None where no arm has two seeds."""
    return _pool((list(values.values()) for values in arms.values()), alpha)


def rerun_noise(reruns: Mapping[str, Sequence[float]], alpha: float = 0.05) -> Noise | None:
    """Pool the spread between runs of one and the same arm and seed ({run: values}); None where nothing was run twice."""
    return _pool(reruns.values(), alpha)


def _pool(groups: Iterable[Sequence[float]], alpha: float) -> Noise | None:
    check_alpha(alpha)
    kept = [np.asarray(group) for group in groups if len(group) >= 2]
    if not kept:
        return None
    df = sum(len(group) - 1 for group in kept)
    squares = sum((len(group) - 1) * float(group.var(ddof=1)) for group in kept)
    low, high = (math.sqrt(squares / float(stats.chi2.ppf(q, df))) for q in (1 - alpha / 2, alpha / 2))
    return Noise(math.sqrt(squares / df), df, low, high, len(kept), alpha)
