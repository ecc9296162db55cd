"""RoPE: rotary positions.

What it does     Rotates each pair (j, j + head_dim / 2) of queries and keys by position x base^(-2 j / head_dim).
Why it may help  A query meets a key at an angle that depends on their distance alone; no parameters, any length.
Touches          model: queries and keys before the attention product.
Cost             Four multiplications per query and key element.
Source           Su et al. 2021, arXiv:2104.09864; parameter-golf starter script.
"""

import torch

from mulligan.model.config import Rope

Rotation = tuple[torch.Tensor, torch.Tensor]


def rotation(config: Rope, head_dim: int, seq_len: int, device: torch.device) -> Rotation:
    """Return (cos, sin), each (seq_len, head_dim / 2) float32, for positions 0 to seq_len - 1.

    Computed in every forward and shared by all layers: a cache could be stale in length, device or base (B18, B19).
    """
    exponent = torch.arange(0, head_dim, 2, dtype=torch.float32, device=device) / head_dim
    position = torch.arange(seq_len, dtype=torch.float32, device=device)
    angle = torch.outer(position, 1.0 / config.base**exponent)
    return angle.cos(), angle.sin()


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Return x (..., seq_len, head_dim) rotated: halves (x1, x2) become (x1 cos + x2 sin, x2 cos - x1 sin)."""
    x1, x2 = x.chunk(2, dim=-1)
    return torch.cat((x1 * cos + x2 * sin, x2 * cos - x1 * sin), dim=-1)
