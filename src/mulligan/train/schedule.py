"""The schedule: one object that gives the learning-rate scale and the fraction of the budget at every step.

Torch-free. With a budget in steps or tokens every warmdown resolves to one linear form,
`(until_step - step) / over_steps`, so that equal schedules written differently are the same schedule.
"""

from bisect import bisect_left
from dataclasses import dataclass

from mulligan.core.canonical import Json
from mulligan.numerics.trigger import AtStep, Moment, Trigger
from mulligan.train.config import (
    ConstantLr,
    MuonAdam,
    SecondsBudget,
    TokensBudget,
    TrainConfig,
    WarmdownFraction,
    WarmdownSeconds,
    WarmdownSteps,
    WarmdownTokens,
)
from mulligan.train.weight_decay_taper import resolve_taper


@dataclass(frozen=True)
class LinearWarmdown:
    """lr_scale = clip((until_step - step) / over_steps, floor, 1)."""

    until_step: int
    over_steps: float
    floor: float

    def lr_scale(self, step: int) -> float:
        """Return the multiplier that step number `step` (from 0) trains with."""
        return min(1.0, max((self.until_step - step) / self.over_steps, self.floor, 0.0))

    @property
    def first_step(self) -> int:
        """The first step that trains with a scale below 1."""
        step = max(0, int(self.until_step - self.over_steps))
        while self.lr_scale(step) >= 1.0 and step < self.until_step:
            step += 1
        return step

    def canonical(self) -> dict[str, Json]:
        """Return what bears identity where the warmdown acts."""
        return {"until_step": self.until_step, "over_steps": self.over_steps, "floor": self.floor}


class Schedule:
    """What the clock says to the levers: `before(step)` for the step about to run, `after(step)` once it is done."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        self.num_steps = config.num_steps
        self.batch_sizes = config.batch_sizes
        self.warmdown = _resolve(config)
        self.taper = resolve_taper(config)

    def lr_scale(self, step: int, elapsed_seconds: float = 0.0) -> float:
        """Return the learning-rate multiplier of step number `step`; `elapsed_seconds` is read by budgets in seconds."""
        if not isinstance(self.config.budget, SecondsBudget):
            return self.warmdown.lr_scale(step) if self.warmdown else 1.0
        warmdown, cap = self.config.warmdown, self.config.budget.seconds
        remaining = max(cap - elapsed_seconds, 0.0)
        if isinstance(warmdown, ConstantLr):
            return 1.0
        if isinstance(warmdown, WarmdownSeconds):
            return min(1.0, remaining / warmdown.seconds)
        if isinstance(warmdown, WarmdownFraction):
            return min(1.0, max(remaining / cap / warmdown.fraction, warmdown.floor))
        if step == 0 or elapsed_seconds <= 0:
            return 1.0  # no step has been timed yet
        return min(1.0, remaining / (_in_steps(warmdown, self.config.batch_tokens) * elapsed_seconds / step))

    def fraction(self, step: int, elapsed_seconds: float = 0.0) -> float:
        """Return how much of the budget is spent when `step` steps are done, in [0, 1]."""
        if isinstance(self.config.budget, SecondsBudget):
            return min(1.0, elapsed_seconds / self.config.budget.seconds)
        assert self.num_steps is not None
        if isinstance(self.config.budget, TokensBudget):
            return min(1.0, self.batch_sizes.tokens(step) / self.batch_sizes.tokens(self.num_steps))
        return min(1.0, step / self.num_steps)

    def before(self, step: int, elapsed_seconds: float = 0.0) -> Moment:
        """Return the moment that step number `step` (from 0) trains at."""
        return Moment(step, self.fraction(step, elapsed_seconds), self.lr_scale(step, elapsed_seconds))

    def after(self, moment: Moment, elapsed_seconds: float = 0.0) -> Moment:
        """Return the moment once the step of `moment` is done: one more step, the scale it trained with."""
        return Moment(moment.step + 1, self.fraction(moment.step + 1, elapsed_seconds), moment.lr_scale)

    def momentum(self, step: int) -> float:
        """Return Muon's momentum at step number `step`: linear from start to final over the warm-up; 0 without Muon."""
        optimizer = self.config.optimizer
        if not isinstance(optimizer, MuonAdam):
            return 0.0
        if step >= optimizer.momentum_warmup_steps:
            return optimizer.momentum
        share = step / optimizer.momentum_warmup_steps
        return (1 - share) * optimizer.momentum_start + share * optimizer.momentum

    def decay_scale(self, moment: Moment) -> float:
        """Return the multiplier of Muon's weight decay for the step that trains at `moment`."""
        if self.taper is None:
            return 1.0
        return self.taper.scale(moment.fraction if self.num_steps is None else moment.step)

    def resolve(self, trigger: Trigger) -> Trigger:
        """Return `trigger` as the number of steps done when it fires; itself when the budget is in seconds.

        ValueError when it would not fire before the end: a lever that never runs is not an experiment.
        """
        if self.num_steps is None:
            return trigger
        step = bisect_left(range(self.num_steps), True, key=lambda step: trigger.fires(self.after(self.before(step))))
        if step == self.num_steps:
            raise self._never(trigger)
        return AtStep(kind="at-step", step=step + 1)

    def first_step(self, trigger: Trigger) -> int:
        """Return the first step, counted from 0, that trains with `trigger` on; needs a budget in steps or tokens.

        Judged before the step runs, as a lever of training is; an average judges the step that is done. Every trigger
        stays on once it has fired, so the step is found by bisection. ValueError when none would be trained with it.
        """
        assert self.num_steps is not None
        step = bisect_left(range(self.num_steps), True, key=lambda step: trigger.fires(self.before(step)))
        if step == self.num_steps:
            raise self._never(trigger)
        return step

    def _never(self, trigger: Trigger) -> ValueError:
        return ValueError(
            f"The trigger {trigger.canonical()} never fires in {self.num_steps} steps with warmdown "
            f"{self.config.warmdown.canonical()}. Give one that fires before the last step, or another warmdown."
        )


def _in_steps(warmdown: WarmdownSteps | WarmdownTokens, batch_tokens: int) -> float:
    return warmdown.steps if isinstance(warmdown, WarmdownSteps) else warmdown.tokens / batch_tokens


def _resolve(config: TrainConfig) -> LinearWarmdown | None:
    """Return the warmdown in steps, or None where it is constant or follows the clock.

    What is counted in tokens is counted in steps of the whole batch: ValueError when it would begin in a batch ramp.
    """
    total, warmdown, sizes = config.num_steps, config.warmdown, config.batch_sizes
    if total is None or isinstance(warmdown, ConstantLr | WarmdownSeconds):
        return None
    by_tokens = isinstance(warmdown, WarmdownTokens)
    if isinstance(warmdown, WarmdownFraction):
        by_tokens = isinstance(config.budget, TokensBudget)
        whole = sizes.tokens(total) / config.batch_tokens if by_tokens else total
        found = LinearWarmdown(total, warmdown.fraction * whole, warmdown.floor)
    else:
        found = LinearWarmdown(total, float(_in_steps(warmdown, config.batch_tokens)), 0.0)
    if by_tokens and sizes.starts[-1] and total - found.over_steps < sizes.starts[-1]:
        raise ValueError(
            f"The warmdown {warmdown.canonical()} counts tokens and begins before train.batch_ramp ends at step "
            f"{sizes.starts[-1]} of {total}. Give a shorter one, or one in steps."
        )
    return found
