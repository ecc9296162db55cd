"""A block: how attention and feed-forward write into the residual stream."""

import torch
import torch.nn.functional as F
from torch import nn

from mulligan.model.attention import Attention
from mulligan.model.config import ModelConfig
from mulligan.model.feed_forward import FeedForward
from mulligan.model.positions import Rotation


class Block(nn.Module):
    """x <- m0 x + m1 x0; x <- x + a Attention(rms(x)); x <- x + b FeedForward(rms(x)); m, a, b learned per channel."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.attn = Attention(config)
        self.mlp = FeedForward(config)
        self.attn_scale = nn.Parameter(torch.ones(config.model_dim))
        self.mlp_scale = nn.Parameter(torch.ones(config.model_dim))
        self.resid_mix = nn.Parameter(torch.stack((torch.ones(config.model_dim), torch.zeros(config.model_dim))))

    def forward(self, x: torch.Tensor, x0: torch.Tensor, rotation: Rotation, first: int = 0) -> torch.Tensor:
        """Return the stream after the block, positions `first` on; x0 (B, T, model_dim) is the normalised embedding."""
        mix = self.resid_mix.to(x.dtype)
        x = mix[0] * x + mix[1] * x0
        x = x[:, first:] + self.attn_scale.to(x.dtype) * self.attn(rms_norm(x), rotation, first)
        out: torch.Tensor = x + self.mlp_scale.to(x.dtype) * self.mlp(rms_norm(x))
        return out


def rms_norm(x: torch.Tensor) -> torch.Tensor:
    """Return x / sqrt(mean(x^2) + eps) over the last dimension, no gain, eps the machine epsilon of x's type."""
    return F.rms_norm(x, (x.size(-1),))
