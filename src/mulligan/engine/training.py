"""Carries out a trajectory: begins or resumes, advances segment by segment, publishes what each cut holds."""

import time
from collections.abc import Sequence
from pathlib import Path

from mulligan.average.config import Observed
from mulligan.average.stage import make_observer
from mulligan.core.canonical import Json
from mulligan.core.execution import Execution
from mulligan.engine.trajectory import Cut, Trajectory
from mulligan.store.store import Store
from mulligan.train.trainer import Trainer
from mulligan.values.corpus import Corpus
from mulligan.values.observer import Observation, Observer
from mulligan.values.train_state import TrainState

WARM_UP_STEPS = 3

Riding = Sequence[tuple[Observed, Observer]]


def run_trajectory(trajectory: Trajectory, corpus_folder: Path, store: Store, execution: Execution) -> None:
    """Train to the end, publishing the state and what is not yet observed at every cut and at the end.

    Every rank trains; rank 0 alone observes and publishes.
    """
    missing = missing_observations(trajectory, store) if execution.ranks.rank == 0 else []
    riding = [(observed, make_observer(observed)) for observed in missing]
    stream = Corpus.load(corpus_folder).tokens("train")
    observers = [observer for _, observer in riding]
    trainer = Trainer(
        trajectory.train, trajectory.model, stream, trajectory.seed, execution, observers, trajectory.grid, trajectory.stop
    )
    _begin_or_resume(trainer, riding, trajectory, store)
    if execution.compile and trajectory.in_seconds:
        trainer.warm_up(WARM_UP_STEPS)  # compilation is not training time
    cut: Cut = 0.0
    while cut is not None:
        began, from_step = time.monotonic(), trainer.step
        trainer.advance(for_seconds=execution.segment_seconds)
        cut = None if trainer.finished else _cut_now(trainer, trajectory, execution)
        _publish(trainer, riding, trajectory, cut, store, _speed(trainer, from_step, time.monotonic() - began))


def missing_observations(trajectory: Trajectory, store: Store) -> list[Observed]:
    """Return what must ride along: asked for, and not stored at the end."""
    return [observed for observed in trajectory.observed if not store.has(trajectory.observe_call(observed))]


def _begin_or_resume(trainer: Trainer, riding: Riding, trajectory: Trajectory, store: Store) -> None:
    found = trajectory.latest_cut(store, [observed for observed, _ in riding]) if trainer.ranks.rank == 0 else None
    said = trainer.ranks.from_first("" if found is None else repr(float(found)))
    cut = float(said) if said else None
    if cut is None:
        trainer.begin()
        return
    trainer.load(TrainState.load(store.open(trajectory.state_call(cut)).folder))
    for observed, observer in riding:
        call = trajectory.observe_call(observed, cut)
        if store.has(call):
            observer.resume(Observation.load(store.open(call).folder))


def _cut_now(trainer: Trainer, trajectory: Trajectory, execution: Execution) -> Cut:
    if trajectory.in_seconds:
        return execution.segment_seconds * max(1, round(trainer.elapsed_seconds / execution.segment_seconds))
    return float(trainer.step)


def _speed(trainer: Trainer, from_step: int, seconds: float) -> dict[str, Json]:
    tokens = trainer.schedule.batch_sizes.tokens
    return {
        "device": trainer.execution.device,
        "compiled": trainer.execution.compile,
        "world_size": trainer.ranks.world_size,
        "from_step": from_step,
        "num_steps": trainer.step - from_step,
        "seconds": seconds,
        "tokens_per_second": (tokens(trainer.step) - tokens(from_step)) / max(seconds, 1e-9),
    }


def _publish(
    trainer: Trainer, riding: Riding, trajectory: Trajectory, cut: Cut, store: Store, provenance: dict[str, Json]
) -> None:
    """Publish what a cut holds. A replay meets the state that the first training stored, and is stamped with the outcome."""
    state = trainer.state()  # on every rank: a weight that is not finite ends them all
    if trainer.ranks.rank > 0:
        return
    state_call = trajectory.state_call(cut)
    replayed = store.has(state_call)
    entry = store.publish(state_call, state.save, provenance)
    if replayed and cut is not None and not entry.reproduced:
        return  # what was seen on another path is no observation of the stored state
    stamp: dict[str, Json] = {"replay_reproduced_the_state": entry.reproduced} if replayed else {}
    for observed, observer in riding:
        observation = observer.observation()
        if cut is None or trajectory.saw_all(observed, trainer.step, observation.record):
            store.publish(trajectory.observe_call(observed, cut), observation.save, {**provenance, **stamp})
