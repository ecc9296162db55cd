"""ALiBi and T5's relative buckets: positions as a bias on the attention logits.

What it does     Adds to the logit of query i and key j, per head, -2^(-8 h / num_heads) (i - j) (ALiBi, h from 1), or a learned
                 number for the bucket of i - j, shared by all layers (relative buckets, zero at first).
Why it may help  Nothing is rotated, so a context longer than the trained one shows the heads no angle that they never saw.
Touches          model: attention logits.
Recipe           model.positions=alibi, model.positions=relative-buckets
Cost             A (num_heads, T, T) bias per forward, and attention without its fastest kernel; buckets: num_buckets x
                 num_heads parameters.
Source           Press et al. 2021, arXiv:2108.12409 (ALiBi); Raffel et al. 2019, arXiv:1910.10683 (buckets); parameter-golf
                 PR 1718 (proposed).
Published        Nothing: proposed as the right fix for longer contexts, never run.
"""

import math

import torch

from mulligan.model.kind import RelativeBuckets


def slopes(num_heads: int, device: torch.device) -> torch.Tensor:
    """Return ALiBi's slope of each head, (num_heads,) float32."""
    head = torch.arange(1, num_heads + 1, dtype=torch.float32, device=device)
    return 2.0 ** (-8.0 * head / num_heads)


def buckets(config: RelativeBuckets, seq_len: int, device: torch.device) -> torch.Tensor:
    """Return the bucket of each distance 0 to seq_len - 1, (seq_len,) int64."""
    exact = config.num_buckets // 2
    distance = torch.arange(seq_len, dtype=torch.float32, device=device)
    ratio = torch.log(distance.clamp(min=exact) / exact) / math.log(config.max_distance / exact)
    far = (exact + (ratio * (config.num_buckets - exact)).floor()).clamp(max=config.num_buckets - 1)
    return torch.where(distance < exact, distance, far).long()


def spread(by_distance: torch.Tensor) -> torch.Tensor:
    """Return (num_heads, T, T): the bias of query i and key j, read from (num_heads, T) by the distance i - j."""
    position = torch.arange(by_distance.size(1), device=by_distance.device)
    return by_distance[:, (position[:, None] - position).clamp(min=0)]
