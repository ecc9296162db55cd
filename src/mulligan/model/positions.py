"""RoPE: rotary positions, on a whole head or a part of it, with NTK-aware or YaRN extension.

What it does     Rotates each pair (j, j + d / 2) of the first d dimensions of queries and keys by position x base^(-2 j / d).
                 NTK: beyond `from_len` the base grows with the context. YaRN: long wavelengths are stretched at every length.
Why it may help  A query meets a key at an angle that depends on their distance alone; no parameters, any length. Dimensions
                 left alone match content at any distance.
Touches          model: queries and keys before the attention product.
Recipe           model.positions=rope, model.positions.extension, evaluate.position_extension
Cost             Four multiplications per rotated query and key element.
Source           Su et al. 2021, arXiv:2104.09864; NTK-aware scaling: bloc97 2023; YaRN: Peng et al. 2023, arXiv:2309.00071
                 (frequencies alone, no temperature); parameter-golf starter script, PR 315 (partial), 96, 640.
Published        Partial with norm scale, jointly -2.3 mBPB (PR 315). NTK from 2,048 to 4,096 at scoring: +5.55 mBPB, sliding
                 (PR 1718).
"""

import torch

from mulligan.model.kind import Ntk, Rope, Yarn

Rotation = tuple[torch.Tensor, torch.Tensor]


def effective_base(config: Rope, head_dim: int, context_len: int) -> float:
    """Return the base in force in a context of `context_len` tokens: `base` itself up to `from_len`."""
    extension, dims = config.extension, config.rotated_dims or head_dim
    if not isinstance(extension, Ntk) or context_len <= extension.from_len:
        return config.base
    return float(config.base * (context_len / extension.from_len) ** (dims / (dims - 2)))


def rotation(config: Rope, head_dim: int, seq_len: int, device: torch.device, context_len: int | None = None) -> Rotation:
    """Return (cos, sin), each (seq_len, rotated dims / 2) float32, for positions 0 to seq_len - 1.

    `context_len`: the length for which NTK chooses the base, where a batch is cut or padded to another (None: seq_len).
    Computed in every forward and shared by all layers: a cache could be stale in length, device or base (B18, B19).
    """
    frequency = _frequency(config, head_dim, context_len or seq_len, device)
    angle = torch.outer(torch.arange(seq_len, dtype=torch.float32, device=device), frequency)
    return angle.cos(), angle.sin()


def rotation_at(config: Rope, head_dim: int, position: torch.Tensor, context_len: int) -> Rotation:
    """Return (cos, sin), each (n, rotated dims / 2) float64, for positions (n,): float32 has no angles of millions."""
    angle = torch.outer(position.double(), _frequency(config, head_dim, context_len, position.device).double())
    return angle.cos(), angle.sin()


def _frequency(config: Rope, head_dim: int, context_len: int, device: torch.device) -> torch.Tensor:
    """Return the angle that each pair turns by per position, (rotated dims / 2,) float32."""
    dims = config.rotated_dims or head_dim
    exponent = torch.arange(0, dims, 2, dtype=torch.float32, device=device) / dims
    frequency = 1.0 / effective_base(config, head_dim, context_len) ** exponent
    if isinstance(config.extension, Yarn):
        ramp = ((exponent - 0.25) / 0.75).clamp(0.0, 1.0)
        frequency = frequency / (1.0 + ramp * (config.extension.to_len / config.extension.from_len - 1.0))
    return frequency


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Return x (..., seq_len, head_dim) with its first dimensions rotated: (x1, x2) -> (x1 cos + x2 sin, x2 cos - x1 sin)."""
    rotated, alone = (x, ()) if x.size(-1) == 2 * cos.size(-1) else _split(x, 2 * cos.size(-1))
    x1, x2 = rotated.chunk(2, dim=-1)
    return torch.cat((x1 * cos + x2 * sin, x2 * cos - x1 * sin, *alone), dim=-1)


def _split(x: torch.Tensor, dims: int) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    return x[..., :dims], (x[..., dims:],)
