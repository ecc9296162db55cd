"""Errors per tensor, against the outputs that they stand for."""

import numpy as np
import pytest
import torch

from mulligan.quantize.error import excess_kurtosis, relative_hessian_errors, relative_rms_errors


def test_the_weighted_error_is_that_of_the_outputs_on_the_text():
    generator = torch.Generator().manual_seed(0)
    inputs, weight = torch.randn(50, 6, generator=generator), torch.randn(4, 6, generator=generator)
    stored = weight + 0.1 * torch.randn(4, 6, generator=generator)
    hessian = inputs.T @ inputs / 50
    found = relative_hessian_errors({"w": weight}, {"w": stored}, {"w": hessian})["w"]
    exact, shipped = (inputs.double() @ w.double().T for w in (weight, stored))
    assert found == pytest.approx(float((shipped - exact).norm() / exact.norm()), rel=1e-4)
    plain = relative_rms_errors({"w": weight}, {"w": stored})["w"]
    assert plain == pytest.approx(float((stored - weight).double().norm() / weight.double().norm()), rel=1e-5)


def test_with_independent_inputs_of_one_strength_both_errors_are_one():
    weight, stored = torch.ones(3, 4), torch.full((3, 4), 1.5)
    hessians = {"w": 7.0 * torch.eye(4)}
    assert relative_hessian_errors({"w": weight}, {"w": stored}, hessians) == relative_rms_errors({"w": weight}, {"w": stored})


def test_tensors_and_inputs_of_zeros_have_no_error():
    zeros = {"w": torch.zeros(2, 3)}
    assert relative_rms_errors(zeros, zeros) == {"w": 0.0}
    assert relative_hessian_errors({"w": torch.ones(2, 3)}, zeros, {"w": torch.zeros(3, 3)}) == {"w": 0.0}
    assert np.isfinite(relative_rms_errors({"e": torch.zeros(0, 6)}, {"e": torch.zeros(0, 6)})["e"])


def test_kurtosis_is_its_formula_and_knows_gaussian_from_uniform_rows():
    generator = torch.Generator().manual_seed(0)
    weights = {
        "gaussian": torch.randn(30, 4000, generator=generator),
        "uniform": torch.rand(30, 4000, generator=generator),
        "flat": torch.ones(3, 5),
        "gain": torch.randn(9),
    }
    found = excess_kurtosis(weights)
    assert found.keys() == {"gaussian", "uniform"}
    assert found["gaussian"] == pytest.approx(0.0, abs=0.05)
    assert found["uniform"] == pytest.approx(-1.2, abs=0.02)
    small = torch.tensor([[1.0, 2.0, 4.0, 9.0], [3.0, 3.0, 3.0, 3.0]])
    deviations = small[0].numpy() - 4.0
    expected = (deviations**4).mean() / (deviations**2).mean() ** 2 - 3
    assert excess_kurtosis({"w": small})["w"] == pytest.approx(float(expected), rel=1e-3)
