"""Low-rank correction (LQER): the worst rounding errors are stored too, in a few columns.

What it does     Of all integer matrices takes the `top_k` whose error E = W - Wq has the greatest Frobenius norm, and adds to
                 each the product A B of the first `rank` singular vectors of E, A = U S and B = V^T, in codes of few bits.
Why it may help  The error of a bad matrix is not white; its strongest directions are cheap to store.
Touches          quantize: a correction beside the codes, in the matrix's own basis.
Cost             rank x (rows / 4 + cols / 2) bytes per matrix before packing, and its scales.
Source           Zhang et al. 2024, arXiv:2402.02446; parameter-golf PR 1797, 1855.
Published        Claimed -9 mBPB (PR 1797); from its logs -0.2 to -0.4.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch

from mulligan.numerics.grid import FP16_MAX, FP16_TINY
from mulligan.quantize.config import LowRankCorrection
from mulligan.values.quantized import Factor, LowRank, QuantizedTensor

RIGHT_GROUP = 64
Tensors = dict[str, QuantizedTensor | torch.Tensor]


def correct_worst(
    config: LowRankCorrection, weights: Mapping[str, torch.Tensor], tensors: Mapping[str, QuantizedTensor | torch.Tensor]
) -> Tensors:
    """Return all tensors, the integer matrices with the greatest error corrected."""
    errors = {
        name: weights[name].numpy().astype(np.float64) - tensor.dequantize().numpy()
        for name, tensor in tensors.items()
        if isinstance(tensor, QuantizedTensor) and len(tensor.shape) == 2 and tensor.codes.numel()
    }
    worst = sorted(errors, key=lambda name: -float(np.square(errors[name]).sum()))[: config.top_k]
    corrected: Tensors = dict(tensors)
    for name in worst:
        tensor = tensors[name]
        assert isinstance(tensor, QuantizedTensor)
        corrected[name] = replace(tensor, correction=_low_rank(config, errors[name]))
    return corrected


def _low_rank(config: LowRankCorrection, error: "np.ndarray[tuple[int, int], np.dtype[np.float64]]") -> LowRank:
    left, strength, right = np.linalg.svd(error, full_matrices=False)
    rank = min(config.rank, len(strength))
    a, b = torch.from_numpy(left[:, :rank] * strength[:rank]), torch.from_numpy(right[:rank])
    if config.factors == "symmetric":
        return LowRank(_factor(a, 4, rank, 7.0, -7), _factor(b, 4, b.shape[1], 7.0, -7))
    return LowRank(_factor(a, 2, a.numel(), 1.5, -2), _factor(b, 4, RIGHT_GROUP, 7.5, -8))


def _factor(values: torch.Tensor, bits: int, group_size: int, levels: float, least: int) -> Factor:
    """Return codes in [least, 2^(bits-1) - 1], with the scale max |group| / `levels` of each group of `group_size`."""
    flat = values.flatten()
    num_groups = -(-len(flat) // group_size)
    groups = torch.nn.functional.pad(flat, (0, num_groups * group_size - len(flat))).view(num_groups, group_size)
    scale = (groups.abs().amax(1) / levels).clamp(FP16_TINY, FP16_MAX).half()
    codes = (groups / scale.double()[:, None]).round_().clamp_(least, 2 ** (bits - 1) - 1)
    return Factor(codes.flatten()[: len(flat)].view(values.shape).to(torch.int8), scale, bits, group_size)
