"""The optimizer of a run: Muon for the matrices, Adam for tokens, head and scalars, under one step and one state."""

import torch
from torch import nn

from mulligan.numerics.trigger import Moment
from mulligan.train.config import MuonAdam
from mulligan.train.muon import Muon
from mulligan.train.parameter_group import HEAD, MATRIX, SCALAR, TOKEN, ParameterGroup, split_parameters


class Optimizer:
    """Updates every parameter of `model`; `precision` "bf16" orthogonalises in bfloat16, "fp32" in float32."""

    def __init__(self, config: MuonAdam, model: nn.Module, precision: str) -> None:
        self.config = config
        groups = split_parameters(model)
        matrices = {name: p for group in groups if group.name == MATRIX for name, p in group.parameters.items()}
        self.muon = Muon(
            matrices,
            weight_decay=config.muon_weight_decay,
            newton_schulz_steps=config.newton_schulz_steps,
            dtype=torch.bfloat16 if precision == "bf16" else torch.float32,
            coefficients=config.newton_schulz_coefficients,
            row_normalize=config.row_normalize,
        )
        self.adam_groups = [group for group in groups if group.name != MATRIX]
        self.base_lrs = [self._base_lr(group) for group in self.adam_groups]
        self.adam = torch.optim.AdamW(
            [
                {"params": list(group.parameters.values()), "weight_decay": self._weight_decay(group)}
                for group in self.adam_groups
            ],
            lr=0.0,
            betas=(config.beta1, config.beta2),
            eps=config.eps,
            fused=True,
        )

    def _base_lr(self, group: ParameterGroup) -> float:
        lrs = {TOKEN: self.config.token_lr, SCALAR: self.config.scalar_lr, HEAD: self.config.head_lr}
        lr = lrs[group.name]
        if lr is None:
            raise ValueError("train.optimizer.head_lr is not given, and the embedding is untied. Give one, such as 0.008.")
        return lr

    def _weight_decay(self, group: ParameterGroup) -> float:
        own = self.config.token_weight_decay if group.name == TOKEN else None
        return self.config.adam_weight_decay if own is None else own

    def step(self, moment: Moment, momentum: float, decay_scale: float = 1.0) -> None:
        """Update all parameters at the learning-rate scale of `moment`; `decay_scale` multiplies Muon's weight decay."""
        for group, base_lr in zip(self.adam.param_groups, self.base_lrs, strict=True):
            group["lr"] = base_lr * moment.lr_scale
        self.adam.step()
        self.muon.step(self.config.matrix_lr * moment.lr_scale, momentum, decay_scale)

    def state(self) -> dict[str, torch.Tensor]:
        """Return every moment and count by name; empty before the first step for Adam."""
        tensors = self.muon.state()
        for group in self.adam_groups:
            for name, parameter in group.parameters.items():
                for key, value in self.adam.state.get(parameter, {}).items():
                    tensors[f"adam/{key}/{name}"] = torch.as_tensor(value)
        return tensors

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Take over what `state` returned, bit for bit."""
        self.muon.load_state(state)
        self.adam.state.clear()
        for group in self.adam_groups:
            for name, parameter in group.parameters.items():
                for key in ("step", "exp_avg", "exp_avg_sq"):
                    value = state.get(f"adam/{key}/{name}")
                    if value is not None:
                        device = parameter.device
                        self.adam.state[parameter][key] = value.to(device).clone()
