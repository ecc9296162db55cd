"""Fake quantization: the weights that an export would give back, in float. One definition for training and adaptation."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch

from mulligan.numerics.config import IntFormat
from mulligan.numerics.grid import dequantize_rows, quantize_rows


def fake_quantize(weight: torch.Tensor, format: IntFormat) -> torch.Tensor:
    """Return `weight` rounded to `format`, float32 of the same shape: bit for bit what round to nearest exports."""
    return dequantize_rows(*quantize_rows(weight, format), weight.shape)


class Swap:
    """Swaps the weights that `formats` names for their rounding, in place: a compiled graph sees no change."""

    def __init__(self, weights: Mapping[str, torch.Tensor], formats: Mapping[str, IntFormat]) -> None:
        self.formats = formats
        self.weights = [weights[name] for name in formats]

    @contextmanager
    def rounded(self) -> Iterator[None]:
        """Within this context the weights are the rounded ones; gradients taken here are the straight-through ones."""
        latent = [weight.detach().clone() for weight in self.weights]
        with torch.no_grad():
            for weight, format in zip(self.weights, self.formats.values(), strict=True):
                weight.copy_(fake_quantize(weight, format))
        try:
            yield
        finally:
            with torch.no_grad():
                torch._foreach_copy_(self.weights, latent)
