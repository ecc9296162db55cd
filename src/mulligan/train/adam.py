"""Adam: steps divided by the root of the mean squared gradient, number by number.

What it does     Updates tokens, head and scalars beside Muon; as the kind `adam`, the matrices of the blocks too.
Why it may help  The plain alternative to Muon, against which claims about Muon's weights can be tested at all.
Touches          train: the update of its groups.
Recipe           train.optimizer
Cost             Two moments in float32 for each parameter; weight decay is decoupled.
Source           Kingma and Ba 2014, arXiv:1412.6980; Loshchilov and Hutter 2017, arXiv:1711.05101.
"""

from collections.abc import Sequence

import torch

from mulligan.train.config import Adam, MuonAdam
from mulligan.train.parameter_group import HEAD, MATRIX, SCALAR, TOKEN, ParameterGroup


def make_adam(config: Adam | MuonAdam, groups: Sequence[ParameterGroup]) -> torch.optim.AdamW:
    """Return the optimizer of the groups, at learning rates of 0 until a step gives them."""
    decays = [{"params": list(group.parameters.values()), "weight_decay": _decay(config, group)} for group in groups]
    return torch.optim.AdamW(decays, lr=0.0, betas=(config.beta1, config.beta2), eps=config.eps, fused=True)


def base_lr(config: Adam | MuonAdam, group: ParameterGroup) -> float:
    """Return the learning rate of a group at scale 1; ValueError for a head without one."""
    rates = {MATRIX: config.matrix_lr, TOKEN: config.token_lr, SCALAR: config.scalar_lr, HEAD: config.head_lr}
    rate = rates[group.name]
    if rate is None:
        raise ValueError("train.optimizer.head_lr is not given, and the embedding is untied. Give one, such as 0.008.")
    return rate


def _decay(config: Adam | MuonAdam, group: ParameterGroup) -> float:
    own = config.token_weight_decay if group.name == TOKEN else None
    return config.adam_weight_decay if own is None else own
