"""Trajectories: one training, cut into segments that survive a kill, with an asked-for average recorded on the way.

A run begins at the latest stored state of its own history, whoever made it. An average asked for after the training
replays from the last state before its window; the replay must reproduce the stored end state, and the observation is
stamped with whether it did.
"""

from dataclasses import dataclass
from functools import cached_property

from mulligan.average.config import VERSION as AVERAGE_VERSION
from mulligan.average.config import Observed, Swa
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

    def latest_cut(self, store: Store, segment_seconds: float) -> Cut:
        """Return the latest stored cut before the end from which nothing asked for is lost; None: the beginning."""
        stored = set(store.keys())
        for cut in self._cuts(segment_seconds):
            if self.state_call(cut).key not in stored:
                continue
            if not self._begun(cut) or self.observe_call(cut).key in stored:
                return cut
        return None

    def _cuts(self, segment_seconds: float) -> list[float]:
        if isinstance(self.train.budget, SecondsBudget):
            return [i * segment_seconds for i in range(int(self.train.budget.seconds / segment_seconds), 0, -1)]
        return [float(step) for step in range((self.train.num_steps or 0) - 1, 0, -1)]

    def _begun(self, cut: float) -> bool:
        """Say whether something may have been observed by `cut`; a resolved SWA sees nothing before its first step."""
        if self.observed is None:
            return False
        return not (
            isinstance(self.observed, Swa) and isinstance(self.observed.start, AtStep) and cut < self.observed.start.step
        )
