"""The inline engine: runs what is missing in this process, one job at a time, each under its key's lock.

With several ranks, rank 0 runs the jobs, and the others train and score with it.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from mulligan.core.execution import Execution
from mulligan.engine.job import Job, folder_of
from mulligan.engine.stage_runner import run_job
from mulligan.store.store import Store


@dataclass(frozen=True)
class Done:
    """What became of a job: "hit", "ran", or "skipped" (missing, but nothing that is missing reads it)."""

    job: Job
    status: str
    seconds: float


def missing_jobs(jobs: Sequence[Job], store: Store) -> set[str]:
    """Return the keys of the jobs that must run: missing, and wanted or read by one that must run."""
    must_run: set[str] = set()
    read: set[str] = set()
    for job in reversed(jobs):
        if not store.has(job.call) and (job.wanted or job.call.key in read):
            must_run.add(job.call.key)
            read |= {source.call.key for source in job.sources.values() if isinstance(source, Job)}
    return must_run


def run_jobs(jobs: Sequence[Job], store: Store, execution: Execution) -> list[Done]:
    """Run the missing jobs in order and open every stored value, so that all of its bytes are verified."""
    must_run = missing_jobs(jobs, store)
    done: list[Done] = []
    checked = False
    for job in jobs:
        began = time.monotonic()
        if job.call.key in must_run:
            if job.trajectory is not None and not checked:
                from mulligan.engine.preflight import preflight

                preflight(jobs, store)
                checked = True
            with store.lock(job.call):
                if not store.has(job.call):  # else another process made it while we waited
                    run_job(job, store, execution)
            status = "ran"
        else:
            status = "hit" if store.has(job.call) else "skipped"
        if status != "skipped":
            store.open(job.call)
        done.append(Done(job, status, time.monotonic() - began))
    return done


def follow_jobs(jobs: Sequence[Job], store: Store, execution: Execution) -> None:
    """On a rank that is not the first: train and score with rank 0 what it does, until it says that nothing is left.

    It alone decides what is missing, holds locks, publishes, and runs every other stage; and what is not among `jobs`.
    """
    from mulligan.engine.stage_runner import scoring_of
    from mulligan.engine.training import run_trajectory

    trainings = {job.trajectory.state_call().key: job for job in jobs if job.trajectory is not None and "corpus" in job.sources}
    scores = {job.call.key: job for job in jobs if job.call.stage == "evaluate"}
    while key := execution.ranks.from_first(""):
        known = key in trainings or key in scores
        if execution.ranks.largest(float(not known)):
            continue
        if key in scores:
            scoring_of(scores[key], store, execution).summary()
            continue
        trajectory = trainings[key].trajectory
        assert trajectory is not None
        run_trajectory(trajectory, folder_of(trainings[key].sources["corpus"], store), store, execution)
