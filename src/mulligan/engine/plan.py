"""What running a road would do: hit or miss, why, and how many steps and seconds. Torch-free."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mulligan.core.canonical import Json, digest
from mulligan.core.difference import flatten
from mulligan.engine.inline import missing_jobs
from mulligan.engine.job import Job
from mulligan.engine.trajectory import Trajectory
from mulligan.store.stage_call import StageCall
from mulligan.store.store import Store
from mulligan.train.config import SecondsBudget

MODEL_SHARE_OF_PEAK = 0.35
"""Share of the matrix-product peak that eager training reaches on CPU (a guess until a run has been timed)."""


@dataclass(frozen=True)
class Planned:
    """One line of a plan. `status` is hit, miss, or not needed; `seconds` None where nothing is known."""

    job: Job
    status: str
    why: str
    seconds: float | None


def plan_jobs(jobs: Sequence[Job], store: Store) -> list[Planned]:
    """Return what `run_jobs` would do with each job."""
    must_run = missing_jobs(jobs, store)
    estimate = Estimate(jobs, store, must_run)
    return [_plan(job, store, must_run, estimate) for job in jobs]


class Estimate:
    """The seconds that missing jobs will take, by what is stored: speeds of networks, medians of stages."""

    def __init__(self, jobs: Sequence[Job], store: Store, must_run: set[str]) -> None:
        self.steps = training_steps(jobs, store, must_run)
        self.alike: dict[str, list[dict[str, Any]]] = {}
        for manifest in (entry.manifest for entry in store.entries()) if must_run else ():
            self.alike.setdefault(manifest["header"]["stage"], []).append(manifest)
        self.medians = {
            stage: float(np.median([manifest["provenance"]["seconds"] for manifest in found]))
            for stage, found in self.alike.items()
        }
        self.speeds: dict[str, float] = {}

    def seconds(self, job: Job) -> float | None:
        """Return the seconds of a job that must run; None where nothing is known."""
        part = job.trajectory
        if part is None or job.call.stage not in ("train", "observe"):
            return self.medians.get(job.call.stage)
        if isinstance(part.train.budget, SecondsBudget):
            return part.train.budget.seconds if job.call.stage == "train" else 0.0
        begin, end = self.steps[job.call.key]
        tokens = part.train.batch_sizes.tokens
        return (tokens(end) - tokens(begin)) / self._speed(part) if end > begin else 0.0

    def _speed(self, part: Trajectory) -> float:
        network = digest(part.model.canonical())
        if network not in self.speeds:
            self.speeds[network] = tokens_per_second(part, self.alike.get("train", []))
        return self.speeds[network]


def training_steps(jobs: Sequence[Job], store: Store, must_run: set[str]) -> dict[str, tuple[int, int]]:
    """Return for each job that must train the steps from which to which it does, by key; equal ones where nothing is left.

    A training goes on from the latest state that is stored or that a trunk before it will leave.
    """
    coming: set[str] = set()
    found: dict[str, tuple[int, int]] = {}

    def has(call: StageCall) -> bool:
        return call.key in coming or store.has(call)

    for job in jobs:
        if job.call.key not in must_run or job.trajectory is None or job.call.stage not in ("train", "observe"):
            continue
        part = job.trajectory
        if part.in_seconds:
            continue
        stop = part.last_step
        if job.call.key in coming:  # recorded by the training before it
            found[job.call.key] = (stop, stop)
            continue
        riding = [observed for observed in part.observed if not store.has(part.observe_call(observed))]
        planned = [cut for cut in trunk_cuts(job, stop) if part.can_begin(cut, riding, has)]
        found[job.call.key] = (int(max([part.latest_cut(store, riding) or 0, *planned])), stop)
        coming |= {part.state_call().key, *(part.observe_call(observed).key for observed in riding)}
    return found


def trunk_cuts(job: Job, stop: int) -> list[int]:
    """Return the steps at which trunks of `job` end."""
    read = [source.trajectory for source in job.sources.values() if isinstance(source, Job)]
    return [trunk.last_step for trunk in read if trunk is not None and trunk.last_step < stop]


def _plan(job: Job, store: Store, must_run: set[str], estimate: Estimate) -> Planned:
    if job.call.key not in must_run:
        hit = store.has(job.call)
        return Planned(job, "hit" if hit else "not needed", "stored" if hit else "nothing that is missing reads it", 0.0)
    why = why_missing(job, estimate.alike.get(job.call.stage, []))
    if job.trajectory is not None and job.call.stage in ("train", "observe"):
        why = _why_training(job, estimate.steps.get(job.call.key), why)
    return Planned(job, "miss", why, estimate.seconds(job))


def _why_training(job: Job, steps: tuple[int, int] | None, why: str) -> str:
    if steps is None:
        return f"{why}; a budget in seconds shares no trunk"
    begin, end = steps
    if begin == end:
        return "recorded while training"
    what = "replays" if job.call.stage == "observe" else "trains"
    return f"{what} {end - begin} of {end} steps, from step {begin}; {why}"


def why_missing(job: Job, alike: list[dict[str, Any]]) -> str:
    """Return how the call differs from the nearest stored one of its stage."""
    if not alike:
        return f"no {job.call.stage} value is stored"
    here = flatten(job.call.header)
    nearest = min((_differences(here, flatten(manifest["header"])) for manifest in alike), key=len)
    shown = ", ".join(nearest[:3]) + (f" and {len(nearest) - 3} more" if len(nearest) > 3 else "")
    return f"differs from the nearest stored value in {shown}"


def _differences(here: dict[str, Json], there: dict[str, Json]) -> list[str]:
    paths = [*here, *(path for path in there if path not in here)]
    return [_named(path, here, there) for path in paths if here.get(path) != there.get(path)]


def _named(path: str, here: dict[str, Json], there: dict[str, Json]) -> str:
    if path.startswith("inputs."):
        return "an input"
    return f"{path} ({there.get(path)} -> {here.get(path)})"


def tokens_per_second(part: Trajectory, manifests: list[dict[str, Any]]) -> float:
    """Return the latest speed of this network among `manifests` of trainings, or a guess from its size and this machine."""
    model = part.model.canonical()
    timed = [
        (manifest["provenance"]["published"], manifest["provenance"]["tokens_per_second"])
        for manifest in manifests
        if manifest["header"]["config"]["model"] == model
    ]
    if timed:
        return float(max(timed)[1])
    return MODEL_SHARE_OF_PEAK * matrix_flops() / (6 * part.model.num_matrix_parameters)


def matrix_flops() -> float:
    """Return the floating-point operations per second of a float32 matrix product here, measured in about 0.1 s."""
    size, rounds = 768, 6
    a = np.ones((size, size), dtype=np.float32)
    a @ a
    began = time.perf_counter()
    for _ in range(rounds):
        a @ a
    return 2 * size**3 * rounds / (time.perf_counter() - began)
