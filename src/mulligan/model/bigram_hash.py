"""BigramHash: a hashed table of token pairs beside the token embedding.

What it does     Adds P T[hash(previous token, token)] to the token embedding before its norm. Kinds: xor (times a learned
                 scale, 0.05 at first; table zero, P as other matrices) and linear (table of deviation 0.01, P zero).
Why it may help  Which token follows which is known before the first layer; a small network need not spend attention on it.
Touches          model: the embedding.
Cost             num_buckets x dim + dim x model_dim parameters, one look-up and one small product per forward.
Source           parameter-golf PR 162 (xor), 199 and 65 (linear).
Published        8,192 buckets -1.2 mBPB, 10,240 another -0.8 (PR 180); nothing at 4,096 pieces or more (PR 1218, 2046).

A document's first token has no previous one: it takes the bucket of a row's first token. Published scripts hash it with the
last token of the document before; `legacy_document_leak` does as they do.
"""

import torch
import torch.nn.functional as F
from torch import nn

from mulligan.model.kind import LinearHash, XorHash


class BigramTable(nn.Module):
    """(B, T) tokens -> (B, T, model_dim)."""

    def __init__(self, config: XorHash | LinearHash, model_dim: int) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(config.num_buckets, config.dim)
        self.proj = nn.Linear(config.dim, model_dim, bias=False)
        self.scale = nn.Parameter(torch.tensor(0.05)) if isinstance(config, XorHash) else None

    def forward(self, tokens: torch.Tensor, starts: torch.Tensor | None) -> torch.Tensor:
        """Return what the pairs add; `starts` (B, T): True where a document begins, None to hash across documents."""
        out = F.linear(self.embed(bucket_of(self.config, tokens, starts)), self.proj.weight)
        return out if self.scale is None else out * self.scale


def bucket_of(config: XorHash | LinearHash, tokens: torch.Tensor, starts: torch.Tensor | None) -> torch.Tensor:
    """Return the bucket (B, T), int64, of each token and the one before it."""
    previous = F.pad(tokens[:, :-1], (1, 0))
    alone = torch.zeros_like(tokens, dtype=torch.bool) if starts is None else starts.clone()
    alone[:, 0] = True
    if isinstance(config, LinearHash):
        return (config.multiplier * previous.masked_fill(alone, 0) + tokens) % config.num_buckets
    mixed = torch.bitwise_xor(36313 * tokens, 27191 * previous) % (config.num_buckets - 1)
    return mixed.masked_fill(alone, config.num_buckets - 1)
