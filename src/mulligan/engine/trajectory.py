"""Trajectories: one training, cut into segments that survive a kill, with an asked-for average recorded on the way.

A run begins at the latest stored state of its own history, whoever made it. An average asked for after the training
replays from the last state before its window; the replay must reproduce the stored end state, and the observation is
stamped with whether it did.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mulligan.average.config import VERSION as AVERAGE_VERSION
from mulligan.average.config import Lawa, Observed, Swa
from mulligan.core.canonical import Json
from mulligan.model.config import ModelConfig
from mulligan.numerics.trigger import AtStep
from mulligan.store.stage_call import OutsideInput, StageCall
from mulligan.store.store import Store
from mulligan.train.config import VERSION as TRAIN_VERSION
from mulligan.train.config import SecondsBudget, TrainConfig
from mulligan.train.history import History

Cut = float | None
"""Where a state lies: a number of steps (of seconds where those are the budget), or None for the end."""


@dataclass(frozen=True)
class Trajectory:
    """The stage calls of one training: its states and what `observed` (None: nothing) recorded at them."""

    train: TrainConfig
    model: ModelConfig
    observed: Observed | None
    corpus: StageCall | OutsideInput
    seed: int

    @cached_property
    def _history(self) -> History:
        return History(self.train)

    @cached_property
    def _fixed(self) -> dict[str, Json]:
        return {"model": self.model.canonical(), "train": self._history.static()}

    def state_call(self, cut: Cut = None) -> StageCall:
        """Return the call of the state at `cut`."""
        if isinstance(self.train.budget, SecondsBudget):
            seen = self.observed.canonical() if self.observed else None  # so that raw and averaged are of one training
            stretches: list[Json] = [*self._history.until_seconds(cut), ["observed", seen]]
        else:
            stretches = self._history.until_step(int(cut) if cut is not None else self.train.num_steps or 0)
        return StageCall("train", TRAIN_VERSION, {**self._fixed, "history": stretches}, (self.corpus,), self.seed)

    def observe_call(self, cut: Cut = None) -> StageCall:
        """Return the call of what was observed up to `cut`."""
        assert self.observed is not None
        return StageCall("observe", AVERAGE_VERSION, self.observed.canonical(), (self.state_call(cut),))

    def latest_cut(self, store: Store) -> Cut:
        """Return the latest stored cut before the end from which nothing asked for is lost; None: the beginning."""
        for cut in self._stored_cuts(store):
            if store.has(self.state_call(cut)) and (not self._begun(cut) or store.has(self.observe_call(cut))):
                return cut
        return None

    def _stored_cuts(self, store: Store) -> list[float]:
        """Return where stored states of this network, corpus and seed lie, latest first: few keys are left to compute."""
        end = self.state_call().header
        cuts = set()
        for header in store.headers("train"):
            alike = header["inputs"] == end["inputs"] and header["seed"] == end["seed"]
            if alike and all(header["config"][name] == value for name, value in self._fixed.items()):
                cuts.add(max((stop for start, stop, *_ in _stretches(header) if stop is not None), default=None))
        num_steps = self.train.num_steps
        return sorted((float(cut) for cut in cuts if cut is not None and (num_steps is None or cut < num_steps)), reverse=True)

    def saw_all(self, step: int, record: Mapping[str, Any]) -> bool:
        """Say whether what was recorded by `step` is whole: LAWA begun late in a replay has a short queue for a while."""
        if not isinstance(self.observed, Lawa) or self.train.num_steps is None:
            return True
        return bool(record["num_snapshots"] == min(self.observed.num_snapshots, step // self.observed.every_steps))

    def _begun(self, cut: float) -> bool:
        """Say whether something that is asked for may have been observed by `cut`."""
        if self.observed is None:
            return False
        first = first_snapshot(self.observed, self.train.num_steps)
        return first is None or cut >= first


def first_snapshot(observed: Observed, num_steps: int | None) -> int | None:
    """Return the first step whose weights enter the average at the end; None where every step counts or nobody knows."""
    if isinstance(observed, Swa) and isinstance(observed.start, AtStep):
        return observed.start.step
    if isinstance(observed, Lawa) and num_steps is not None:
        last = num_steps // observed.every_steps * observed.every_steps
        return max(observed.every_steps, last - (observed.num_snapshots - 1) * observed.every_steps)
    return None


def _stretches(header: dict[str, Any]) -> list[list[Any]]:
    return [stretch for stretch in header["config"]["history"] if len(stretch) == 3]
