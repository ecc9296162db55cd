"""Cells that are runs of somebody's own script: one job each, nothing shared, every number read from its log."""

import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mulligan.core.canonical import Json
from mulligan.core.error import DivergedError
from mulligan.engine.job import Job, script_at
from mulligan.pack.budget import fits
from mulligan.store.stage_call import StageCall
from mulligan.store.store import Store
from mulligan.study.config import Address, Difference, Payload, Score, Script, Secondary
from mulligan.study.metric import PRIMARY, name_of

VERSION = 1


@dataclass(frozen=True)
class ScriptRoad:
    """The one job of a script's cell."""

    script: Script
    jobs: tuple[Job, ...]


def lay_script(script: Script, seed: int) -> ScriptRoad:
    """Return the road of one run; ValueError when its script or launcher is not there.

    The key sees the script's bytes, how it is launched, its variables and the seed.
    """
    source = script_at(Path(script.script))
    program = (shlex.split(script.launch) or [""])[0]
    if shutil.which(program) is None:
        raise ValueError(f"launch = {script.launch!r}: there is no program {program!r} here. Install it, or correct `launch`.")
    variables = {**script.environment, script.seed_variable: str(seed)}
    config: dict[str, Json] = {"launch": script.launch, "environment": dict(variables)}
    call = StageCall("script", VERSION, config, (source.call,), seed)
    settings = {"launch": script.launch, "environment": variables}
    return ScriptRoad(script, (Job("script", call, {"script": source}, settings=settings),))


def read_script(road: ScriptRoad, store: Store, metric: Address, secondary: tuple[Secondary, ...]) -> dict[str, Any]:
    """Return values, readings and bytes of a finished run; DivergedError when the primary reading is not a number."""
    log = store.open(road.jobs[0].call).summary()
    values = {name_of(other): _value(other, log) for other in secondary}
    sizes = {name: log.get(name) for name in ("payload_bytes", "code_bytes", "total_bytes")}
    known = sizes["total_bytes"] is not None
    return {
        "values": {PRIMARY: _bits(metric, log), **values},
        "address": {"log": metric.log},
        "readings": [{"point": name, **reading} for name, reading in log["readings"].items()],
        "average": None,
        "artifact": {
            **sizes,
            "budget_bytes": road.script.budget_bytes,
            "fits": fits(log["total_bytes"], 0, road.script.budget_bytes) if known else None,
            "code_bytes_kind": "as the log states it",
        },
    }


def _bits(address: Address, log: dict[str, Any]) -> float:
    reading = log["readings"].get(address.log)
    if reading is None:
        there = ", ".join(log["readings"]) or "(none)"
        raise ValueError(f"The log has no reading {address.log!r}. There are: {there}.")
    if reading["bits_per_byte"] is None:
        raise DivergedError(f"The reading {address.log!r} is not a number: the run diverged.")
    return float(reading["bits_per_byte"])


def _value(metric: Secondary, log: dict[str, Any]) -> float | None:
    if isinstance(metric, Difference):
        return _bits(metric.of, log) - _bits(metric.minus, log)
    if isinstance(metric, Score):
        return _bits(metric.of, log)
    found = log.get("payload_bytes") if isinstance(metric, Payload) else log["milliseconds_per_step"]
    return None if found is None else float(found)
