"""Each group decays at its own rate: with gradients of zero, decay is all that a step does."""

import pytest
import torch

from mulligan.model.gpt import GPT
from mulligan.numerics.trigger import Moment
from mulligan.train.optimizer import Optimizer
from mulligan.train.parameter_group import HEAD, MATRIX, SCALAR, TOKEN, split_parameters
from toy import model_config, train_config

LRS = {MATRIX: 0.04, TOKEN: 0.05, SCALAR: 0.03, HEAD: 0.008}


def shrinking(**decays):
    """Return by group the factor that one step at half the learning rate multiplies every weight with."""
    model = GPT(model_config(embedding={"kind": "untied"}), 0)
    lrs = {f"{name}_lr": lr for name, lr in LRS.items()}
    optimizer = Optimizer(train_config(optimizer={"kind": "muon-adam", **lrs, **decays}).optimizer, model, "fp32")
    before = {}
    for name, parameter in model.named_parameters():
        parameter.data.add_(1.0)  # no weight is 0
        parameter.grad = torch.zeros_like(parameter)
        before[name] = parameter.detach().clone()
    optimizer.step(Moment(0, 0.0, 0.5), 0.9)
    factors = {}
    for group in split_parameters(model):
        ratios = torch.cat([(p.detach() / before[name]).flatten() for name, p in group.parameters.items()])
        assert ratios.max() - ratios.min() < 1e-5
        factors[group.name] = float(ratios.mean())
    return factors


def expected(**decays):
    return {name: pytest.approx(1 - 0.5 * LRS[name] * decay, abs=1e-6) for name, decay in decays.items()}


def test_without_decay_nothing_shrinks():
    assert shrinking() == expected(matrix=0.0, token=0.0, scalar=0.0, head=0.0)


def test_adam_decays_tokens_scalars_and_head_unless_tokens_have_their_own():
    assert shrinking(adam_weight_decay=0.4) == expected(matrix=0.0, token=0.4, scalar=0.4, head=0.4)
    both = {"adam_weight_decay": 0.4, "token_weight_decay": 2.0}
    assert shrinking(**both) == expected(matrix=0.0, token=2.0, scalar=0.4, head=0.4)
    assert shrinking(**{**both, "token_weight_decay": 0.0}) == expected(matrix=0.0, token=0.0, scalar=0.4, head=0.4)
    assert shrinking(token_weight_decay=2.0) == expected(matrix=0.0, token=2.0, scalar=0.0, head=0.0)


def test_muon_decays_matrices_alone():
    assert shrinking(muon_weight_decay=0.4) == expected(matrix=0.4, token=0.0, scalar=0.0, head=0.0)
