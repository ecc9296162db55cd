"""Configs of the average stage, torch-free: which snapshots of one training, with which coefficients."""

import math
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from mulligan.core.config import FrozenConfig
from mulligan.core.user_lever import UserLever
from mulligan.numerics.trigger import Trigger

if TYPE_CHECKING:
    from mulligan.values.observer import Observer

VERSION = 1


class Last(FrozenConfig):
    """The weights of the last step, unaveraged."""

    kind: Literal["last"]


class Ema(FrozenConfig):
    """Exponential moving average from step 0, `decay` per step."""

    kind: Literal["ema"]
    decay: float = Field(gt=0, lt=1, examples=[0.98])


class SnapshotsFrom(FrozenConfig):
    """Snapshots every `every_steps` steps once `start` has fired."""

    start: Trigger
    every_steps: int = Field(ge=1, examples=[5])


class Swa(SnapshotsFrom):
    """Mean of the snapshots taken every `every_steps` steps once `start` has fired."""

    kind: Literal["swa"]


class LegacyBf16Swa(SnapshotsFrom):
    """SWA whose sum is kept in bfloat16, which loses updates: a published mistake, to reproduce only."""

    kind: Literal["legacy-bf16-swa"]


class UserAverage(UserLever, SnapshotsFrom):
    """An average of the user's own; what its observer has recorded at the end are the weights.

    `only_snapshots`: set True where the observer looks at nothing before `start`; an average asked for after the training is
    then replayed from there, and otherwise from step 0.
    """

    path: ClassVar[str] = "average"
    gives: ClassVar[str] = "observer"

    kind: str
    only_snapshots: ClassVar[bool] = False

    def observer(self) -> "Observer":
        """Return what rides along with the training and records the average."""
        raise NotImplementedError


class TightSwa(FrozenConfig):
    """Mean of late snapshots: every `every_steps` steps while the learning-rate scale is below `lr_scale_below`."""

    kind: Literal["tight-swa"]
    lr_scale_below: float = Field(default=0.2, gt=0, le=1)
    every_steps: int = Field(default=50, ge=1, examples=[5])


class Lawa(FrozenConfig):
    """Mean of the latest `num_snapshots` snapshots, one every `every_steps` steps."""

    kind: Literal["lawa"]
    num_snapshots: int = Field(ge=1, examples=[5])
    every_steps: int = Field(ge=1, examples=[5])


class BlendPart(FrozenConfig):
    """One average of a blend, and its weight in the sum."""

    weight: float = Field(gt=0, lt=1, examples=[0.5])
    average: Annotated[Ema | Swa | TightSwa | Lawa, Field(discriminator="kind")]


class Blend(FrozenConfig):
    """Weighted mean of two or more different averages of one training; the weights sum to 1."""

    kind: Literal["blend"]
    parts: tuple[BlendPart, ...] = Field(
        min_length=2,
        examples=[
            [
                {"weight": 0.5, "average": {"kind": "ema", "decay": 0.98}},
                {"weight": 0.5, "average": {"kind": "lawa", "num_snapshots": 5, "every_steps": 5}},
            ]
        ],
    )

    @model_validator(mode="after")
    def _weights_sum_to_one(self) -> "Blend":
        total = math.fsum(part.weight for part in self.parts)
        if abs(total - 1.0) > 1e-9:
            raise ValueError(f"the weights of its parts sum to {total:.6g}; give weights that sum to 1")
        return self


AverageConfig = Annotated[Last | Ema | Swa | TightSwa | Lawa | LegacyBf16Swa | Blend, Field(discriminator="kind")]
Observed = Ema | Swa | Lawa | LegacyBf16Swa | UserAverage
