"""Seeded Walsh-Hadamard rotation of a matrix's columns: W -> (W diag(s)) H, in blocks of a power of two.

Additions and subtractions in float32, then one product: the same bits at every number of threads. The signs s come from
SHAKE-256 of the seed, so no library's random numbers enter an artifact.
"""

import hashlib
import math

import numpy as np
import torch


def rotate(weight: torch.Tensor, seed: int) -> torch.Tensor:
    """Return `weight` float32 (rows, cols) with signs flipped by column, then each block of columns transformed."""
    return _transform(weight * _signs(weight.shape[1], seed).to(weight.device))


def unrotate(weight: torch.Tensor, seed: int) -> torch.Tensor:
    """Return what `rotate` was given, but for rounding."""
    return _transform(weight) * _signs(weight.shape[1], seed).to(weight.device)


def block_size(cols: int) -> int:
    """Return the greatest power of two that divides `cols`."""
    return cols & -cols


def _transform(weight: torch.Tensor) -> torch.Tensor:
    """Return each block of columns times the normalised Hadamard matrix (Sylvester's), which is its own inverse."""
    rows, cols = weight.shape
    size = block_size(cols)
    half = 1
    while half < size:
        pairs = weight.reshape(rows, -1, 2, half)
        weight = torch.stack((pairs[:, :, 0] + pairs[:, :, 1], pairs[:, :, 0] - pairs[:, :, 1]), dim=2).reshape(rows, cols)
        half *= 2
    return weight * (1.0 / math.sqrt(size))


def _signs(cols: int, seed: int) -> torch.Tensor:
    """Return +1.0 or -1.0 for each column."""
    raw = hashlib.shake_256(seed.to_bytes(4, "little")).digest(-(-cols // 8))
    bits = np.unpackbits(np.frombuffer(raw, dtype=np.uint8), count=cols)
    return torch.from_numpy(1.0 - 2.0 * bits.astype(np.float32))
