"""Muon: momentum whose update is orthogonalised, with all matrices of one shape in one batch.

What it does     Steps each matrix along the orthogonal factor of its Nesterov momentum, scaled by sqrt(max(1, rows / cols)).
Why it may help  Every direction of a matrix learns at one rate, not only those with large gradients.
Touches          train: the update of the matrices inside the blocks.
Recipe           train.optimizer
Cost             Five small matrix products a step and matrix; one momentum buffer in float32.
Source           Jordan et al. 2024 (Muon); parameter-golf starter script.
"""

import torch
from torch import nn

from mulligan.numerics.newton_schulz import Coefficients, orthogonalize
from mulligan.train.row_normalize import row_normalize


class Muon:
    """Muon over named matrices; momentum is a plain sum, M <- mu M + G, and the update G + mu M (Nesterov)."""

    def __init__(
        self,
        parameters: dict[str, nn.Parameter],
        *,
        weight_decay: float,
        newton_schulz_steps: int,
        dtype: torch.dtype,
        coefficients: Coefficients = "quintic",
        row_normalize: bool = False,
    ) -> None:
        self.weight_decay = weight_decay
        self.newton_schulz_steps = newton_schulz_steps
        self.dtype = dtype
        self.coefficients = coefficients
        self.row_normalize = row_normalize
        shapes: dict[torch.Size, dict[str, nn.Parameter]] = {}
        for name, parameter in parameters.items():
            shapes.setdefault(parameter.shape, {})[name] = parameter
        self.batches = list(shapes.values())
        self.momenta = [torch.stack([torch.zeros_like(p.data) for p in batch.values()]) for batch in self.batches]

    @torch.no_grad()
    def step(self, lr: float, momentum: float, decay_scale: float = 1.0) -> None:
        """Update every matrix from its `.grad`; weight decay is decoupled, W <- W (1 - lr wd decay_scale), and comes first."""
        decay = self.weight_decay * decay_scale
        for batch, buffer in zip(self.batches, self.momenta, strict=True):
            weights = [parameter.data for parameter in batch.values()]
            gradient = torch.stack([_gradient(name, parameter) for name, parameter in batch.items()])
            buffer.mul_(momentum).add_(gradient)
            update = gradient.add_(buffer, alpha=momentum)
            update = row_normalize(update) if self.row_normalize else update
            update = orthogonalize(update, self.newton_schulz_steps, self.dtype, self.coefficients)
            if decay:
                torch._foreach_mul_(weights, 1.0 - lr * decay)
            rows, cols = weights[0].shape
            torch._foreach_add_(weights, list(update.float().unbind(0)), alpha=-lr * max(1.0, rows / cols) ** 0.5)

    def state(self) -> dict[str, torch.Tensor]:
        """Return the momentum of each matrix as `momentum/<name>`."""
        return {
            f"momentum/{name}": buffer[i]
            for batch, buffer in zip(self.batches, self.momenta, strict=True)
            for i, name in enumerate(batch)
        }

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Take over what `state` returned."""
        for batch, buffer in zip(self.batches, self.momenta, strict=True):
            for i, name in enumerate(batch):
                buffer[i].copy_(state[f"momentum/{name}"])


def _gradient(name: str, parameter: nn.Parameter) -> torch.Tensor:
    assert parameter.grad is not None, f"{name} took no part in the loss"
    return parameter.grad
