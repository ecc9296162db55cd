"""SmearGate: a little of the previous token in each token's embedding.

What it does     static: (1 - g) x_t + g x_{t-1}, g = sigmoid of a learned number per channel. input-gated:
                 x_t + lambda sigmoid(w . x_t[:width]) x_{t-1}. After the embedding's norm, before the first layer.
Why it may help  The pair of tokens is there before the first attention, which then need not be spent on it.
Touches          model: the embedding.
Recipe           model.smear
Cost             model_dim parameters (static) or width + 1 (input-gated), in the scalar group.
Source           parameter-golf PR 65, 162 (static), modded-nanogpt and PR 1667 (input-gated).
Published        Seldom alone; with output gates 1.0740 to 1.0714 (PR 1667).

A document's first token takes nothing from the document before. Published scripts let it leak (fixed in PR 1851);
`legacy_document_leak` does as they do. The gates are called as the published scripts call them.
"""

import torch
import torch.nn.functional as F
from torch import nn

from mulligan.model.kind import StaticSmear


class StaticSmearGate(nn.Module):
    """(B, T, model_dim) -> (B, T, model_dim), one gate per channel."""

    def __init__(self, config: StaticSmear, model_dim: int) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.full((model_dim,), config.gate_init))

    def forward(self, x: torch.Tensor, starts: torch.Tensor | None) -> torch.Tensor:
        """Return (1 - g) x_t + g x_{t-1}."""
        gate = torch.sigmoid(self.gate)
        return (1.0 - gate) * x + gate * previous(x, starts)


def smear_by_input(x: torch.Tensor, starts: torch.Tensor | None, gate: torch.Tensor, strength: torch.Tensor) -> torch.Tensor:
    """Return x_t + strength x sigmoid(gate . x_t[:width]) x_{t-1}; gate (1, width), strength (1,)."""
    return x + strength * torch.sigmoid(F.linear(x[..., : gate.size(1)], gate)) * previous(x, starts)


def previous(x: torch.Tensor, starts: torch.Tensor | None) -> torch.Tensor:
    """Return x_{t-1}, zero for a row's first position and where a document `starts` (B, T)."""
    before = F.pad(x[:, :-1], (0, 0, 1, 0))
    return before if starts is None else before.masked_fill(starts.unsqueeze(-1), 0.0)
