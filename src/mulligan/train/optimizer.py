"""The optimizer of a run: Muon or Adam for the matrices, Adam for tokens, head and scalars, under one step and one state."""

import torch
from torch import nn

from mulligan.numerics.trigger import Moment
from mulligan.train.adam import base_lr, make_adam
from mulligan.train.config import Adam, MuonAdam
from mulligan.train.muon import Muon
from mulligan.train.parameter_group import MATRIX, split_parameters


class Optimizer:
    """Updates every parameter of `model`; `precision` "bf16" orthogonalises in bfloat16, "fp32" in float32."""

    def __init__(self, config: Adam | MuonAdam, model: nn.Module, precision: str) -> None:
        self.config = config
        groups = split_parameters(model)
        self.muon: Muon | None = None
        if isinstance(config, MuonAdam):
            matrices = {name: p for group in groups if group.name == MATRIX for name, p in group.parameters.items()}
            groups = [group for group in groups if group.name != MATRIX]
            self.muon = Muon(
                matrices,
                weight_decay=config.muon_weight_decay,
                newton_schulz_steps=config.newton_schulz_steps,
                dtype=torch.bfloat16 if precision == "bf16" else torch.float32,
                coefficients=config.newton_schulz_coefficients,
                row_normalize=config.row_normalize,
            )
        self.adam_groups = groups
        self.base_lrs = [base_lr(config, group) for group in groups]
        self.adam = make_adam(config, groups)

    def step(self, moment: Moment, momentum: float, decay_scale: float = 1.0) -> None:
        """Update all parameters at the learning-rate scale of `moment`; `decay_scale` multiplies Muon's weight decay."""
        for group, lr in zip(self.adam.param_groups, self.base_lrs, strict=True):
            group["lr"] = lr * moment.lr_scale
        self.adam.step()
        if self.muon is not None:
            self.muon.step(self.config.matrix_lr * moment.lr_scale, momentum, decay_scale)

    def state(self) -> dict[str, torch.Tensor]:
        """Return every moment and count by name; empty before the first step for Adam."""
        tensors = self.muon.state() if self.muon is not None else {}
        for group in self.adam_groups:
            for name, parameter in group.parameters.items():
                for key, value in self.adam.state.get(parameter, {}).items():
                    tensors[f"adam/{key}/{name}"] = torch.as_tensor(value)
        return tensors

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Take over what `state` returned, bit for bit."""
        if self.muon is not None:
            self.muon.load_state(state)
        self.adam.state.clear()
        for group in self.adam_groups:
            for name, parameter in group.parameters.items():
                for key in ("step", "exp_avg", "exp_avg_sq"):
                    value = state.get(f"adam/{key}/{name}")
                    if value is not None:
                        device = parameter.device
                        self.adam.state[parameter][key] = value.to(device).clone()
