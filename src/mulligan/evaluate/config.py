"""Configs of the evaluate stage, torch-free: which windows, at which precision, over which bytes."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mulligan.core.config import FrozenConfig

VERSION = 1


class Flat(FrozenConfig):
    """Windows side by side, each of `context_len` tokens."""

    kind: Literal["flat"]
    context_len: int = Field(ge=1)

    @property
    def stride(self) -> int:
        """Tokens between windows."""
        return self.context_len


class _Overlapping(FrozenConfig):
    context_len: int = Field(ge=1)
    stride: int = Field(ge=1)

    @model_validator(mode="after")
    def _stride_fits(self) -> Self:
        if self.stride > self.context_len:
            raise ValueError(
                f"stride = {self.stride} is more than context_len = {self.context_len}: tokens between the windows would "
                "never be scored. Give a stride of at most context_len"
            )
        return self


class Sliding(_Overlapping):
    """Windows of `context_len` tokens every `stride` tokens; each but the first scores its last `stride` tokens."""

    kind: Literal["sliding"]


class DocumentIsolated(_Overlapping):
    """Sliding windows within each document alone."""

    kind: Literal["document-isolated"]


Windows = Annotated[Flat | Sliding | DocumentIsolated, Field(discriminator="kind")]


class EvaluateConfig(FrozenConfig):
    """The readings to take. `bytes`: "piece" counts normalised piece bytes, "raw" the documents' UTF-8 bytes."""

    windows: tuple[Windows, ...] = Field(min_length=1)
    precision: Literal["fp32", "bf16"]
    bytes: Literal["piece", "raw"]
