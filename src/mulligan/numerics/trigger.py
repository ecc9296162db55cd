"""Triggers: when a time-dependent lever begins, by step, by fraction of the budget, or by learning-rate scale.

A trigger is latched: once it has fired it stays on. With a budget in steps or tokens the plan resolves every trigger to
a step (`AtStep`); with a budget in seconds it is judged while training runs. Torch-free.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from mulligan.core.config import FrozenConfig


@dataclass(frozen=True)
class Moment:
    """A point of training: `step` done so far, `fraction` of the budget in [0, 1], the `lr_scale` in force."""

    step: int
    fraction: float
    lr_scale: float


class LrScaleBelow(FrozenConfig):
    """Fires when the learning-rate multiplier falls below `value`."""

    kind: Literal["lr-scale-below"]
    value: float = Field(gt=0, le=1, examples=[0.4])

    def fires(self, moment: Moment) -> bool:
        """Say whether the trigger is on at `moment`."""
        return moment.lr_scale < self.value


class AtFraction(FrozenConfig):
    """Fires when at least `value` of the training budget is spent."""

    kind: Literal["at-fraction"]
    value: float = Field(ge=0, le=1, examples=[0.2])

    def fires(self, moment: Moment) -> bool:
        """Say whether the trigger is on at `moment`."""
        return moment.fraction >= self.value


class AtStep(FrozenConfig):
    """Fires when at least `step` steps are done."""

    kind: Literal["at-step"]
    step: int = Field(ge=0, examples=[100])

    def fires(self, moment: Moment) -> bool:
        """Say whether the trigger is on at `moment`."""
        return moment.step >= self.step


Trigger = Annotated[LrScaleBelow | AtFraction | AtStep, Field(discriminator="kind")]
