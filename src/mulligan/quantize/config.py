"""Configs of the quantize stage, torch-free: how codes are chosen on the recipe's grid."""

from typing import Literal

from mulligan.core.config import FrozenConfig

VERSION = 1


class RoundToNearest(FrozenConfig):
    """Each weight takes the nearest code; no calibration."""

    kind: Literal["round-to-nearest"]


QuantizeConfig = RoundToNearest
