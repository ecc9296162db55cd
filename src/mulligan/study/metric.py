"""Which number of a cell is meant: an address names one reading, and in every arm the same one. Torch-free.

Checked before anything runs; scores whose addresses differ in more than a factor says are never subtracted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from mulligan.engine.job import Job
from mulligan.flow import Road
from mulligan.study.config import PRIMARY as PRIMARY
from mulligan.study.config import Address, Difference, Payload, Score, Script, Secondary, StudyConfig
from mulligan.study.design import Arm


def name_of(metric: Secondary) -> str:
    """Return the name under which a secondary metric is reported."""
    return metric.name if isinstance(metric, Difference | Score) else metric.kind


def unit_of(metric: Secondary) -> str:
    """Return the unit of a secondary metric."""
    if isinstance(metric, Difference | Score):
        return "bits per byte"
    return "bytes" if isinstance(metric, Payload) else "milliseconds"


def find_score(road: Road, address: Address) -> Job:
    """Return the evaluate job that an address means on a road; ValueError when none or several fit."""
    assert address.point is not None
    scores = [job for job in road.jobs if job.call.stage == "evaluate"]
    point = address.point if address.point in (*road.points, "adapted") else "raw"
    of_point = [job for job in scores if job.settings["point"] == point]
    if point == "adapted" and not of_point:  # without adaptation it is what would be adapted, in the last of the windows
        of_point = [job for job in scores if job.settings["point"] == "quantized"][-1:]
    fitting = [job for job in of_point if _fits(job, address)]
    if len(fitting) != 1:
        there = "; ".join(str(_address(job)) for job in scores)
        raise ValueError(
            f"The metric ({address}) names {len(fitting)} readings of the recipe, and must name one. There are: {there}."
        )
    return fitting[0]


def _fits(job: Job, address: Address) -> bool:
    windows = job.settings["windows"]
    asked = {name: getattr(address, name) for name in ("context_len", "stride")}
    if address.windows is not None and windows.kind != address.windows:
        return False
    return all(value is None or getattr(windows, name) == value for name, value in asked.items())


def _address(job: Job) -> Address:
    windows = job.settings["windows"]
    stride = None if windows.kind == "flat" else windows.stride
    return Address(point=job.settings["point"], windows=windows.kind, context_len=windows.context_len, stride=stride)


def check_metrics(study: StudyConfig, arms: Sequence[Arm], roads: Sequence[Road]) -> None:
    """Raise ValueError unless every metric names one reading in each arm, and the same one where no factor varies it."""
    addresses = _named(study)
    wanted = "log" if isinstance(study.recipe, Script) else "point"
    for address in addresses:
        if getattr(address, wanted) is None:
            raise ValueError(f"The metric ({address}) needs `{wanted}`: the recipe is {_kind(study)}.")
    if isinstance(study.recipe, Script):
        return
    varied = any(
        path.split(".")[0] in ("evaluate", "data") for factor in study.factors.values() for path in _paths(factor.changes)
    )
    for address in addresses:
        found = {arm.name: _measured(find_score(road, address)) for arm, road in zip(arms, roads, strict=True)}
        if len({str(measured) for measured in found.values()}) > 1 and not varied:
            raise ValueError(f"The metric ({address}) is another measurement in each arm, and no factor varies it: {found}.")


def taken(study: StudyConfig, road: Road) -> Road:
    """Return a road with those readings alone that a metric of the study names."""
    named = {find_score(road, address).call.key for address in _named(study)}
    return replace(road, jobs=tuple(job for job in road.jobs if job.call.stage != "evaluate" or job.call.key in named))


def _named(study: StudyConfig) -> list[Address]:
    """Return the address of every reading that a metric of the study is made of."""
    return [address for metric in (study.metric, *study.secondary) for address in addresses_of(metric)]


def _kind(study: StudyConfig) -> str:
    return "a script, whose readings are named by its log" if isinstance(study.recipe, Script) else "ours"


def addresses_of(metric: Address | Secondary) -> tuple[Address, ...]:
    """Return the addresses of the readings that a metric is made of."""
    if isinstance(metric, Difference):
        return metric.of, metric.minus
    return (metric.of,) if isinstance(metric, Score) else (metric,) if isinstance(metric, Address) else ()


def _paths(changes: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return [path for change in changes.values() for path in change]


def _measured(job: Job) -> dict[str, Any]:
    """Return what bears on what is measured: windows, precision, denominators, documents, corpus; not the grid."""
    config = {name: value for name, value in job.call.config.items() if name != "grid"}
    return {**config, "corpus": job.call.inputs[1].key}
