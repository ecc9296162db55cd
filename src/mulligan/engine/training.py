"""Carries out a trajectory: begins or resumes, advances segment by segment, publishes what each cut holds."""

import time
from pathlib import Path

from mulligan.average.stage import make_observer
from mulligan.core.canonical import Json
from mulligan.core.execution import Execution
from mulligan.engine.trajectory import Cut, Trajectory
from mulligan.store.store import Store
from mulligan.train.config import SecondsBudget
from mulligan.train.trainer import Trainer
from mulligan.values.corpus import Corpus
from mulligan.values.observer import Observation, Observer
from mulligan.values.train_state import TrainState

WARM_UP_STEPS = 3


def run_trajectory(trajectory: Trajectory, corpus_folder: Path, store: Store, execution: Execution) -> None:
    """Train to the end of the budget, publishing the state and the observation at every cut and at the end."""
    observer = make_observer(trajectory.observed) if trajectory.observed else None
    corpus = Corpus.load(corpus_folder)
    stream = corpus.tokens("train")
    observers = [observer] if observer else []
    trainer = Trainer(trajectory.train, trajectory.model, stream, trajectory.seed, execution, observers)
    _begin_or_resume(trainer, observer, trajectory, store)
    if execution.compile and isinstance(trajectory.train.budget, SecondsBudget):
        trainer.warm_up(WARM_UP_STEPS)  # compilation is not training time (levers 5.5)
    cut: Cut = 0.0
    while cut is not None:
        began, from_step = time.monotonic(), trainer.step
        trainer.advance(for_seconds=execution.segment_seconds)
        cut = None if trainer.finished else _cut_now(trainer, execution)
        _publish(trainer, observer, trajectory, cut, store, _speed(trainer, from_step, time.monotonic() - began))


def _begin_or_resume(trainer: Trainer, observer: Observer | None, trajectory: Trajectory, store: Store) -> None:
    cut = trajectory.latest_cut(store)
    if cut is None:
        trainer.begin()
        return
    trainer.load(TrainState.load(store.open(trajectory.state_call(cut)).folder))
    if observer is not None and store.has(trajectory.observe_call(cut)):
        observer.resume(Observation.load(store.open(trajectory.observe_call(cut)).folder))


def _cut_now(trainer: Trainer, execution: Execution) -> Cut:
    if isinstance(trainer.config.budget, SecondsBudget):
        return execution.segment_seconds * max(1, round(trainer.elapsed_seconds / execution.segment_seconds))
    return float(trainer.step)


def _speed(trainer: Trainer, from_step: int, seconds: float) -> dict[str, Json]:
    num_steps = trainer.step - from_step
    return {
        "device": trainer.execution.device,
        "compiled": trainer.execution.compile,
        "from_step": from_step,
        "num_steps": num_steps,
        "seconds": seconds,
        "tokens_per_second": num_steps * trainer.config.batch_tokens / max(seconds, 1e-9),
    }


def _publish(
    trainer: Trainer,
    observer: Observer | None,
    trajectory: Trajectory,
    cut: Cut,
    store: Store,
    provenance: dict[str, Json],
) -> None:
    """Publish what a cut holds. A replay meets the state that the first training stored, and is stamped with the outcome."""
    state_call = trajectory.state_call(cut)
    replayed = store.has(state_call)
    entry = store.publish(state_call, trainer.state().save, provenance)
    if observer is not None:
        if replayed and cut is not None and not entry.reproduced:
            return  # what was seen on another path is no observation of the stored state
        observation = observer.observation()
        if cut is not None and not trajectory.saw_all(trainer.step, observation.record):
            return
        stamp: dict[str, Json] = {"replay_reproduced_the_state": entry.reproduced} if replayed else {}
        store.publish(trajectory.observe_call(cut), observation.save, {**provenance, **stamp})
