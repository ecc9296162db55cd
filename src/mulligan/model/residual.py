"""A block: how attention and feed-forward write into the residual stream.

What it does     In turn: x <- x + a Attention(h), then x <- x + b FeedForward(h'), h and h' the normalised streams. From
                 `parallel_from_layer` on both read one h: x <- x + a Attention(h) + b FeedForward(h). With
                 `layer_norm_scale`, every h of layer i (from 0) is divided by sqrt(i + 1).
Why it may help  Parallel halves run side by side and are said to quantize better; a scale that falls with depth keeps late
                 layers from shouting over early ones.
Touches          model: the residual stream inside a block.
Recipe           model.layer_norm_scale, model.parallel_from_layer
Cost             Nothing; no parameters.
Source           Wang and Komatsuzaki 2021 (GPT-J, parallel); Sun et al. 2025, arXiv:2502.05795 (scale by depth); parameter-golf
                 PR 1412, 315.
Published        Parallel: about -2 mBPB, one sample (PR 1204). Norm scale with partial rotary positions, jointly -2.3 (PR
                 315).
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from mulligan.model.attention import Attention, Seen
from mulligan.model.config import ModelConfig
from mulligan.model.feed_forward import FeedForward
from mulligan.model.kind import UserFeedForward
from mulligan.model.residual_mixing import mix_residual


class Block(nn.Module):
    """x <- m0 x + m1 x0, then attention and feed-forward with scales a and b; m, a, b learned per channel."""

    def __init__(self, config: ModelConfig, layer: int) -> None:
        super().__init__()
        self.attn = Attention(config, layer)
        own = config.feed_forward
        self.mlp = own.build(config) if isinstance(own, UserFeedForward) else FeedForward(config)
        self.attn_scale = nn.Parameter(torch.ones(config.model_dim))
        self.mlp_scale = nn.Parameter(torch.ones(config.model_dim))
        self.resid_mix = nn.Parameter(torch.stack((torch.ones(config.model_dim), torch.zeros(config.model_dim))))
        mixed = config.residual_mixing == "mhc"
        self.mhc_alpha = nn.Parameter(torch.ones(())) if mixed else None
        self.mhc_beta = nn.Parameter(torch.ones(())) if mixed else None
        self.parallel = config.parallel_from_layer is not None and layer >= config.parallel_from_layer
        self.norm_scale = 1.0 / math.sqrt(layer + 1) if config.layer_norm_scale == "inverse-sqrt-depth" else None

    def forward(
        self, x: torch.Tensor, x0: torch.Tensor, seen: Seen, first_values: torch.Tensor | None = None, first: int = 0
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the stream after the block, positions `first` on, and the attention's own values.

        x0 (B, T, model_dim) is the normalised embedding; `first_values`: see `Attention`.
        """
        mix, before = self.resid_mix.to(x.dtype), x
        x = mix[0] * x + mix[1] * x0
        rows = x[:, first:]  # before the norm: the order in which gradients are summed is part of the bits
        h = self._norm(x)
        y, values = self.attn(h, seen, first_values, first)
        x = rows + self.attn_scale.to(x.dtype) * y
        h = h[:, first:] if self.parallel else self._norm(x)
        x = x + self.mlp_scale.to(x.dtype) * self.mlp(h)
        if self.mhc_alpha is not None and self.mhc_beta is not None:
            x = mix_residual(before[:, first:], x, self.mhc_alpha, self.mhc_beta)
        return x, values

    def _norm(self, x: torch.Tensor) -> torch.Tensor:
        """Return the normalised stream, scaled where the layer's depth says so."""
        h = rms_norm(x)
        return h if self.norm_scale is None else h * self.norm_scale


def rms_norm(x: torch.Tensor) -> torch.Tensor:
    """Return x / sqrt(mean(x^2) + eps) over the last dimension, no gain, eps the machine epsilon of x's type."""
    return F.rms_norm(x, (x.size(-1),))
