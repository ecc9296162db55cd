"""Rotation: matrices are rounded in a basis in which no column stands out.

What it does     Stores the codes of (W diag(s)) Hn for each integer matrix with a scale per row: s seeded signs, Hn the
                 normalised Walsh-Hadamard matrix in blocks of the greatest power of two that divides the columns. Reading
                 undoes it. `adaptive`: only where the squared error of rounding to nearest drops.
Why it may help  Under row-max scales a few outlier columns cost all others their precision; mixed, there are none.
Touches          quantize: the basis of codes; with GPTQ the Hessian turns with it.
Cost             A few bytes per matrix; the integers of matrices with structure pack worse.
Source           Ashkboos et al. 2024, arXiv:2404.00456; Liu et al. 2024, arXiv:2405.16406; parameter-golf PR 1718, 1400, 1898.
Published        -0.2 mBPB (PR 670); about +1 MB after brotli (PR 1898). Under `standard-deviations` null by construction: a
                 rotation keeps a row's norm, and so its step.
"""

import torch

from mulligan.numerics.config import IntFormat
from mulligan.numerics.grid import dequantize_rows, quantize_rows
from mulligan.numerics.hadamard import block_size, rotate, unrotate
from mulligan.quantize.config import HadamardRotation

SEED = 0
"""One for all matrices: signs need not differ between them, and equal seeds cost nothing to store."""


def rotation_seed(config: HadamardRotation, format: IntFormat, weight: torch.Tensor) -> int | None:
    """Return the seed of a matrix's rotation; None where it stays as it is.

    That is all that is no matrix, has one scale for the whole, or an odd number of columns, which no block mixes.
    """
    if weight.ndim != 2 or format.scale_per == "tensor" or block_size(weight.shape[1]) < 2 or weight.numel() == 0:
        return None
    if not config.adaptive:
        return SEED
    turned = unrotate(dequantize_rows(*quantize_rows(rotate(weight, SEED), format), weight.shape), SEED)
    plain = dequantize_rows(*quantize_rows(weight, format), weight.shape)
    return SEED if _squared(turned - weight) < _squared(plain - weight) else None


def rotate_hessian(hessian: torch.Tensor, seed: int) -> torch.Tensor:
    """Return the mean of x x^T of the inputs in the rotated basis."""
    return rotate(rotate(hessian, seed).T.contiguous(), seed)


def _squared(error: torch.Tensor) -> float:
    return float(error.double().square().sum())
