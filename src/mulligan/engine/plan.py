"""What running a road would do: hit or miss, why, and how many steps and seconds. Torch-free."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mulligan.core.canonical import Json
from mulligan.engine.inline import missing_jobs
from mulligan.engine.job import Job
from mulligan.recipe import flatten
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
    manifests = [entry.manifest for entry in store.entries()] if must_run else []
    return [_plan(job, store, must_run, manifests) for job in jobs]


def _plan(job: Job, store: Store, must_run: set[str], manifests: list[dict[str, Any]]) -> Planned:
    if job.call.key not in must_run:
        hit = store.has(job.call)
        return Planned(job, "hit" if hit else "not needed", "stored" if hit else "nothing that is missing reads it", 0.0)
    if job.call.stage in ("train", "observe"):
        return _plan_training(job, store, must_run, manifests)
    alike = [manifest for manifest in manifests if manifest["header"]["stage"] == job.call.stage]
    seconds = float(np.median([manifest["provenance"]["seconds"] for manifest in alike])) if alike else None
    return Planned(job, "miss", why_missing(job, alike), seconds)


def _plan_training(job: Job, store: Store, must_run: set[str], manifests: list[dict[str, Any]]) -> Planned:
    assert job.trajectory is not None
    if job.call.stage == "observe" and job.trajectory.state_call().key in must_run:
        return Planned(job, "miss", "recorded while training", 0.0)
    alike = [manifest for manifest in manifests if manifest["header"]["stage"] == job.call.stage]
    train = job.trajectory.train
    if isinstance(train.budget, SecondsBudget):
        return Planned(job, "miss", f"{why_missing(job, alike)}; a budget in seconds shares no trunk", train.budget.seconds)
    total = train.num_steps or 0
    begin = int(job.trajectory.latest_cut(store) or 0)
    what = "replays" if job.call.stage == "observe" else "trains"
    why = f"{what} {total - begin} of {total} steps, from step {begin}; {why_missing(job, alike)}"
    return Planned(job, "miss", why, (total - begin) * train.batch_tokens / _tokens_per_second(job, manifests))


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


def _tokens_per_second(job: Job, manifests: list[dict[str, Any]]) -> float:
    """Return the latest measured speed of this network, or a guess from its size and this machine's matrix products."""
    assert job.trajectory is not None
    model = job.trajectory.model.canonical()
    timed = [
        (manifest["provenance"]["published"], manifest["provenance"]["tokens_per_second"])
        for manifest in manifests
        if manifest["header"]["stage"] == "train" and manifest["header"]["config"]["model"] == model
    ]
    if timed:
        return float(max(timed)[1])
    return MODEL_SHARE_OF_PEAK * matrix_flops() / (6 * job.trajectory.model.num_matrix_parameters)


def matrix_flops() -> float:
    """Return the floating-point operations per second of a float32 matrix product here, measured in about 0.1 s."""
    size, rounds = 768, 6
    a = np.ones((size, size), dtype=np.float32)
    a @ a
    began = time.perf_counter()
    for _ in range(rounds):
        a @ a
    return 2 * size**3 * rounds / (time.perf_counter() - began)
