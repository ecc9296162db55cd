"""Hidden permutation: the hidden units of each feed-forward, sorted by the norm of what they read.

What it does     Reorders the rows of the first matrix (and of the gate beside it), strongest first, and the columns of the
                 second to match. The network computes the same function.
Why it may help  Neighbouring rows have like scales and columns like spreads, which coders that learn on the way can use.
Touches          quantize: the order of hidden units, and so of codes; not what any output is, but for the order of sums.
Cost             Nothing; no bytes.
Source           Parameter-golf PR 1855 sorts rows for its coder; a permutation of hidden units undoes itself.
"""

from collections.abc import Mapping

import numpy as np
import torch

from mulligan.model.config import ModelConfig


def sort_hidden_units(model: ModelConfig, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return all tensors, those of the shipped feed-forwards reordered."""
    moved = dict(tensors)
    for layer in range(model.num_layers):
        into = [name for name in (f"blocks.{layer}.mlp.{part}.weight" for part in ("fc", "gate")) if name in tensors]
        norms = np.square(tensors[into[0]].numpy().astype(np.float64)).sum(axis=1)
        order = torch.from_numpy(np.argsort(-norms, kind="stable"))
        for name in into:
            moved[name] = tensors[name][order]
        out = f"blocks.{layer}.mlp.proj.weight"
        moved[out] = tensors[out][:, order]
    return moved
