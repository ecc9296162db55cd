"""Shared value embedding: the token's identity, added to the values of late layers.

What it does     Looks every token up in one narrow table, projects it to the width of the values and adds it to the values of
                 the listed layers, times a learned factor per layer and one for all.
Why it may help  Late layers see the token itself again, which the residual stream has long mixed with others.
Touches          model: the values of attention in `layers`.
Cost             vocab_size x dim + dim x kv_dim parameters, one look-up and one small product per forward.
Source           Zhou et al. 2024, arXiv:2410.17897 (value residual learning); parameter-golf PR 374.
Published        Nothing on its own; +0.8 mBPB together with a value residual (PR 670).
"""

import torch
import torch.nn.functional as F
from torch import nn

from mulligan.model.kind import SharedValueEmbedding


class ValueEmbeddingTable(nn.Module):
    """(B, T) tokens -> (B, T, kv_dim)."""

    def __init__(self, config: SharedValueEmbedding, vocab_size: int, kv_dim: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocab_size, config.dim)
        self.proj = nn.Linear(config.dim, kv_dim, bias=False)
        self.scale = nn.Parameter(torch.tensor(0.1))

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Return scale x P E[token]."""
        return F.linear(self.embed(tokens), self.proj.weight) * self.scale
