"""The feed-forward part of a block: two matrices around relu squared."""

import torch
from torch import nn

from mulligan.model.config import ModelConfig


class FeedForward(nn.Module):
    """(B, T, model_dim) -> (B, T, model_dim): W2 relu(W1 x)^2."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.fc = nn.Linear(config.model_dim, config.hidden_dim, bias=False)
        self.proj = nn.Linear(config.hidden_dim, config.model_dim, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return W2 relu(W1 x)^2; x is normalised."""
        out: torch.Tensor = self.proj(torch.relu(self.fc(x)).square())
        return out
