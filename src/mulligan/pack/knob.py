"""Configs of the budget solver, torch-free: which setting it may turn until the artifact fits."""

import math
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mulligan.core.config import FrozenConfig

TURNABLE = ("grid.", "quantize.", "pack.")
"""What never retrains, but for the grid that fake quantization trains for."""
MAX_COMBINATIONS = 64


class Number(FrozenConfig):
    """One number of the recipe between bounds, at the dotted `path`: `k` of a scale rule, a fraction to prune."""

    kind: Literal["number"]
    path: str = Field(examples=["grid.families.1.format.scale.k"])
    low: float = Field(examples=[4.0])
    high: float = Field(examples=[40.0])

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if self.low >= self.high:
            raise ValueError(f"low = {self.low:g} is not below high = {self.high:g}")
        return self

    @property
    def paths(self) -> tuple[str, ...]:
        """The settings that it turns."""
        return (self.path,)

    @property
    def extremes(self) -> dict[str, tuple[float, float]]:
        """Values that a recipe must take for it to take them all."""
        return {self.path: (self.low, self.high)}


class Setting(FrozenConfig):
    """The values that a choice tries at one dotted path."""

    path: str = Field(examples=["grid.families.1.format.bits"])
    values: tuple[bool | int | float | str, ...] = Field(min_length=1, examples=[[4, 5, 6]])


class Choice(FrozenConfig):
    """Every combination of the values of its settings: bits per family, a codec's level."""

    kind: Literal["choice"]
    settings: tuple[Setting, ...] = Field(
        min_length=1, examples=[[{"path": "grid.families.1.format.bits", "values": [4, 5, 6]}]]
    )

    @model_validator(mode="after")
    def _few_enough_to_try(self) -> Self:
        number = math.prod(len(setting.values) for setting in self.settings)
        if number > MAX_COMBINATIONS:
            raise ValueError(
                f"the choice has {number:,} combinations, each of which is packed; give {MAX_COMBINATIONS} at most"
            )
        return self

    @property
    def paths(self) -> tuple[str, ...]:
        """The settings that it turns."""
        return tuple(setting.path for setting in self.settings)

    @property
    def extremes(self) -> dict[str, tuple[bool | int | float | str, ...]]:
        """Values that a recipe must take for it to take them all."""
        return {setting.path: setting.values for setting in self.settings}


class FitConfig(FrozenConfig):
    """Turn `knob` until payload and `code_reserve_bytes` come just under `budget_bytes` (all decimal bytes).

    What fits is ranked by its score on the last `train_documents` documents of the train split; validation never selects.
    """

    knob: Annotated[Number | Choice, Field(discriminator="kind")]
    budget_bytes: int = Field(ge=1)
    code_reserve_bytes: int = Field(ge=0)
    train_documents: int = Field(default=32, ge=1)

    @model_validator(mode="after")
    def _room_for_a_payload(self) -> Self:
        if self.code_reserve_bytes >= self.budget_bytes:
            raise ValueError(
                f"code_reserve_bytes = {self.code_reserve_bytes:,} leaves nothing of budget_bytes = {self.budget_bytes:,}"
            )
        outside = [path for path in self.knob.paths if not path.startswith(TURNABLE)]
        if outside:
            raise ValueError(
                f"the knob turns {outside[0]!r}; it may turn what never retrains: paths that begin with {', '.join(TURNABLE)}"
            )
        return self
