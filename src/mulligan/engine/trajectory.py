"""Trajectories: one path of training, cut into segments that survive a kill, with asked-for averages recorded on the way.

A run begins at the latest stored state of its own history, whoever made it. An average asked for after the training
replays from the last state before its window; the replay must reproduce the stored end state, and the observation is
stamped with whether it did.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mulligan.average.config import VERSION as AVERAGE_VERSION
from mulligan.average.config import Lawa, Observed, SnapshotsFrom, UserAverage
from mulligan.core.canonical import Json, digest
from mulligan.model.config import ModelConfig
from mulligan.numerics.config import GridConfig
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
    """The stage calls of one training: its states, and what each of `observed` recorded at them.

    `stop`: the end is that step and not the budget's, because trainings that part there share the path so far.
    """

    train: TrainConfig
    model: ModelConfig
    grid: GridConfig
    observed: tuple[Observed, ...]
    corpus: StageCall | OutsideInput
    seed: int
    stop: int | None = None

    @cached_property
    def history(self) -> History:
        """What acted at each step."""
        return History(self.train, self.grid)

    @cached_property
    def _fixed(self) -> dict[str, Json]:
        return {"model": self.model.canonical(), "train": self.history.static()}

    @property
    def kin(self) -> str:
        """The digest of what two trainings must have in common to share any step."""
        return digest([self._fixed, self.corpus.key, self.seed])

    @property
    def in_seconds(self) -> bool:
        """Whether the budget is in seconds: such a training shares nothing."""
        return isinstance(self.train.budget, SecondsBudget)

    @property
    def last_step(self) -> int:
        """The step at which it ends; needs a budget in steps or tokens."""
        return self.stop if self.stop is not None else self.train.num_steps or 0

    @cached_property
    def way(self) -> list[Json]:
        """The history to its end; needs a budget in steps or tokens."""
        return self.history.until_step(self.last_step)

    def state_call(self, cut: Cut = None) -> StageCall:
        """Return the call of the state at `cut`."""
        if self.in_seconds:
            seen: list[Json] = [observed.canonical() for observed in self.observed]  # raw and averaged are of one training
            stretches: list[Json] = [*self.history.until_seconds(cut), ["observed", seen]]
        else:
            stretches = self.history.until_step(self.last_step if cut is None else int(cut))
        return StageCall("train", TRAIN_VERSION, {**self._fixed, "history": stretches}, (self.corpus,), self.seed)

    def observe_call(self, observed: Observed, cut: Cut = None) -> StageCall:
        """Return the call of what `observed` recorded up to `cut`."""
        return StageCall("observe", AVERAGE_VERSION, observed.canonical(), (self.state_call(cut),))

    def latest_cut(self, store: Store, riding: Sequence[Observed]) -> Cut:
        """Return the latest stored cut before the end from which nothing that is `riding` is lost; None: the beginning."""
        return next((cut for cut in self._stored_cuts(store) if self.can_begin(cut, riding, store.has)), None)

    def can_begin(self, cut: float, riding: Sequence[Observed], has: Callable[[StageCall], bool]) -> bool:
        """Say whether the state at `cut` is there, and all that the riding observers had seen by then."""
        if not has(self.state_call(cut)):
            return False
        return all(not self.begun(observed, cut) or has(self.observe_call(observed, cut)) for observed in riding)

    def _stored_cuts(self, store: Store) -> list[float]:
        """Return where stored states of this network, corpus and seed lie, latest first: few keys are left to compute."""
        end = self.state_call().header
        cuts: set[float] = set()
        for header in store.headers("train"):
            alike = header["inputs"] == end["inputs"] and header["seed"] == end["seed"]
            if alike and all(header["config"][name] == value for name, value in self._fixed.items()):
                stops = [stretch[1] for stretch in header["config"]["history"] if len(stretch) == 3]
                cuts |= {float(stops[-1])} if stops[-1] is not None else set()
        return sorted((cut for cut in cuts if self.in_seconds or cut < self.last_step), reverse=True)

    def begun(self, observed: Observed, cut: float) -> bool:
        """Say whether something that enters the average at the end may have been observed by `cut`."""
        first = first_snapshot(observed, None if self.in_seconds else self.last_step)
        return first is None or cut >= first

    def saw_all(self, observed: Observed, step: int, record: Mapping[str, Any]) -> bool:
        """Say whether what was recorded by `step` is whole: LAWA begun late in a replay has a short queue for a while."""
        if not isinstance(observed, Lawa) or self.in_seconds:
            return True
        return bool(record["num_snapshots"] == min(observed.num_snapshots, step // observed.every_steps))


def first_snapshot(observed: Observed, num_steps: int | None) -> int | None:
    """Return the first step whose weights enter the average at the end; None where every step counts or nobody knows."""
    if isinstance(observed, UserAverage) and not observed.only_snapshots:
        return None
    if isinstance(observed, SnapshotsFrom) and isinstance(observed.start, AtStep):
        return observed.start.step
    if isinstance(observed, Lawa) and num_steps is not None:
        last = num_steps // observed.every_steps * observed.every_steps
        return max(observed.every_steps, last - (observed.num_snapshots - 1) * observed.every_steps)
    return None
