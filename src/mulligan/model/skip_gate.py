"""Skip gates: where the second half of the layers meets the first, a gate chooses between stream and skip.

What it does     x <- g x + (1 - g) (w skip), g = sigmoid(gate) per channel, gates 0 and weights w 1 at first; without gates
                 the weighted skip is added.
Why it may help  The stream's size stays as it is, and each channel says which half of the network it trusts.
Touches          model: the entry of each layer of the second half.
Recipe           model.skip_gates
Cost             model_dim parameters per skip and two element-wise products.
Source           parameter-golf PR 1089, 1218; skips: the challenge's starter script.
Published        Nothing on its own.
"""

import torch


def join(x: torch.Tensor, skip: torch.Tensor, weight: torch.Tensor, gate: torch.Tensor | None) -> torch.Tensor:
    """Return the stream x (B, T, model_dim) with a skip of the same shape; weight and gate (model_dim,)."""
    skip = weight.to(x.dtype) * skip
    return x + skip if gate is None else torch.lerp(skip, x, torch.sigmoid(gate.to(x.dtype)))
