"""Causal grouped-query attention with normalised queries and keys and a learned gain per query head."""

import torch
import torch.nn.functional as F
from torch import nn

from mulligan.model.config import ModelConfig
from mulligan.model.positions import Rotation, rotate


class Attention(nn.Module):
    """(B, T, model_dim) -> (B, T, model_dim). Logits are at most q_gain x sqrt(head_dim) in magnitude."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.num_heads, self.num_kv_heads, self.head_dim = config.num_heads, config.num_kv_heads, config.head_dim
        self.c_q = nn.Linear(config.model_dim, config.model_dim, bias=False)
        self.c_k = nn.Linear(config.model_dim, config.kv_dim, bias=False)
        self.c_v = nn.Linear(config.model_dim, config.kv_dim, bias=False)
        self.proj = nn.Linear(config.model_dim, config.model_dim, bias=False)
        self.q_gain = nn.Parameter(torch.full((config.num_heads,), config.qk_gain_init))

    def forward(self, x: torch.Tensor, rotation: Rotation, first: int = 0) -> torch.Tensor:
        """Return the attention of positions `first` on to themselves and all earlier ones; x (B, T, dim) is normalised."""
        batch, seq_len, dim = x.shape
        cos, sin = (table.to(x.dtype) for table in rotation)
        q = self._heads(self.c_q(x[:, first:]), self.num_heads)
        k = self._heads(self.c_k(x), self.num_kv_heads)
        v = self._heads(self.c_v(x), self.num_kv_heads)
        q = rotate(F.rms_norm(q, (self.head_dim,)), cos[first:], sin[first:]) * self.q_gain.to(x.dtype)[:, None, None]
        k = rotate(F.rms_norm(k, (self.head_dim,)), cos, sin)
        rows = seq_len - first
        seen = torch.ones(rows, seq_len, dtype=torch.bool, device=x.device).tril(first) if first else None
        grouped = self.num_kv_heads != self.num_heads
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=seen, is_causal=seen is None, enable_gqa=grouped)
        out: torch.Tensor = self.proj(y.transpose(1, 2).reshape(batch, rows, dim))
        return out

    def _heads(self, x: torch.Tensor, num_heads: int) -> torch.Tensor:
        """Return (B, T, num_heads x head_dim) as (B, num_heads, T, head_dim)."""
        return x.view(*x.shape[:-1], num_heads, self.head_dim).transpose(1, 2)
