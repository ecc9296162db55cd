"""Configs of the quantize stage, torch-free: how codes are chosen on the recipe's grid, and from which calibration text."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from mulligan.core.canonical import Json
from mulligan.core.config import FrozenConfig, lever_field
from mulligan.core.user_lever import UserLever
from mulligan.model.kind import OFF, Off

if TYPE_CHECKING:
    import torch

    from mulligan.numerics.config import Format
    from mulligan.values.quantized import QuantizedTensor

VERSION = 1


class TrainSplit(FrozenConfig):
    """`num_sequences` stretches of `seq_len` tokens of the train split, evenly spaced over it."""

    kind: Literal["train-split"]
    num_sequences: int = Field(ge=1, examples=[64])
    seq_len: int = Field(ge=1, examples=[256])


class SelfGenerated(FrozenConfig):
    """`num_sequences` texts of `seq_len` tokens that the network writes itself, drawn at `temperature` from its softmax."""

    kind: Literal["self-generated"]
    num_sequences: int = Field(ge=1, examples=[64])
    seq_len: int = Field(ge=1, examples=[256])
    temperature: float = Field(default=0.8, gt=0)


class MagnitudePruning(FrozenConfig):
    """In each matrix of `min_elements` or more, the `fraction` of the weights that are smallest is zero before any rounding."""

    kind: Literal["magnitude"]
    fraction: float = Field(gt=0, lt=1, examples=[0.05])
    min_elements: int = Field(default=65_537, ge=1)


class PlusMinusOnePruning(FrozenConfig):
    """After rounding, the `fraction` of the codes of +1 and -1 that stand for the smallest weights is zero.

    `match`: globs of the matrices they are taken from; as published, those of the blocks.
    """

    kind: Literal["plus-minus-one"]
    fraction: float = Field(gt=0, le=1, examples=[0.1])
    match: tuple[str, ...] = Field(default=("blocks.*",), min_length=1)


class HadamardRotation(FrozenConfig):
    """Codes stand for the matrix in a rotated basis; `adaptive`: only where that lowers its squared error."""

    kind: Literal["hadamard"]
    adaptive: bool = False


class LowRankCorrection(FrozenConfig):
    """The error of the `top_k` matrices that have the greatest is stored too, by `rank`, in codes of few bits.

    `factors`: `asymmetric`, the left one on 2 bits with one scale, the right one on 4 bits in groups of 64; `symmetric`, both
    on 4 bits with a scale per row.
    """

    kind: Literal["low-rank"]
    top_k: int = Field(default=3, ge=1)
    rank: int = Field(default=4, ge=1)
    factors: Literal["asymmetric", "symmetric"] = "asymmetric"


class Quantizer(FrozenConfig):
    """What the shipped quantizers have in common.

    `calibration`: the text on which the inputs of matrices are observed; errors are then told weighted by them, too.
    """

    kind: str
    hidden_permutation: Literal["off", "by-row-norm"] = lever_field("off", off="off")
    prune: Annotated[Off | MagnitudePruning | PlusMinusOnePruning, Field(discriminator="kind")] = lever_field(
        OFF, off={"kind": "off"}
    )
    rotation: Annotated[Off | HadamardRotation, Field(discriminator="kind")] = lever_field(OFF, off={"kind": "off"})
    correction: Annotated[Off | LowRankCorrection, Field(discriminator="kind")] = lever_field(OFF, off={"kind": "off"})
    calibration: Annotated[Off | TrainSplit | SelfGenerated, Field(discriminator="kind")] = lever_field(
        OFF, off={"kind": "off"}
    )

    def before_observing(self) -> dict[str, Json]:
        """Return what Hessians depend on, canonical: the text, and the steps that come before it is read."""
        steps = {"calibration", "hidden_permutation", *(["prune"] if isinstance(self.prune, MagnitudePruning) else [])}
        return {name: value for name, value in self.canonical().items() if name in steps}

    @model_validator(mode="after")
    def _zeros_stay_zeros(self) -> Self:
        if isinstance(self.prune, MagnitudePruning) and isinstance(self.rotation, HadamardRotation):
            raise ValueError(
                "prune = magnitude makes weights zero, and rotation mixes them with others before they are stored: nothing is "
                "pruned. Give one of the two"
            )
        return self


class RoundToNearest(Quantizer):
    """Each weight takes the nearest code."""

    kind: Literal["round-to-nearest"]


class Gptq(Quantizer):
    """Column by column, each rounding's error is made good by the columns to come, as inputs on the calibration text allow.

    `damping`: a fraction of the mean diagonal of the Hessian, added to it; `activation_order`: columns of the strongest inputs
    first; `block_columns`: how many are worked through before the rest is brought up to date. `row_importance`: rows that
    meet stronger inputs than the mean get wider scales (0: all alike), for the scale rule `standard-deviations`.
    """

    kind: Literal["gptq"]
    calibration: Annotated[TrainSplit | SelfGenerated, Field(discriminator="kind")]
    damping: float = Field(default=0.01, gt=0)
    block_columns: int = Field(default=128, ge=1)
    activation_order: bool = True
    row_importance: float = lever_field(0.0, off=0.0, ge=0, le=1)


class UserQuantizer(UserLever):
    """A quantizer of the user's own; formats, and so the tensor set and the bits, are the grid's."""

    path: ClassVar[str] = "quantize"
    gives: ClassVar[str] = "quantize"

    kind: str

    def quantize(
        self, formats: Mapping[str, "Format"], tensors: Mapping[str, "torch.Tensor"]
    ) -> "dict[str, QuantizedTensor | torch.Tensor]":
        """Return each tensor in its format: codes with scales, or a float16 or float32 tensor."""
        raise NotImplementedError


QuantizeConfig = Annotated[RoundToNearest | Gptq, Field(discriminator="kind")]
