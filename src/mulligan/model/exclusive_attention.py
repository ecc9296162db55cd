"""XSA, exclusive self-attention: a head's output without what it says of its own position.

What it does     Removes from each head's output its component along the value vector of the same position.
Why it may help  The residual stream carries the token itself already; attention is left to say what the others add.
Touches          model: the output of the last `num_exclusive_layers` attentions, before gate and projection.
Recipe           model.num_exclusive_layers
Cost             Three element-wise products on the heads' output; no parameters.
Source           Exclusive self-attention 2026, arXiv:2603.09078; parameter-golf PR 265, 287.
Published        About -2 mBPB on the last 3 layers; all 11 layers -1.0, not significant (PR 1186).
"""

import torch
import torch.nn.functional as F


def exclude_self(y: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Return y - (y . u) u with u = v / |v|; y (B, num_heads, T, d), values v (B, num_kv_heads, T, d)."""
    batch, num_heads, seq_len, head_dim = y.shape
    grouped = y.view(batch, values.size(1), num_heads // values.size(1), seq_len, head_dim)
    u = F.normalize(values, dim=-1).unsqueeze(2)
    return (grouped - (grouped * u).sum(-1, keepdim=True) * u).view_as(y)
