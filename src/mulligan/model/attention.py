"""Causal grouped-query attention with normalised queries and keys and a learned gain per query head."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from mulligan.model.attention_gate import gate_of, gate_projection
from mulligan.model.config import ModelConfig
from mulligan.model.exclusive_attention import exclude_self
from mulligan.model.past import LayerPast
from mulligan.model.positions import Rotation, rotate
from mulligan.model.value_residual import mix_values, new_mix


@dataclass(frozen=True)
class Seen:
    """What a layer's attention is given beside the stream; None is what is off.

    `mask`: see `attention_mask`, and `Past.masks` where there is a `past`; `value_embedding` (B, T, kv_dim) is added to the
    values.
    """

    rotation: Rotation | None
    mask: torch.Tensor | None
    value_embedding: torch.Tensor | None
    past: LayerPast | None = None


class Attention(nn.Module):
    """(B, T, model_dim) -> (B, T, model_dim). Logits are at most q_gain x sqrt(head_dim) in magnitude, biases aside."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.config = config
        self.num_heads, self.num_kv_heads, self.head_dim = config.num_heads, config.num_kv_heads, config.head_dim
        self.exclusive = layer >= config.num_layers - config.num_exclusive_layers
        self.c_q = nn.Linear(config.model_dim, config.model_dim, bias=False)
        self.c_k = nn.Linear(config.model_dim, config.kv_dim, bias=False)
        self.c_v = nn.Linear(config.model_dim, config.kv_dim, bias=False)
        self.proj = nn.Linear(config.model_dim, config.model_dim, bias=False)
        self.q_gain = nn.Parameter(torch.full((config.num_heads,), config.qk_gain_init))
        self.attn_gate_proj = gate_projection(config)
        self.vr_lambda = new_mix() if config.value_residual != "off" and layer > 0 else None

    def forward(
        self, x: torch.Tensor, seen: Seen, first_values: torch.Tensor | None = None, first: int = 0
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the attention of positions `first` on to all that they see, and the layer's own values.

        x (B, T, model_dim) is normalised; values (B, num_kv_heads, T, head_dim), the first layer's too, are before any mixing.
        """
        batch, seq_len, dim = x.shape
        q = F.rms_norm(self._heads(self.c_q(x[:, first:]), self.num_heads), (self.head_dim,))
        k = F.rms_norm(self._heads(self.c_k(x), self.num_kv_heads), (self.head_dim,))
        if seen.rotation is not None:
            cos, sin = (table.to(x.dtype) for table in seen.rotation)
            q, k = rotate(q, cos[first:], sin[first:]), rotate(k, cos, sin)
        q = q * self.q_gain.to(x.dtype)[:, None, None]
        own = v = self._heads(self._values(x, seen), self.num_kv_heads)
        if self.vr_lambda is not None and first_values is not None:
            v = mix_values(own, first_values, self.vr_lambda)
        if seen.past is not None and seen.mask is not None:
            y = seen.past.attend(q, k, v, seen.mask)
        else:
            mask, grouped = _rows_from(first, seq_len, seen.mask, q), self.num_kv_heads != self.num_heads
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None, enable_gqa=grouped)
        if self.exclusive:
            y = exclude_self(y, v[:, :, first:])
        if self.attn_gate_proj is not None:
            y = y * gate_of(self.config, self.attn_gate_proj, x[:, first:])
        out: torch.Tensor = self.proj(y.transpose(1, 2).reshape(batch, seq_len - first, dim))
        return out, own

    def _values(self, x: torch.Tensor, seen: Seen) -> torch.Tensor:
        """Return the layer's own values (B, T, kv_dim)."""
        values: torch.Tensor = self.c_v(x)
        return values if seen.value_embedding is None else values + seen.value_embedding.to(values.dtype)

    def _heads(self, x: torch.Tensor, num_heads: int) -> torch.Tensor:
        """Return (B, T, num_heads x head_dim) as (B, num_heads, T, head_dim)."""
        return x.view(*x.shape[:-1], num_heads, self.head_dim).transpose(1, 2)


def _rows_from(first: int, seq_len: int, mask: torch.Tensor | None, q: torch.Tensor) -> torch.Tensor | None:
    """Return the mask of the queries from `first` on; None where plain causal attention will do."""
    if mask is None:
        rows = seq_len - first
        return torch.ones(rows, seq_len, dtype=torch.bool, device=q.device).tril(first) if first else None
    mask = mask[..., first:, :]
    return mask if mask.dtype == torch.bool else mask.to(q.dtype)
