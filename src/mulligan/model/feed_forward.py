"""The feed-forward part of a block: two matrices around relu squared (levers 2)."""

import torch
import torch.nn.functional as F
from torch import nn

from mulligan.model.config import ModelConfig


class FeedForward(nn.Module):
    """(B, T, model_dim) -> (B, T, model_dim): W2 relu(W1 x)^2."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.fc = nn.Linear(config.model_dim, config.hidden_dim, bias=False)
        self.proj = nn.Linear(config.hidden_dim, config.model_dim, bias=False)

    def forward(self, x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
        """Return `scale` (model_dim,) times W2 relu(W1 x)^2; x is normalised."""
        return scaled_linear(torch.relu(self.fc(x)).square(), self.proj.weight, scale, fold=self.training)


def scaled_linear(x: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor, *, fold: bool) -> torch.Tensor:
    """Return scale * (x @ weight.T): x (..., in), weight (out, in), scale (out,).

    `fold` multiplies the rows of the weight instead of every token, which spares training four passes over the
    activations and rounds differently in the last bits. Scoring keeps the published order of operations, so that an
    imported checkpoint scores exactly as it did.
    """
    if fold:
        return F.linear(x, scale[:, None] * weight)
    out = F.linear(x, weight)
    return scale.to(out.dtype) * out
