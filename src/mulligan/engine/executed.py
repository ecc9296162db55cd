"""How many training steps were run for what is stored: read off the provenance of states, replays included."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mulligan.core.canonical import digest
from mulligan.engine.job import Job
from mulligan.engine.plan import trunk_cuts
from mulligan.engine.trajectory import Trajectory
from mulligan.store.store import Entry, Store
from mulligan.train.history import shared_until


@dataclass(frozen=True)
class _Work:
    """One uninterrupted stretch of training, and whether it recorded an average that is asked for."""

    published: str
    asked: bool
    start: int
    stop: int
    seconds: float


def executed_steps(jobs: Sequence[Job], store: Store) -> int:
    """Return the steps behind the trainings among `jobs`: each step once, and again where it was replayed for them.

    `jobs` are shared ones (`sharing.share`). A replay counts where it recorded an average that these jobs ask for; those
    of other studies do not.
    """
    trainings = [(job, job.trajectory) for job in jobs if job.call.stage == "train" and job.trajectory is not None]
    asked = [observed.canonical() for _, part in trainings for observed in part.observed]
    entries = list(store.entries())
    total = 0
    for job, part in trainings:
        states = {entry.folder.name: entry for entry in entries if _is_on(entry.manifest["header"], part)}
        observed = [entry for entry in entries if _observes(entry.manifest["header"], states.keys(), asked)]
        work = {*(_work(entry, False) for entry in states.values()), *(_work(entry, True) for entry in observed)}
        total += _count(work, max([0, *trunk_cuts(job, part.last_step)]), part.last_step)
    return total


def _work(entry: Entry, asked: bool) -> _Work:
    provenance = entry.manifest["provenance"]
    start = int(provenance["from_step"])
    return _Work(provenance["published"], asked, start, start + int(provenance["num_steps"]), provenance["seconds"])


def _count(work: Iterable[_Work], begin: int, end: int) -> int:
    """Return the steps of [begin, end) that were run: a step's first time, and every later one that was asked for."""
    done = np.zeros(end - begin, dtype=bool)
    merged: dict[tuple[int, int, float], _Work] = {}
    for piece in sorted(work, key=lambda piece: piece.asked):  # a stretch that recorded something asked for stays so
        merged[piece.start, piece.stop, piece.seconds] = piece
    total = 0
    for piece in sorted(merged.values(), key=lambda piece: (piece.published, piece.asked)):
        span = done[max(0, piece.start - begin) : max(0, piece.stop - begin)]
        total += len(span) if piece.asked else int((~span).sum())
        span[:] = True
    return total


def _observes(header: dict[str, Any], states: Iterable[str], asked: Sequence[Any]) -> bool:
    return header["stage"] == "observe" and header["inputs"][0] in states and header["config"] in asked


def _is_on(header: dict[str, Any], part: Trajectory) -> bool:
    """Say whether a stored value is a state on the way of a training."""
    if header["stage"] != "train":
        return False
    config, history = header["config"], header["config"]["history"]
    kin = digest([{"model": config["model"], "train": config["train"]}, header["inputs"][0], header["seed"]])
    if kin != part.kin or len(history[-1]) != 3:
        return False
    stop = int(history[-1][1])
    return stop <= part.last_step and shared_until(history, part.history.until_step(stop)) == stop
