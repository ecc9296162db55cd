"""Muon against one matrix at a time in plain float64: a batched step is what its matrices do alone."""

import pytest
import torch
from torch import nn

from mulligan.train.muon import Muon
from numerics.test_newton_schulz import PLAIN

SHAPES = {"a": (6, 4), "b": (4, 6), "c": (6, 4), "d": (5, 5), "e": (6, 4), "f": (4, 6)}  # equal shapes are not neighbours
LR, MOMENTA, DECAY = 0.1, (0.5, 0.8, 0.9), 0.2
CASES = {
    "plain": {},
    "weight decay": {"weight_decay": DECAY},
    "rows normalised": {"row_normalize": True},
    "polar express": {"coefficients": "polar-express", "row_normalize": True, "weight_decay": DECAY},
}


def gradients(step):
    """Return gradients of which no two rows are alike in size, and one row is 0."""
    generator = torch.Generator().manual_seed(step)
    found = {}
    for name, shape in SHAPES.items():
        found[name] = torch.randn(shape, generator=generator) * torch.logspace(-3, 0, shape[0])[:, None]
        found[name][1] = 0.0
    return found


def initial():
    generator = torch.Generator().manual_seed(99)
    return {name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}


def reference(gradient, weight, momentum, mu, *, weight_decay=0.0, row_normalize=False, coefficients="quintic"):
    """Return (weights, momentum) after one step of one matrix, written as in the definition."""
    momentum = mu * momentum + gradient
    U = gradient + mu * momentum
    if row_normalize:
        U = torch.stack([row / max(float(row.square().sum().sqrt()), 1e-7) for row in U])
    X = U.T if U.size(0) > U.size(1) else U
    X = X / (X.norm() + 1e-7)
    for a, b, c in PLAIN[coefficients]:
        A = X @ X.T
        X = a * X + (b * A + c * A @ A) @ X
    X = X.T if U.size(0) > U.size(1) else X
    return weight * (1 - LR * weight_decay) - LR * max(1, U.size(0) / U.size(1)) ** 0.5 * X, momentum


def muon(**options):
    parameters = {name: nn.Parameter(weight) for name, weight in initial().items()}
    return parameters, Muon(parameters, **{"weight_decay": 0.0, "newton_schulz_steps": 5, "dtype": torch.float32, **options})


def advance(parameters, optimizer, steps):
    for step in steps:
        for name, gradient in gradients(step).items():
            parameters[name].grad = gradient
        optimizer.step(LR, MOMENTA[step])


@pytest.mark.parametrize("case", CASES)
def test_a_batched_step_equals_the_matrices_one_by_one(case):
    options = CASES[case]
    parameters, optimizer = muon(**options)
    assert [len(batch) for batch in optimizer.batches] == [3, 2, 1]
    expected = {name: (weight.double(), torch.zeros_like(weight).double()) for name, weight in initial().items()}
    for step in range(3):
        advance(parameters, optimizer, [step])
        for name, G in gradients(step).items():
            expected[name] = reference(G.double(), *expected[name], MOMENTA[step], **options)
    for name, (weight, momentum) in expected.items():
        assert torch.allclose(parameters[name].double(), weight, atol=2e-5), name
        assert torch.allclose(optimizer.state()[f"momentum/{name}"].double(), momentum, atol=1e-6), name


def test_a_state_taken_over_goes_on_bit_for_bit():
    whole, optimizer = muon()
    advance(whole, optimizer, [0, 1])
    kept = {name: tensor.clone() for name, tensor in optimizer.state().items()}
    parameters, resumed = muon()
    for name, parameter in parameters.items():
        parameter.data.copy_(whole[name].data)
    resumed.load_state(kept)
    advance(whole, optimizer, [2])
    advance(parameters, resumed, [2])
    assert all(torch.equal(parameters[name], whole[name]) for name in SHAPES)
