"""Statistics of one metric of a study: from values by arm and seed to contrasts, effects and verdicts, as JSON data.

What is judged may have been measured here or read from a recorded result; nothing else of a run is asked for. Torch-free.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mulligan.compare.contrast import Contrast, contrast, paired
from mulligan.compare.factorial import factorial
from mulligan.compare.multiplicity import Method, adjust
from mulligan.compare.noise import noise_floor
from mulligan.compare.verdict import Verdict, alpha_per_look, verdict
from mulligan.study.config import FullFactorial, StudyConfig

IDLE = "no reading and no byte differs from the baseline in any seed: the lever did not act (does anything read what it sets?)"
Levels = Mapping[str, Mapping[str, str]]
Values = Mapping[str, Mapping[int, float]]


@dataclass(frozen=True)
class Marks:
    """Arms of which more is to be said than their values: over the byte budget, illegal, or without any effect at all."""

    over_budget: frozenset[str] = frozenset()
    illegal: tuple[str, ...] = ()
    idle: frozenset[str] = frozenset()


def judge(study: StudyConfig, levels: Levels, values: Values, marks: Marks, *, judged: bool = True) -> dict[str, Any]:
    """Return values, noise, contrasts with the baseline and, for a full factorial, effects; verdicts if `judged`.

    `levels`: {arm: {factor: level}}, the baseline first. `values`: {arm: {seed: value}} for each of these arms.
    """
    alpha = alpha_per_look(study.alpha, study.looks)
    baseline = next(iter(levels))
    contrasts = {
        arm: contrast(f"{arm} - {baseline}", values[baseline], values[arm], alpha)
        for arm in levels
        if arm != baseline and values[arm] and values[baseline]
    }
    effects = _effects(study, levels, values, alpha)
    result: dict[str, Any] = {
        "values": {arm: {str(seed): value for seed, value in sorted(found.items())} for arm, found in values.items()},
        "noise": _json(noise_floor(values, alpha)),
        "over_budget": sorted(marks.over_budget),
        "illegal": list(marks.illegal),
        "contrasts": {name: found.to_json() for name, found in contrasts.items()},
        "effects": {kind: [_effect(effect, alpha) for effect in found] for kind, found in effects.items()},
    }
    if not judged:
        return result
    found = _verdicts(study, contrasts, effects, marks)
    for arm in marks.illegal:
        if arm in found["verdicts"] and found["verdicts"][arm]["word"] == "better":
            found["verdicts"][arm]["word"] = "illegal"
    return result | found


def _verdicts(
    study: StudyConfig, contrasts: Mapping[str, Contrast], effects: Mapping[str, Any], marks: Marks
) -> dict[str, Any]:
    """Return the verdicts on arms and effects, each family corrected on its own."""

    def word(found: Contrast, adjusted_p: float | None, *, dead: bool, over_budget: bool = False) -> Any:
        if dead:
            return _json(Verdict("not testable", IDLE, None, over_budget))
        given: dict[str, Any] = {"adjusted_p": adjusted_p, "looks": study.looks, "unit": "bpb"}
        return _json(verdict(found, study.margin_bpb, study.alpha, over_budget, **given))

    method: Method = "holm" if study.phase == "confirm" else "bh"
    alpha = alpha_per_look(study.alpha, study.looks)
    arms = adjust({name: found.p for name, found in contrasts.items() if found.n >= 2}, method, alpha)
    judged = [effect for kind in ("main", "interactions") for effect in effects.get(kind, ())]
    family = adjust({effect.name: effect.p for effect in judged}, method, alpha)
    return {
        "correction": {"method": method, "text": arms.text, "alpha": alpha},
        "adjusted_p": {**arms.adjusted, **family.adjusted},
        "verdicts": {
            name: word(found, arms.adjusted.get(name), dead=name in marks.idle, over_budget=name in marks.over_budget)
            for name, found in contrasts.items()
        },
        "effect_verdicts": {
            effect.name: word(effect, family.adjusted.get(effect.name), dead=bool(marks.idle) and not any(effect.differences))
            for effect in judged
        },
    }


def _effect(effect: Contrast, alpha: float) -> dict[str, Any]:
    """Return an effect with its interval from the model, and beside it the one of its own values seed by seed.

    The model pools what is left over all cells; where one factor's effect varies with the seed, that is too wide for
    the others and too narrow for it. The two intervals together tell.
    """
    alone = paired(
        effect.name, dict.fromkeys(effect.seeds, 0.0), dict(zip(effect.seeds, effect.differences, strict=True)), alpha
    )
    return {**effect.to_json(), "by_seed": {"low": alone.low, "high": alone.high, "p": alone.p}}


def _effects(study: StudyConfig, levels: Levels, values: Values, alpha: float) -> dict[str, Any]:
    """Return main effects, interactions and simple effects of a full factorial of two factors or more, where it is whole."""
    factors = list(study.factors)
    if not isinstance(study.design, FullFactorial) or len(factors) < 2:
        return {}
    whole = set.intersection(*(set(found) for found in values.values()))
    if len(whole) < 2:
        return {}
    rows = [{"seed": seed, "value": value, **of} for arm, of in levels.items() for seed, value in values[arm].items()]
    fitted = factorial(rows, factors, baseline=next(iter(levels.values())), alpha=alpha)
    return {"main": fitted.main, "interactions": fitted.interactions, "simple": fitted.simple}


def _json(value: Any) -> Any:
    return None if value is None else dataclasses.asdict(value)
