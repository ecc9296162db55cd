"""The result of a study as plain data: every cell's values, failed ones too, then what statistics say of the arms."""

import itertools
from collections.abc import Mapping
from typing import Any

from mulligan.core.difference import flatten
from mulligan.core.error import DivergedError
from mulligan.engine.executed import executed_steps
from mulligan.engine.job import Job
from mulligan.flow import Road
from mulligan.reading import READING, read_values
from mulligan.recipe import Recipe
from mulligan.store.store import Store
from mulligan.study.config import Difference, Payload, Score, Secondary
from mulligan.study.design import Arm, alias_table
from mulligan.study.judge import Marks, judge
from mulligan.study.metric import PRIMARY, addresses_of, find_score, name_of, unit_of
from mulligan.study.plan import Cell, LaidStudy
from mulligan.study.script_cell import ScriptRoad, read_script

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
    values: dict[str, dict[int, float]] = {arm.name: {} for arm in laid.arms}
    for cell in cells:
        if cell["values"].get(metric) is not None:
            values[cell["arm"]][cell["seed"]] = cell["values"][metric]
    wrong = {
        cell["arm"]: cell["average"]["wrong"]
        for cell in cells
        if cell["status"] == "done" and "wrong" in (cell["average"] or {})
    }
    marks = Marks(
        over_budget=frozenset(c["arm"] for c in cells if c["status"] == "done" and c["artifact"]["fits"] is False),
        illegal=tuple(arm for arm in values if any(c["arm"] == arm and metric in c.get("illegal", ()) for c in cells)),
        idle=frozenset(idle_arms(cells, laid.arms[0].name)),
    )
    levels = {arm.name: arm.levels for arm in laid.arms}
    return {"wrong_on_purpose": wrong, **judge(laid.config, levels, values, marks, judged=judged)}


def idle_arms(cells: list[dict[str, Any]], baseline: str) -> set[str]:
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


def _environments(laid: LaidStudy, store: Store) -> list[dict[str, Any]]:
    """Return the environments in which the cells were trained; more than one means that a contrast mixes them."""
    found: list[dict[str, Any]] = []
    for job in itertools.chain.from_iterable(cell.road.jobs for cell in laid.cells):
        if job.call.stage == "train" and store.has(job.call):
            provenance = store.open(job.call).manifest["provenance"]
            here = {**{name: provenance.get(name) for name in ENVIRONMENT}, "world_size": provenance.get("world_size", 1)}
            found += [here] if here not in found else []
    return found
