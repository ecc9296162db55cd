"""How many training steps were really run for what is stored: read off the provenance of states, replays included."""

from collections.abc import Sequence
from typing import Any

from mulligan.core.canonical import digest
from mulligan.engine.job import Job
from mulligan.engine.trajectory import Trajectory
from mulligan.store.store import Store
from mulligan.train.history import shared_until


def executed_steps(jobs: Sequence[Job], store: Store) -> int:
    """Return the steps behind the stored states on the way of these jobs' trainings, each state's own segment once."""
    ways: dict[str, list[Trajectory]] = {}
    for job in jobs:
        if job.call.stage == "train" and job.trajectory is not None:
            ways.setdefault(job.trajectory.kin, []).append(job.trajectory)
    states = {
        entry.folder.name: entry.manifest["provenance"]
        for entry in store.entries()
        if entry.manifest["header"]["stage"] == "train" and _is_on(entry.manifest["header"], ways)
    }
    replays = {
        (entry.manifest["header"]["inputs"][0], entry.manifest["provenance"]["from_step"])
        for entry in store.entries()
        if entry.manifest["header"]["stage"] == "observe"
        and entry.manifest["header"]["inputs"][0] in states
        and "replay_reproduced_the_state" in entry.manifest["provenance"]
    }
    trained = sum(int(provenance["num_steps"]) for provenance in states.values())
    return trained + sum(_last_step(states[key]) - int(from_step) for key, from_step in replays)


def _last_step(provenance: dict[str, Any]) -> int:
    return int(provenance["from_step"]) + int(provenance["num_steps"])


def _is_on(header: dict[str, Any], ways: dict[str, list[Trajectory]]) -> bool:
    """Say whether a stored state lies on the way of one of the trainings."""
    config = header["config"]
    kin = digest([{"model": config["model"], "train": config["train"]}, header["inputs"][0], header["seed"]])
    history = config["history"]
    if kin not in ways or len(history[-1]) != 3:
        return False
    stop = history[-1][1]
    fitting = (part.history.until_step(stop) for part in ways[kin] if stop <= part.last_step)
    return any(shared_until(history, other) == stop for other in fitting)
