"""What acted on a training state: the identity of the state at step k, and of nothing else.

A history is a list of stretches [start, stop, what acted], equal neighbours merged. A warmdown that has not begun, a
momentum warm-up that is over, the length of the run: none of them appears before it changes a weight. So two runs that
differ in late steps alone share their early states, and where a run was cut moves no key. Torch-free.
"""

from itertools import pairwise

from mulligan.core.canonical import Json
from mulligan.numerics.config import GridConfig
from mulligan.train.config import MuonAdam, ParameterSwap, SecondsBudget, TrainConfig
from mulligan.train.schedule import Schedule
from mulligan.train.sequence_curriculum import row_lengths

TIME_DEPENDENT = {
    "budget",
    "warmdown",
    "fake_quantize",
    "recurrence_start",
    "batch_ramp",
    "sequence_curriculum",
}
MOMENTUM = ("momentum", "momentum_start", "momentum_warmup_steps")
TAPER = "muon_weight_decay_taper"


class History:
    """The history of one training config, to any step. `grid` acts where fake quantization does."""

    def __init__(self, config: TrainConfig, grid: GridConfig) -> None:
        self.config, self.grid = config, grid
        schedule = Schedule(config)
        self.warmdown, self.taper, self.batch_sizes = schedule.warmdown, schedule.taper, schedule.batch_sizes
        self.row_lengths = row_lengths(config, schedule)
        fake = config.fake_quantize
        self.fake_from: int | None = None
        self.fake = {name: value for name, value in fake.canonical().items() if name != "start"}
        if isinstance(fake, ParameterSwap) and config.num_steps is not None:
            self.fake_from = schedule.first_step(fake.start)
        start = config.recurrence_start
        self.loops_from = schedule.first_step(start) if start is not None and config.num_steps is not None else 0
        muon = config.optimizer if isinstance(config.optimizer, MuonAdam) else None
        self.momentum: dict[str, Json] = {name: getattr(muon, name) for name in MOMENTUM} if muon else {}
        self.warm_from = muon.momentum_warmup_steps if muon else 0

    def static(self) -> dict[str, Json]:
        """Return what acts unchanged from the first step to the last, as canonical JSON data."""
        data = {name: value for name, value in self.config.canonical().items() if name not in TIME_DEPENDENT}
        optimizer = data["optimizer"]
        assert isinstance(optimizer, dict)
        data["optimizer"] = {name: value for name, value in optimizer.items() if name not in (*MOMENTUM, TAPER)}
        return data

    def until_step(self, stop: int) -> list[Json]:
        """Return the stretches that cover steps [0, stop) of a budget in steps or tokens."""
        edges = [self.warm_from, *self.batch_sizes.starts, self.row_lengths.full_from]
        edges += [self.warmdown.first_step] if self.warmdown else []
        edges += [self.taper.first_step] if self.taper else []
        edges += [self.fake_from] if self.fake_from is not None else []
        edges += [self.loops_from]
        cuts = sorted({0, stop, *(edge for edge in edges if 0 < edge < stop)})
        stretches: list[list[Json]] = []
        for start, end in pairwise(cuts):
            acting = self.acting(start)
            if stretches and stretches[-1][2] == acting:
                stretches[-1][1] = end
            else:
                stretches.append([start, end, acting])
        return list(stretches)

    def until_seconds(self, stop: float | None) -> list[Json]:
        """Return the history of a budget in seconds: all that depends on time, up to a cut (None: the end)."""
        assert isinstance(self.config.budget, SecondsBudget)
        acting = {
            "budget": self.config.budget.canonical(),
            "warmdown": self.config.warmdown.canonical(),
            **self.momentum,
        }
        if self.config.recurrence_start is not None:
            acting["recurrence_start"] = self.config.recurrence_start.canonical()
        if isinstance(self.config.fake_quantize, ParameterSwap):
            acting["fake_quantize"] = {**self.config.fake_quantize.canonical(), "grid": self.grid.canonical()}
        if self.taper is not None:
            assert isinstance(self.config.optimizer, MuonAdam)
            acting[TAPER] = self.config.optimizer.muon_weight_decay_taper.canonical()
        return [["seconds", stop, acting]]

    def acting(self, step: int) -> dict[str, Json]:
        """Return the canonical form of what depends on time and acts at `step`."""
        acting = dict(self.momentum)
        if step >= self.warm_from:
            acting = {name: value for name, value in acting.items() if name == "momentum"}
        if self.warmdown is not None and step >= self.warmdown.first_step:
            acting["warmdown"] = self.warmdown.canonical()
        if self.taper is not None and step >= self.taper.first_step:
            acting[TAPER] = self.taper.canonical()
        if self.fake_from is not None and step >= self.fake_from:
            acting["fake_quantize"] = {**self.fake, "grid": self.grid.canonical()}
        if step < self.loops_from:
            acting["recurrence"] = "waits"
        if self.batch_sizes.at(step) != self.config.batch_tokens:
            acting["batch_tokens"] = self.batch_sizes.at(step)
        if self.row_lengths.at(step) != self.config.seq_len:
            acting["seq_len"] = self.row_lengths.at(step)
        return acting


def shared_until(one: list[Json], other: list[Json]) -> int:
    """Return the step up to which two histories are one and the same: the states until there serve both."""
    shared = 0
    for (_, stop, acting), (_, other_stop, other_acting) in zip(one, other, strict=False):  # type: ignore[misc, str-unpack]
        if acting != other_acting:
            break
        shared = min(stop, other_stop)  # type: ignore[type-var, assignment]
        if stop != other_stop:
            break
    return shared
