"""The result of a study as plain data: every cell's values, failed ones too, then what statistics say of the arms."""

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any

from mulligan.compare.contrast import Contrast, contrast, paired
from mulligan.compare.factorial import factorial
from mulligan.compare.multiplicity import Method, adjust
from mulligan.compare.noise import noise_floor
from mulligan.compare.verdict import Verdict, alpha_per_look, verdict
from mulligan.core.difference import flatten
from mulligan.core.error import DivergedError
from mulligan.engine.executed import executed_steps
from mulligan.engine.job import Job
from mulligan.flow import Road
from mulligan.reading import READING, read_values
from mulligan.recipe import Recipe
from mulligan.store.store import Store
from mulligan.study.config import Difference, FullFactorial, Payload, Score, Secondary, StudyConfig
from mulligan.study.design import Arm, alias_table
from mulligan.study.metric import PRIMARY, addresses_of, find_score, name_of, unit_of
from mulligan.study.plan import Cell, LaidStudy
from mulligan.study.script_cell import ScriptRoad, read_script

IDLE = "no reading and no byte differs from the baseline in any seed: the lever did not act (does anything read what it sets?)"
ENVIRONMENT = ("torch", "num_threads", "device", "machine", "commit")


def read_study(laid: LaidStudy, store: Store, failed: Mapping[str, str]) -> dict[str, Any]:
    """Return the result of what is in the store; `failed`: why jobs failed, by key. JSON data."""
    study = laid.config
    cells = [_read_cell(cell, laid, store, failed) for cell in laid.cells]
    return {
        "study": study.model_dump(mode="json"),
        "hash": laid.hash,
        "aliases": alias_table(study),
        "baseline": laid.arms[0].name,
        "arms": [_describe(arm) for arm in laid.arms],
        "cells": cells,
        "steps": {"executed": executed_steps(laid.jobs, store), "without_sharing": laid.steps_without_sharing},
        "environments": _environments(laid, store),
        "primary": {"name": f"{study.metric}", "unit": "bits per byte", **_compare(laid, cells, PRIMARY, judged=True)},
        "secondary": [
            {"name": name_of(metric), "unit": unit_of(metric), **_compare(laid, cells, name_of(metric), judged=False)}
            for metric in study.secondary
        ],
    }


def _describe(arm: Arm) -> dict[str, Any]:
    difference = {path: list(values) for path, values in arm.difference.items()}
    return {"name": arm.name, "levels": arm.levels, "difference": difference, "recipe": arm.recipe.model_dump(mode="json")}


def _read_cell(cell: Cell, laid: LaidStudy, store: Store, failed: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {"arm": cell.arm.name, "seed": cell.seed, "values": {}}
    errors = [failed[job.call.key] for job in (*cell.jobs, *cell.road.jobs) if job.call.key in failed]
    errors += [cell.error] if cell.error else []
    if errors:
        return {**found, "status": "failed", "error": errors[0]}
    if cell.pending or not all(store.has(job.call) for job in cell.road.jobs if job.wanted):
        return {**found, "status": "not run", "error": None}
    if isinstance(cell.road, ScriptRoad):
        try:
            return {**found, "status": "done", "error": None, **_read_script(cell.road, laid, store)}
        except (ValueError, DivergedError) as error:
            return {**found, "status": "failed", "error": str(error)}
    road = cell.road
    metrics = {name_of(metric): _value(metric, road, store) for metric in laid.config.secondary}
    primary = find_score(road, laid.config.metric)
    found["values"] = {PRIMARY: _bits(primary, store), **metrics}
    read = {PRIMARY: addresses_of(laid.config.metric), **{name_of(m): addresses_of(m) for m in laid.config.secondary}}
    found["illegal"] = [
        name for name, of in read.items() if not all(store.open(find_score(road, a).call).summary()["legal"] for a in of)
    ]
    address = {name: store.open(primary.call).summary().get(name) for name in READING}
    if isinstance(cell.arm.recipe, Recipe) and cell.arm.recipe.fit:
        settings = flatten(road.recipe.model_dump(mode="json"))
        found["fit"] = {path: settings[path] for path in cell.arm.recipe.fit.knob.paths}
    return {**found, "status": "done", "error": None, "address": address, **read_values(road, store)}


def _read_script(road: ScriptRoad, laid: LaidStudy, store: Store) -> dict[str, Any]:
    return read_script(road, store, laid.config.metric, laid.config.secondary)


def _bits(job: Job, store: Store) -> float:
    return float(store.open(job.call).summary()["bits_per_byte"])


def _value(metric: Secondary, road: Road, store: Store) -> float | None:
    if isinstance(metric, Difference):
        return _bits(find_score(road, metric.of), store) - _bits(find_score(road, metric.minus), store)
    if isinstance(metric, Score):
        return _bits(find_score(road, metric.of), store)
    if isinstance(metric, Payload):
        job = road.points["quantized"]
        assert isinstance(job, Job)
        return float(store.open(job.call).summary()["payload_bytes"])
    trained = next((job for job in road.jobs if job.call.stage == "train"), None)
    if trained is None or not store.has(trained.call):
        return None
    provenance = store.open(trained.call).manifest["provenance"]
    return 1000 * float(provenance["seconds"]) / provenance["num_steps"] if provenance["num_steps"] else None


def _compare(laid: LaidStudy, cells: list[dict[str, Any]], metric: str, *, judged: bool) -> dict[str, Any]:
    """Return each arm's values, contrasts with the baseline and, for a full factorial, its effects; verdicts if `judged`."""
    study = laid.config
    values: dict[str, dict[int, float]] = {arm.name: {} for arm in laid.arms}
    for cell in cells:
        if cell["values"].get(metric) is not None:
            values[cell["arm"]][cell["seed"]] = cell["values"][metric]
    alpha = alpha_per_look(study.alpha, study.looks)
    baseline = laid.arms[0].name
    contrasts = {
        arm.name: contrast(f"{arm.name} - {baseline}", values[baseline], values[arm.name], alpha)
        for arm in laid.arms[1:]
        if values[arm.name] and values[baseline]
    }
    wrong = {
        cell["arm"]: cell["average"]["wrong"]
        for cell in cells
        if cell["status"] == "done" and "wrong" in (cell["average"] or {})
    }
    over = {cell["arm"] for cell in cells if cell["status"] == "done" and cell["artifact"]["fits"] is False}
    effects = _effects(laid, values, alpha)
    illegal = [arm for arm in values if any(c["arm"] == arm and metric in c.get("illegal", ()) for c in cells)]
    result: dict[str, Any] = {
        "values": {arm: {str(seed): value for seed, value in sorted(found.items())} for arm, found in values.items()},
        "noise": _json(noise_floor(values, alpha)),
        "over_budget": sorted(over),
        "wrong_on_purpose": wrong,
        "illegal": illegal,
        "contrasts": {name: found.to_json() for name, found in contrasts.items()},
        "effects": {kind: [_effect(effect, alpha) for effect in found] for kind, found in effects.items()},
    }
    if not judged:
        return result
    found = _verdicts(study, contrasts, effects, over, _idle_arms(cells, baseline))
    for arm in illegal:
        if arm in found["verdicts"] and found["verdicts"][arm]["word"] == "better":
            found["verdicts"][arm]["word"] = "illegal"
    return result | found


def _idle_arms(cells: list[dict[str, Any]], baseline: str) -> set[str]:
    """Return the arms in which no reading and no byte differs from the baseline's, in any seed that both have."""
    measured = {
        (cell["arm"], cell["seed"]): (cell["readings"], cell["artifact"]["payload_bytes"])
        for cell in cells
        if cell["status"] == "done"
    }
    same: dict[str, list[bool]] = {}
    for (arm, seed), found in measured.items():
        if arm != baseline and (baseline, seed) in measured:
            same.setdefault(arm, []).append(found == measured[baseline, seed])
    return {arm for arm, equal in same.items() if all(equal)}


def _verdicts(
    study: StudyConfig, contrasts: Mapping[str, Contrast], effects: Mapping[str, Any], over: set[str], idle: set[str]
) -> dict[str, Any]:
    """Return the verdicts on arms and effects, each family corrected on its own; `over`, `idle`: arms over budget, dead."""

    def judge(found: Contrast, adjusted_p: float | None, *, dead: bool, over_budget: bool = False) -> Any:
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
            name: judge(found, arms.adjusted.get(name), dead=name in idle, over_budget=name in over)
            for name, found in contrasts.items()
        },
        "effect_verdicts": {
            effect.name: judge(effect, family.adjusted.get(effect.name), dead=bool(idle) and not any(effect.differences))
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


def _effects(laid: LaidStudy, values: Mapping[str, Mapping[int, float]], alpha: float) -> dict[str, Any]:
    """Return main effects, interactions and simple effects of a full factorial of two factors or more, where it is whole."""
    factors = list(laid.config.factors)
    if not isinstance(laid.config.design, FullFactorial) or len(factors) < 2:
        return {}
    whole = set.intersection(*(set(found) for found in values.values()))
    if len(whole) < 2:
        return {}
    rows = [{"seed": seed, "value": value, **arm.levels} for arm in laid.arms for seed, value in values[arm.name].items()]
    fitted = factorial(rows, factors, baseline=laid.arms[0].levels, alpha=alpha)
    return {"main": fitted.main, "interactions": fitted.interactions, "simple": fitted.simple}


def _json(value: Any) -> Any:
    return None if value is None else dataclasses.asdict(value)


def _environments(laid: LaidStudy, store: Store) -> list[dict[str, Any]]:
    """Return the environments in which the cells were trained; more than one means that a contrast mixes them."""
    found: list[dict[str, Any]] = []
    for job in itertools.chain.from_iterable(cell.road.jobs for cell in laid.cells):
        if job.call.stage == "train" and store.has(job.call):
            provenance = store.open(job.call).manifest["provenance"]
            here = {**{name: provenance.get(name) for name in ENVIRONMENT}, "world_size": provenance.get("world_size", 1)}
            found += [here] if here not in found else []
    return found
