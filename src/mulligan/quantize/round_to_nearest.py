"""Round to nearest: every weight takes the nearest code of its row.

What it does     Divides each row by its scale (the grid's rule), rounds, clamps; other formats are casts.
Why it may help  The plain reference: no data, exact in its definition; fake quantization trains for just this rounding.
Touches          quantize: codes and scales; not which tensors are on the grid, nor their bits.
Cost             Well under a second for 17 million weights on a CPU; no calibration.
Source           parameter-golf's merged baseline and PR 180, 374, 1394 differ in scale rule only.
"""

import torch

from mulligan.numerics.config import IntFormat
from mulligan.numerics.grid import quantize_rows


def round_to_nearest(format: IntFormat, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return codes and scale of `weight`: the one definition, which fake quantization calls too."""
    return quantize_rows(weight, format)
