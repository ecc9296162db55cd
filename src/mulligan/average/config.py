"""Configs of the average stage, torch-free: which snapshots of one training, with which coefficients."""

from typing import Annotated, Literal

from pydantic import Field

from mulligan.core.config import FrozenConfig
from mulligan.numerics.trigger import Trigger

VERSION = 1


class Last(FrozenConfig):
    """The weights of the last step, unaveraged."""

    kind: Literal["last"]


class Ema(FrozenConfig):
    """Exponential moving average from step 0, `decay` per step."""

    kind: Literal["ema"]
    decay: float = Field(gt=0, lt=1)


class SnapshotsFrom(FrozenConfig):
    """Snapshots every `every_steps` steps once `start` has fired."""

    start: Trigger
    every_steps: int = Field(ge=1)


class Swa(SnapshotsFrom):
    """Mean of the snapshots taken every `every_steps` steps once `start` has fired."""

    kind: Literal["swa"]


class LegacyBf16Swa(SnapshotsFrom):
    """SWA whose sum is kept in bfloat16, which loses updates: a published mistake, to reproduce only."""

    kind: Literal["legacy-bf16-swa"]


class TightSwa(FrozenConfig):
    """Mean of late snapshots: every `every_steps` steps while the learning-rate scale is below `lr_scale_below`."""

    kind: Literal["tight-swa"]
    lr_scale_below: float = Field(default=0.2, gt=0, le=1)
    every_steps: int = Field(default=50, ge=1)


class Lawa(FrozenConfig):
    """Mean of the latest `num_snapshots` snapshots, one every `every_steps` steps."""

    kind: Literal["lawa"]
    num_snapshots: int = Field(ge=1)
    every_steps: int = Field(ge=1)


AverageConfig = Annotated[Last | Ema | Swa | TightSwa | Lawa | LegacyBf16Swa, Field(discriminator="kind")]
Observed = Ema | Swa | Lawa | LegacyBf16Swa
