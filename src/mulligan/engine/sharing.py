"""Sharing: the jobs of many roads as one graph, in which every trunk is trained once and every value made once.

Trainings of one network, corpus and seed part where their histories do. The state at each parting is a job of its own;
all that any of them averages rides along on it. Torch-free.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from mulligan.average.config import Observed
from mulligan.engine.job import Job, Outside
from mulligan.engine.trajectory import Trajectory
from mulligan.train.history import shared_until


def share(roads: Iterable[Sequence[Job]]) -> list[Job]:
    """Return the jobs of all roads, each key once, sources before readers, with the trunks that trainings share."""
    jobs = [job for road in roads for job in road]
    trainings = _trainings(jobs)
    families: dict[str, list[Trajectory]] = {}
    for trajectory in trainings.values():
        families.setdefault(trajectory.kin, []).append(trajectory)
    shared: dict[str, Job] = {}
    for job in jobs:
        if job.call.stage == "train" and job.call.key in trainings:
            end = trainings.pop(job.call.key)
            _add_training(end, families[end.kin], job.sources["corpus"], shared)
        else:
            shared.setdefault(job.call.key, job)
    return list(shared.values())


def _trainings(jobs: Iterable[Job]) -> dict[str, Trajectory]:
    """Return the trajectories by the key of their end; one that several roads ask for records what any of them averages."""
    found: dict[str, Trajectory] = {}
    for job in jobs:
        if job.call.stage == "train" and job.trajectory is not None and not job.trajectory.in_seconds:
            earlier = found.get(job.call.key)
            observed = (*(earlier.observed if earlier else ()), *job.trajectory.observed)
            found[job.call.key] = replace(job.trajectory, observed=tuple(dict.fromkeys(observed)))
    return found


def _add_training(end: Trajectory, kin: Sequence[Trajectory], corpus: Job | Outside, shared: dict[str, Job]) -> None:
    """Add the jobs of one training: a trunk for each step at which another training parts from it, then the rest."""
    until = [(other, shared_until(end.way, other.way)) for other in kin]
    forks = sorted({step for _, step in until if 0 < step < end.last_step})
    trunk: list[Job] = []
    for step in forks:
        trunk = _add(replace(end, stop=step, observed=_riding(until, step)), corpus, trunk, shared)
    _add(replace(end, observed=_riding(until, end.last_step)), corpus, trunk, shared)


def _riding(until: Sequence[tuple[Trajectory, int]], step: int) -> tuple[Observed, ...]:
    """Return what must have been recorded at `step` for any training that goes through the state there or ends at it."""
    through = [other for other, shared_steps in until if shared_steps >= step]
    asked = ((observed, other) for other in through for observed in other.observed)
    return tuple(dict.fromkeys(observed for observed, other in asked if other.last_step == step or other.begun(observed, step)))


def _add(part: Trajectory, corpus: Job | Outside, trunk: list[Job], shared: dict[str, Job]) -> list[Job]:
    """Add the state at the end of `part` and what is observed there, each after the other; return these jobs."""
    sources: dict[str, Job | Outside] = {"corpus": corpus, **{f"trunk{i}": job for i, job in enumerate(trunk)}}
    call = part.state_call()
    train = shared.setdefault(call.key, Job("train", call, sources, trajectory=part, wanted=False))
    added = [train]
    for observed in part.observed:
        call = part.observe_call(observed)
        reads = {**sources, "state": added[0], "after": added[-1]}
        added.append(shared.setdefault(call.key, Job("observe", call, reads, trajectory=part, wanted=False)))
    return added
