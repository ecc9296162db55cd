"""What acted on a training state: the identity of the state at step k, and of nothing else.

A history is a list of stretches [start, stop, what acted], equal neighbours merged. A warmdown that has not begun, a
momentum warm-up that is over, the length of the run: none of them appears before it changes a weight. So two runs that
differ in late steps alone share their early states, and where a run was cut moves no key. Torch-free.
"""

from itertools import pairwise

from mulligan.core.canonical import Json
from mulligan.train.config import SecondsBudget, TrainConfig
from mulligan.train.schedule import Schedule

TIME_DEPENDENT = {"budget", "warmdown"}
MOMENTUM = ("momentum", "momentum_start", "momentum_warmup_steps")


class History:
    """The history of one training config, to any step."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.warmdown = Schedule(config).warmdown
        self.momentum: dict[str, Json] = {name: getattr(config.optimizer, name) for name in MOMENTUM}

    def static(self) -> dict[str, Json]:
        """Return what acts unchanged from the first step to the last, as canonical JSON data."""
        data = {name: value for name, value in self.config.canonical().items() if name not in TIME_DEPENDENT}
        optimizer = data["optimizer"]
        assert isinstance(optimizer, dict)
        data["optimizer"] = {name: value for name, value in optimizer.items() if name not in MOMENTUM}
        return data

    def until_step(self, stop: int) -> list[Json]:
        """Return the stretches that cover steps [0, stop) of a budget in steps or tokens."""
        edges = [self.config.optimizer.momentum_warmup_steps]
        edges += [self.warmdown.first_step] if self.warmdown else []
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
        return [["seconds", stop, acting]]

    def acting(self, step: int) -> dict[str, Json]:
        """Return the canonical form of what depends on time and acts at `step`."""
        warming_up = step < self.config.optimizer.momentum_warmup_steps
        acting = dict(self.momentum) if warming_up else {"momentum": self.momentum["momentum"]}
        if self.warmdown is not None and step >= self.warmdown.first_step:
            acting["warmdown"] = self.warmdown.canonical()
        return acting
