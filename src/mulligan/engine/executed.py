"""How many training steps were run for what is stored: read off the provenance of states, replays included."""

from collections.abc import Iterable, Sequence
from typing import Any

from mulligan.core.canonical import digest
from mulligan.engine.job import Job
from mulligan.engine.plan import trunk_cuts
from mulligan.engine.trajectory import Trajectory
from mulligan.store.store import Entry, Store
from mulligan.train.history import shared_until


def executed_steps(jobs: Sequence[Job], store: Store) -> int:
    """Return the steps behind the trainings among `jobs`: each step that a stored state covers once, and replays.

    `jobs` are shared ones (`sharing.share`). A replay counts where it recorded an average that these jobs ask for; those
    of other studies do not.
    """
    trainings = [(job, job.trajectory) for job in jobs if job.call.stage == "train" and job.trajectory is not None]
    entries = list(store.entries())
    states = [entry for entry in entries if entry.manifest["header"]["stage"] == "train"]
    total = 0
    on_the_way: set[str] = set()
    for job, part in trainings:
        mine = [entry for entry in states if _is_on(entry.manifest["header"], part)]
        on_the_way |= {entry.folder.name for entry in mine}
        begin = max([0, *trunk_cuts(job, part.last_step)])
        total += _covered(map(_span, mine), begin, part.last_step)
    asked = [observed.canonical() for _, part in trainings for observed in part.observed]
    replays = {
        (entry.manifest["header"]["inputs"][0], _span(entry), entry.manifest["provenance"]["seconds"])
        for entry in entries
        if entry.manifest["header"]["stage"] == "observe"
        and entry.manifest["header"]["inputs"][0] in on_the_way
        and entry.manifest["header"]["config"] in asked
        and "replay_reproduced_the_state" in entry.manifest["provenance"]
    }
    return total + sum(stop - start for _, (start, stop), _ in replays)


def _span(entry: Entry) -> tuple[int, int]:
    """Return the steps from which to which the work behind an entry went."""
    start = int(entry.manifest["provenance"]["from_step"])
    return start, start + int(entry.manifest["provenance"]["num_steps"])


def _covered(spans: Iterable[tuple[int, int]], begin: int, end: int) -> int:
    """Return how many steps of [begin, end) lie in any of the spans."""
    covered, reached = 0, begin
    for start, stop in sorted(spans):
        start, stop = max(start, reached), min(stop, end)
        covered += max(0, stop - start)
        reached = max(reached, stop)
    return covered


def _is_on(header: dict[str, Any], part: Trajectory) -> bool:
    """Say whether a stored state lies on the way of a training."""
    config, history = header["config"], header["config"]["history"]
    kin = digest([{"model": config["model"], "train": config["train"]}, header["inputs"][0], header["seed"]])
    if kin != part.kin or len(history[-1]) != 3:
        return False
    stop = int(history[-1][1])
    return stop <= part.last_step and shared_until(history, part.history.until_step(stop)) == stop
