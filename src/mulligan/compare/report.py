"""All that can be said of a set of arms, as one plain dictionary: what `mulligan compare` prints."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from mulligan.compare.contrast import PAIRED, Contrast, contrast, welch
from mulligan.compare.equivalence import tost_paired, tost_welch
from mulligan.compare.factorial import Factorial, factorial
from mulligan.compare.multiplicity import adjust
from mulligan.compare.noise import noise_floor
from mulligan.compare.table import Samples, arm_name
from mulligan.compare.verdict import alpha_per_look, verdict


@dataclass(frozen=True)
class Question:
    """How to judge: alpha, the margin (None: no claim of equivalence), looks, over-budget arms, direction, unit."""

    alpha: float = 0.05
    margin: float | None = None
    looks: int = 1
    over_budget: tuple[tuple[str, ...], ...] = ()
    lower_is_better: bool = True
    unit: str = ""


def report(samples: Samples, factors: Sequence[str], baseline: tuple[str, ...], question: Question) -> dict[str, Any]:
    """Return arms, contrasts with `baseline`, factorial effects, and the noise floor, as JSON data.

    Each contrast is judged on pairs of seeds where two are shared, else by Welch; both are given. p values are corrected
    over the family of contrasts, and over main effects and interactions as another, by Holm (which the verdicts heed)
    and by Benjamini-Hochberg. `factorial` is None, with `factorial_reason`, where the arms form none.
    """
    if baseline not in samples:
        names = "; ".join(arm_name(factors, arm) for arm in samples)
        raise ValueError(f"baseline {arm_name(factors, baseline)}: no such arm. Give one of: {names}.")
    alpha = alpha_per_look(question.alpha, question.looks)
    noise = noise_floor({arm_name(factors, arm): runs for arm, runs in samples.items()}, alpha)
    result: dict[str, Any] = {
        "alpha": question.alpha,
        "looks": question.looks,
        "margin": question.margin,
        "unit": question.unit,
        "lower_is_better": question.lower_is_better,
        "baseline": arm_name(factors, baseline),
        "arms": [_arm(factors, arm, runs, arm in question.over_budget) for arm, runs in samples.items()],
        "contrasts": _contrasts(samples, factors, baseline, question, alpha),
        "noise": None if noise is None else {**dataclasses.asdict(noise), "kind": "between seeds, pooled over arms"},
        "factorial": None,
        "factorial_reason": "",
    }
    if len(factors) < 2:
        return {**result, "factorial_reason": "one factor: its levels are the contrasts above"}
    rows = [
        {**dict(zip(factors, arm, strict=True)), "seed": seed, "value": value}
        for arm, runs in samples.items()
        for seed, value in runs.items()
    ]
    try:
        fits = [
            factorial(rows, factors, baseline=dict(zip(factors, baseline, strict=True)), block_by_seed=block, alpha=alpha)
            for block in (True, False)
        ]
    except ValueError as error:
        return {**result, "factorial_reason": str(error)}
    return {**result, "factorial": {"seeds_as_blocks": _fit(fits[0], question), "seeds_not_blocked": _fit(fits[1], question)}}


def _arm(factors: Sequence[str], arm: tuple[str, ...], runs: dict[int, float], over_budget: bool) -> dict[str, Any]:
    values = list(runs.values())
    return {
        "arm": arm_name(factors, arm),
        "n": len(values),
        "mean": fmean(values),
        "sd": stdev(values) if len(values) > 1 else None,
        "values": {str(seed): value for seed, value in runs.items()},
        "over_budget": over_budget,
    }


def _contrasts(
    samples: Samples, factors: Sequence[str], baseline: tuple[str, ...], question: Question, alpha: float
) -> list[dict[str, Any]]:
    runs = samples[baseline]
    judged = {
        arm: contrast(f"{arm_name(factors, arm)} - {arm_name(factors, baseline)}", runs, samples[arm], alpha)
        for arm in samples
        if arm != baseline
    }
    adjusted = _adjusted(list(judged.values()), alpha)
    result = []
    for arm, main in judged.items():
        both = min(len(runs), len(samples[arm])) >= 2
        values, others = list(runs.values()), list(samples[arm].values())
        tost = None
        if question.margin is not None and main.n >= 2:
            if main.method == PAIRED:
                tost = tost_paired(main.name, runs, samples[arm], question.margin, alpha)
            else:
                tost = tost_welch(main.name, values, others, question.margin, alpha)
        result.append(
            {
                "name": main.name,
                "judged_by": main.method,
                "paired": main.to_json() if main.method == PAIRED else None,
                "welch": welch(main.name, values, others, alpha).to_json() if both else None,
                "difference": main.estimate,
                "unpaired_seeds": sorted(runs.keys() ^ samples[arm].keys()),
                "tost_p": None if tost is None else tost.p,
                **_judged(main, adjusted, question, arm in question.over_budget),
            }
        )
    return result


def _fit(fit: Factorial, question: Question) -> dict[str, Any]:
    family = _adjusted([*fit.main, *fit.interactions], alpha_per_look(question.alpha, question.looks))
    return {
        "levels": {name: list(levels) for name, levels in fit.levels.items()},
        "seeds": list(fit.seeds),
        "dropped_seeds": list(fit.dropped_seeds),
        "residual_sd": fit.residual_sd,
        "df": fit.df,
        "main": [{**effect.to_json(), **_judged(effect, family, question)} for effect in fit.main],
        "interactions": [{**effect.to_json(), **_judged(effect, family, question)} for effect in fit.interactions],
        "simple": [effect.to_json() for effect in fit.simple],
        "anova": [{**dataclasses.asdict(row), "f": row.f if math.isfinite(row.f) else None} for row in fit.anova],
    }


def _adjusted(family: Sequence[Contrast], alpha: float) -> dict[str, tuple[float, float]]:
    """Return {name: (Holm p, BH p)} over the contrasts that could be tested."""
    p = {member.name: member.p for member in family if member.n >= 2}
    holm, bh = adjust(p, "holm", alpha).adjusted, adjust(p, "bh", alpha).adjusted
    return {name: (holm[name], bh[name]) for name in p}


def _judged(
    effect: Contrast, adjusted: dict[str, tuple[float, float]], question: Question, over_budget: bool = False
) -> dict[str, Any]:
    holm, bh = adjusted.get(effect.name, (None, None))
    said = verdict(
        effect,
        question.margin,
        question.alpha,
        over_budget,
        looks=question.looks,
        adjusted_p=holm,
        lower_is_better=question.lower_is_better,
        unit=question.unit,
    )
    words = {"verdict": said.word, "text": said.text, "more_seeds": said.more_seeds, "over_budget": said.over_budget}
    return {"p_holm": holm, "p_bh": bh, "family_size": len(adjusted), **words}
