"""The feed-forward part of a block: relu squared, leaky relu squared, or SwiGLU.

What it does     relu-squared: W2 relu(W1 x)^2. leaky-relu-squared: W2 leaky_relu(W1 x, slope)^2. swiglu:
                 W2 (silu(Wg x) * (W1 x)).
Why it may help  Squares make sparse, strong features; a leaky slope lets negative inputs learn; SwiGLU selects by a gate.
Touches          model: the feed-forward of every block.
Cost             Two matrices; SwiGLU has three, so that an equal count takes 2 / 3 of the hidden size.
Source           So et al. 2021, arXiv:2109.08668 (relu squared); Shazeer 2020, arXiv:2002.05202 (SwiGLU); parameter-golf
                 starter script, PR 493 and 549 (leaky).
Published        Leaky slope 0.5: -2.1 mBPB (PR 549); slopes 0.3 to 0.78 within seed noise (PR 977). SwiGLU: slower, no gain.
"""

import torch
import torch.nn.functional as F
from torch import nn

from mulligan.model.config import ModelConfig
from mulligan.model.kind import LeakyReluSquared, SwiGlu


class FeedForward(nn.Module):
    """(B, T, model_dim) -> (B, T, model_dim)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config.feed_forward
        self.fc = nn.Linear(config.model_dim, config.hidden_dim, bias=False)
        self.gate = nn.Linear(config.model_dim, config.hidden_dim, bias=False) if isinstance(self.config, SwiGlu) else None
        self.proj = nn.Linear(config.hidden_dim, config.model_dim, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the feed-forward of x, which is normalised."""
        hidden = self.fc(x)
        if self.gate is not None:
            hidden = F.silu(self.gate(x)) * hidden
        elif isinstance(self.config, LeakyReluSquared):
            hidden = F.leaky_relu(hidden, self.config.negative_slope).square()
        else:
            hidden = torch.relu(hidden).square()
        out: torch.Tensor = self.proj(hidden)
        return out
