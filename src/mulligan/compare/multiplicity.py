"""Several tests at once: p values corrected over a declared family, through statsmodels.

Holm keeps the chance of any false claim in the family at alpha (to confirm); Benjamini-Hochberg keeps the expected share
of false claims among those made at alpha (to screen).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from statsmodels.stats.multitest import multipletests

from mulligan.compare.check import check_alpha

Method = Literal["holm", "bh"]
_STATSMODELS = {"holm": "holm", "bh": "fdr_bh"}
_TEXT = {
    "holm": "Holm: chance of any false claim in the family",
    "bh": "Benjamini-Hochberg: share of false claims among those made",
}


@dataclass(frozen=True)
class Family:
    """A family of tests after one correction: {name: p}, {name: adjusted p}, the names rejected at alpha."""

    method: Method
    text: str
    alpha: float
    p: dict[str, float]
    adjusted: dict[str, float]
    rejected: tuple[str, ...]


def adjust(p: Mapping[str, float], method: Method = "holm", alpha: float = 0.05) -> Family:
    """Correct the p values (each in 0..1) of a family by `method`; an empty family stays empty."""
    check_alpha(alpha)
    if method not in _STATSMODELS:
        raise ValueError(f"method = {method!r}: unknown. Allowed: holm (to confirm), bh (to screen).")
    for name, value in p.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name}: p = {value} is no probability. Leave tests that could not be made out of the family.")
    if not p:
        return Family(method, _TEXT[method], alpha, {}, {}, ())
    rejected, adjusted = multipletests(list(p.values()), alpha=alpha, method=_STATSMODELS[method])[:2]
    return Family(
        method,
        _TEXT[method],
        alpha,
        dict(p),
        {name: float(value) for name, value in zip(p, adjusted, strict=True)},
        tuple(name for name, found in zip(p, rejected, strict=True) if found),
    )
