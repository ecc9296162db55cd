"""Softcaps: logits that cannot grow without bound.

What it does     tanh: c tanh(l / c). poly-5: c clip(u (1 - u^2 / 3 + u^4 / 15), -1, 1) with u = clip(l / c, -2, 2).
Why it may help  Bounded logits keep a small network's loss and gradients tame late in training.
Touches          model: the logits.
Cost             One element-wise function on the logits; the polynomial is cheaper than tanh.
Source           Gemma 2, Riviere et al. 2024, arXiv:2408.00118; parameter-golf starter script (tanh), PR 640 (polynomial).
"""

import torch


def softcap(logits: torch.Tensor, cap: float, kind: str) -> torch.Tensor:
    """Return the logits within (-cap, cap)."""
    if kind == "tanh":
        return cap * torch.tanh(logits / cap)
    u = (logits / cap).clamp(-2.0, 2.0)
    square = u * u
    return cap * (u * (1.0 - square / 3.0 + square * square / 15.0)).clamp(-1.0, 1.0)
