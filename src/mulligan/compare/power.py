"""How many seeds a question costs, before they are run: smallest detectable effect, seeds needed, power, TOST power.

`sd` is the spread between seeds of one arm's score and `n` the seeds per arm, in every design. Designs and their standard
errors: `unpaired` sd sqrt(2/n); `paired` sd sqrt(2(1-rho)/n), with rho the correlation of two arms over seeds; and of a 2x2
with seeds as blocks `main` sd sqrt((1-rho)/n) and `interaction` (full size, d11-d10-d01+d00) twice that: four times the seeds.
Power of t tests is that of scipy.special's noncentral t, light to import. TOST power is the exact mean over the chi-square
law of the variance.
"""

import math
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from scipy import special

from mulligan.compare.check import check_alpha, check_margin

HALVINGS = 48

Design = Literal["unpaired", "paired", "main", "interaction"]
DESIGNS: tuple[Design, ...] = ("unpaired", "paired", "main", "interaction")
MAX_SEEDS = 10_000
_QUANTILES = (np.arange(4000) + 0.5) / 4000


@lru_cache(maxsize=512)
def _spread(df: float) -> Any:
    """Return the quantiles of (observed sd / true sd) with `df` degrees of freedom, (4000,)."""
    return np.sqrt(special.chdtri(df, 1 - _QUANTILES) / df)


def standard_error(design: Design, sd: float, n: int, rho: float = 0.5) -> float:
    """Return the standard error of a design's effect from the between-seed `sd` and `n` >= 2 seeds per arm."""
    if design not in DESIGNS:
        raise ValueError(f"design = {design!r}: unknown. Allowed: {', '.join(DESIGNS)}.")
    if not (0 < sd < math.inf and n >= 2 and -1 < rho < 1):
        raise ValueError(f"sd = {sd}, n = {n}, rho = {rho}: needed are sd > 0, n of 2 or more, rho between -1 and 1.")
    factor = {"unpaired": 2.0, "paired": 2 * (1 - rho), "main": 1 - rho, "interaction": 4 * (1 - rho)}[design]
    return sd * math.sqrt(factor / n)


def degrees_of_freedom(design: Design, n: int) -> int:
    """Return the residual degrees of freedom of a design with `n` seeds per arm."""
    return {"unpaired": 2, "paired": 1, "main": 3, "interaction": 3}[design] * (n - 1)


def power_at(effect: float, design: Design, sd: float, n: int, *, rho: float = 0.5, alpha: float = 0.05) -> float:
    """Return the chance (0..1) that a true `effect` is found at two-sided `alpha`."""
    check_alpha(alpha)
    return t_power(effect, standard_error(design, sd, n, rho), degrees_of_freedom(design, n), alpha)


def smallest_effect(design: Design, sd: float, n: int, *, rho: float = 0.5, alpha: float = 0.05, power: float = 0.8) -> float:
    """Return the smallest true effect (> 0, in the unit of `sd`) found with chance `power` (above alpha, below 1)."""
    check_alpha(alpha)
    _check_power(power, alpha)
    se, df = standard_error(design, sd, n, rho), degrees_of_freedom(design, n)
    high = 1.0
    while t_power(high * se, se, df, alpha) < power:
        high *= 2
    low = 0.0
    for _ in range(HALVINGS):  # scipy.optimize would find it in fewer steps, and takes a quarter of a second to import
        middle = (low + high) / 2
        low, high = (middle, high) if t_power(middle * se, se, df, alpha) < power else (low, middle)
    return se * high


def seeds_needed(
    effect: float,
    design: Design,
    sd: float,
    *,
    rho: float = 0.5,
    alpha: float = 0.05,
    power: float = 0.8,
    sided: Literal[1, 2] = 2,
) -> int:
    """Return the seeds per arm at which a true `effect` is found with chance `power`; ValueError above 10,000."""
    check_alpha(alpha)
    _check_power(power, alpha)
    if effect == 0:
        raise ValueError("effect = 0: no number of seeds finds an effect of nothing. Give the smallest one that matters.")
    level = 2 * alpha if sided == 1 else alpha  # the other tail's share of the power is nil
    for n in range(2, MAX_SEEDS + 1):
        if t_power(effect, standard_error(design, sd, n, rho), degrees_of_freedom(design, n), level) >= power:
            return n
    raise ValueError(f"effect = {effect} at sd = {sd} needs more than {MAX_SEEDS:,} seeds per arm. Ask for a greater effect.")


def tost_power(
    margin: float, design: Design, sd: float, n: int, *, effect: float = 0.0, rho: float = 0.5, alpha: float = 0.05
) -> float:
    """Return the chance (0..1) of showing |difference| < margin by TOST where the true difference is `effect`."""
    check_alpha(alpha)
    check_margin(margin)
    return equivalence_power(margin, standard_error(design, sd, n, rho), degrees_of_freedom(design, n), alpha, effect)


def gain_for_record(sd: float, n: int, *, margin: float = 0.005, alpha: float = 0.01) -> float:
    """Return the observed gain that passes "better by `margin` at p < alpha", one-sided t, n runs against n.

    `sd` and `margin` share one unit; the defaults are those of the written record rule, in nats per token.
    """
    check_alpha(alpha)
    se, df = standard_error("unpaired", sd, n), degrees_of_freedom("unpaired", n)
    return margin + float(special.stdtrit(df, 1 - alpha)) * se


def t_power(effect: float, se: float, df: float, alpha: float) -> float:
    """Return the power of a two-sided t test from the effect's standard error (> 0) and its degrees of freedom."""
    size, critical = abs(effect) / se, float(special.stdtrit(df, 1 - alpha / 2))
    upper, lower = 1 - float(special.nctdtr(df, size, critical)), float(special.nctdtr(df, size, -critical))
    # the noncentral t is NaN here and there: in the far tail beyond size 5 (below 1e-6), in the near one beyond 50
    upper = upper if math.isfinite(upper) else 1.0
    return upper + (lower if math.isfinite(lower) else 0.0)


def equivalence_power(margin: float, se: float, df: float, alpha: float, effect: float = 0.0) -> float:
    """Return the power of a TOST from the standard error (> 0) and its degrees of freedom."""
    reach = float(special.stdtrit(df, 1 - alpha)) * _spread(df)
    inside = special.ndtr((margin - effect) / se - reach) - special.ndtr((-margin - effect) / se + reach)
    return float(np.maximum(inside, 0.0).mean())


def _check_power(power: float, alpha: float) -> None:
    if not alpha < power < 1:
        raise ValueError(f"power = {power}: give a chance above alpha ({alpha}) and below 1, such as 0.8.")
