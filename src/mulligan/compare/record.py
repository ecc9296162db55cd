"""The two rules by which a challenge record was judged, side by side, each in nats per token and in bits per byte.

Written rule: better than the reference by 0.005 nats per token at p < 0.01. Applied rule (from 2026-04-28): one-sided Welch
test against the reference's own runs, p < 0.25. A nat per token is no bit per byte: the factor between them is ln 2 times
the bytes per token of the tokenizer (1.688 with 1,024 pieces, 2.583 with 8,192), and it is always handed in.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from mulligan.compare.contrast import check_finite, without_rounding

Unit = Literal["nats per token", "bits per byte"]
UNITS: tuple[Unit, ...] = ("nats per token", "bits per byte")
MARGIN_NATS = 0.005
WRITTEN_ALPHA = 0.01
APPLIED_ALPHA = 0.25


@dataclass(frozen=True)
class Rule:
    """One test of one rule: `p` one-sided (None where there are too few runs), with its degrees of freedom."""

    name: str
    test: str
    p: float | None
    df: float | None
    alpha: float
    passes: bool


@dataclass(frozen=True)
class Record:
    """A claim under both rules. `gain` is reference - arm (positive is better), in both units, as is the written margin."""

    gain_nats: float
    gain_bpb: float
    margin_nats: float
    margin_bpb: float
    nats_per_bpb: float
    num_reference: int
    num_arm: int
    rules: tuple[Rule, ...]

    def rule(self, name: str) -> Rule:
        """Return the rule of that name: `written, fixed reference`, `written, Welch` or `applied`."""
        return next(rule for rule in self.rules if rule.name == name)


def record(
    reference: Sequence[float], arm: Sequence[float], *, unit: Unit, nats_per_bpb: float, margin_nats: float = MARGIN_NATS
) -> Record:
    """Judge `arm` against `reference` (scores of seeds, lower is better, both in `unit`) by both rules.

    `nats_per_bpb` is how many nats per token one bit per byte is, with this tokenizer on this text; `margin_nats` is per
    token. `written, fixed reference` takes the reference's mean as exact (one-sample t, as claims usually do);
    `written, Welch` counts its noise too. ValueError on an unknown unit, an empty arm or values that are not finite.
    """
    _check_unit(unit)
    check_finite("record", dict(enumerate(reference)), dict(enumerate(arm)))
    if not reference or not arm:
        raise ValueError(f"record: {len(reference)} reference value(s) and {len(arm)} of the arm; give one or more of each.")
    margin_bpb = nats_to_bpb(margin_nats, nats_per_bpb)
    margin = margin_bpb if unit == "bits per byte" else margin_nats
    gain = float(np.mean(reference) - np.mean(arm))
    in_nats = unit == "nats per token"
    rules = (
        _one_sample("written, fixed reference", float(np.mean(reference)) - margin, arm, WRITTEN_ALPHA),
        _welch("written, Welch", reference, arm, margin, WRITTEN_ALPHA),
        _welch("applied", reference, arm, 0.0, APPLIED_ALPHA),
    )
    return Record(
        gain if in_nats else bpb_to_nats(gain, nats_per_bpb),
        nats_to_bpb(gain, nats_per_bpb) if in_nats else gain,
        margin_nats,
        margin_bpb,
        nats_per_bpb,
        len(reference),
        len(arm),
        rules,
    )


def nats_to_bpb(nats_per_token: float, nats_per_bpb: float) -> float:
    """Return bits per byte from nats per token; `nats_per_bpb` = ln 2 x bytes per token, above 0."""
    _check_factor(nats_per_bpb)
    return nats_per_token / nats_per_bpb


def bpb_to_nats(bits_per_byte: float, nats_per_bpb: float) -> float:
    """Return nats per token from bits per byte; `nats_per_bpb` = ln 2 x bytes per token, above 0."""
    _check_factor(nats_per_bpb)
    return bits_per_byte * nats_per_bpb


def _one_sample(name: str, bar: float, arm: Sequence[float], alpha: float) -> Rule:
    test = "one-sample t, one-sided, reference mean taken as exact"
    if len(arm) < 2:
        return Rule(name, test, None, None, alpha, False)
    described = DescrStatsW(np.array(arm))
    if without_rounding(float(described.std_mean), [*arm, bar]) == 0:
        p = float(np.mean(arm) >= bar)
    else:
        p = float(described.ttest_mean(bar, alternative="smaller")[1])
    return Rule(name, test, p, float(len(arm) - 1), alpha, p < alpha)


def _welch(name: str, reference: Sequence[float], arm: Sequence[float], margin: float, alpha: float) -> Rule:
    test = "Welch t, one-sided"
    if min(len(reference), len(arm)) < 2:
        return Rule(name, test, None, None, alpha, False)
    means = CompareMeans(DescrStatsW(np.array(arm)), DescrStatsW(np.array(reference)))
    if without_rounding(float(means.std_meandiff_separatevar), [*arm, *reference]) == 0:
        p, df = float(np.mean(arm) - np.mean(reference) >= -margin), float(len(arm) + len(reference) - 2)
    else:
        _, p, df = (float(x) for x in means.ttest_ind(alternative="smaller", usevar="unequal", value=-margin))
    return Rule(name, test, p, df, alpha, p < alpha)


def _check_unit(unit: str) -> None:
    if unit not in UNITS:
        raise ValueError(f"unit = {unit!r}: unknown. Allowed: {', '.join(UNITS)}.")


def _check_factor(nats_per_bpb: float) -> None:
    if not 0.1 < nats_per_bpb < 100:
        raise ValueError(
            f"nats_per_bpb = {nats_per_bpb}: give ln 2 x bytes per token, the ratio of the two scores of one run "
            "(1.688 with the challenge's 1,024 pieces, 2.583 with its 8,192)."
        )
