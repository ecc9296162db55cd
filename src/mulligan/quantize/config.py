"""Configs of the quantize stage, torch-free: how codes are chosen on the recipe's grid."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from mulligan.core.config import FrozenConfig
from mulligan.core.user_lever import UserLever

if TYPE_CHECKING:
    import torch

    from mulligan.numerics.config import Format
    from mulligan.values.quantized import QuantizedTensor

VERSION = 1


class RoundToNearest(FrozenConfig):
    """Each weight takes the nearest code; no calibration."""

    kind: Literal["round-to-nearest"]


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


QuantizeConfig = RoundToNearest | UserQuantizer
