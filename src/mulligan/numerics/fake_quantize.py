"""Fake quantization: the weights that an export would give back, in float. One definition for training and adaptation."""

import torch

from mulligan.numerics.config import IntFormat
from mulligan.numerics.grid import dequantize_rows, quantize_rows


def fake_quantize(weight: torch.Tensor, format: IntFormat) -> torch.Tensor:
    """Return `weight` rounded to `format`, float32 of the same shape: bit for bit what round to nearest exports."""
    return dequantize_rows(*quantize_rows(weight, format), weight.shape)
