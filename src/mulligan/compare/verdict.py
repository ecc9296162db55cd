"""One word per contrast, computed by fixed rules, first match first.

1 fewer than two runs: not testable. 2 the (1 - 2 alpha) interval lies inside +-margin: equivalent, noting where it leaves
out 0. 3 the (1 - alpha) interval leaves out 0: better or worse. 4 anything else: inconclusive, with how many more seeds
would settle it. An arm over the byte budget keeps its numbers and is never better: "over budget" stands in that word's place;
a study writes "illegal" there for scores that break a rule on purpose.
"""

from dataclasses import dataclass
from typing import Literal

from mulligan.compare.check import check_alpha, check_margin
from mulligan.compare.contrast import Contrast
from mulligan.compare.power import equivalence_power, t_power

Word = Literal["better", "worse", "equivalent", "inconclusive", "not testable", "over budget", "illegal"]
POWER = 0.8
MOST_SEEDS = 1000


@dataclass(frozen=True)
class Verdict:
    """A word, one sentence with its numbers, and, where inconclusive, about how many more seeds (None: unknown)."""

    word: Word
    text: str
    more_seeds: int | None = None
    over_budget: bool = False


def verdict(
    contrast: Contrast,
    margin: float | None,
    alpha: float | None = None,
    over_budget: bool = False,
    *,
    looks: int = 1,
    adjusted_p: float | None = None,
    lower_is_better: bool = True,
    unit: str = "",
) -> Verdict:
    """Judge a contrast.

    `margin` (> 0, in the values' unit) is the smallest difference that matters; None rules `equivalent` out. `alpha` is
    the contrast's own unless given, and is split over `looks` (how often the data are judged, declared beforehand).
    `adjusted_p`, corrected over a family, must pass alpha too before a difference is called better or worse.
    """
    alpha = alpha_per_look(contrast.alpha if alpha is None else alpha, looks)
    if margin is not None:
        check_margin(margin)
    tail = "; over the byte budget, so shown and never better" if over_budget else ""
    if contrast.n < 2:
        text = f"{_number(contrast.estimate, unit)} from one run per arm: nothing tells it from seed noise{tail}"
        return Verdict("not testable", text, None, over_budget)
    at = contrast.at(alpha)
    outer = f"{1 - alpha:.4g} interval [{at.low:+.4g}, {at.high:+.4g}]"
    says = f"{_number(at.estimate, unit)}, {outer}, n = {at.n}"
    if margin is not None and -margin < at.inner_low and at.inner_high < margin:
        inner = f"{1 - 2 * alpha:.4g} interval [{at.inner_low:+.4g}, {at.inner_high:+.4g}] inside +-{_number(margin, unit, '')}"
        note = ", though it leaves out 0" if _excludes_zero(at.inner_low, at.inner_high) else ""
        return Verdict("equivalent", f"{_number(at.estimate, unit)}, {inner}{note}, n = {at.n}{tail}", None, over_budget)
    found = _excludes_zero(at.low, at.high)
    if found and (adjusted_p is None or adjusted_p < alpha):
        word: Word = "better" if (at.estimate < 0) == lower_is_better else "worse"
        if at.sd == 0:
            says += "; nothing varies between seeds, check that a seed changes anything"
        return Verdict("over budget" if over_budget and word == "better" else word, says + tail, None, over_budget)
    if found:
        says += f"; p = {at.p:.2g} alone, {adjusted_p:.2g} after correction over its family"
    more = more_seeds(at, margin)
    return Verdict("inconclusive", f"{says}; {_ask(more, margin, unit, looks)}{tail}", more, over_budget)


def alpha_per_look(alpha: float, looks: int) -> float:
    """Return the share of alpha for each of `looks` declared looks at the data (Bonferroni)."""
    check_alpha(alpha)
    if looks < 1:
        raise ValueError(f"looks = {looks}: give how often the data are judged, 1 or more, declared before the first time.")
    return alpha / looks


def more_seeds(contrast: Contrast, margin: float | None) -> int | None:
    """Return about how many seeds per arm to add so that the margin is resolved with chance 0.8 whichever is true.

    That is: a true difference of the margin would be found, and a true difference of 0 would be shown equivalent, at the
    sd observed so far (itself uncertain with few seeds). None without a margin or a spread, or above 1,000 seeds.
    """
    if margin is None or contrast.n < 2 or not contrast.sd > 0:
        return None
    low, high = contrast.n, MOST_SEEDS
    if not _resolves(contrast, margin, high):
        return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _resolves(contrast, margin, middle) else (middle, high)
    return high - contrast.n


def _resolves(contrast: Contrast, margin: float, n: int) -> bool:
    se = float(contrast.sd / n**0.5)
    df = contrast.df * (n - 1) / (contrast.n - 1)
    return min(t_power(margin, se, df, contrast.alpha), equivalence_power(margin, se, df, contrast.alpha)) >= POWER


def _ask(more: int | None, margin: float | None, unit: str, looks: int) -> str:
    if margin is None:
        return "give a margin to learn how many more seeds would settle it"
    if more is None:
        return f"no number of seeds below {MOST_SEEDS:,} is known to resolve +-{_number(margin, unit, '')}"
    declare = "" if looks > 1 else " (exploratory, unless another look was declared beforehand)"
    return f"about {more} more seeds per arm would resolve +-{_number(margin, unit, '')}{declare}"


def _excludes_zero(low: float, high: float) -> bool:
    return low > 0 or high < 0


def _number(value: float, unit: str, sign: str = "+") -> str:
    return f"{value:{sign}.4g} {unit}".rstrip()
