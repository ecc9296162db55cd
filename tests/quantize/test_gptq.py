"""GPTQ against an elimination without the factor, against all codes by force, and against rounding to nearest."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mulligan.numerics.config import IntFormat
from mulligan.numerics.grid import dequantize_rows, quantize_rows, scale_of
from mulligan.quantize.config import Gptq
from mulligan.quantize.gptq import gptq

CALIBRATION = {"kind": "train-split", "num_sequences": 1, "seq_len": 1}
ROW_MAX = {"kind": "row-max"}


def config(**changes):
    return Gptq.model_validate({"kind": "gptq", "calibration": CALIBRATION, **changes})


def int_format(bits, scale=ROW_MAX, code_range="symmetric"):
    return IntFormat.model_validate({"kind": "int", "bits": bits, "scale": scale, "range": code_range})


def problem(seed, rows=5, cols=12, mixing=1.0):
    """Return a weight and the mean of x x^T of inputs that are correlated by a random mixing."""
    rng = np.random.default_rng(seed)
    mix = np.eye(cols) + mixing * rng.standard_normal((cols, cols)) / np.sqrt(cols)
    inputs = rng.standard_normal((4 * cols, cols)) * rng.uniform(0.3, 3.0, cols) @ mix
    weight = rng.standard_normal((rows, cols)).astype(np.float32)
    return torch.from_numpy(weight), torch.from_numpy((inputs.T @ inputs / len(inputs)).astype(np.float32))


def damped(hessian, damping):
    hessian = hessian.double().numpy()
    return hessian + damping * np.mean(np.diag(hessian)) * np.eye(len(hessian))


def plain(settings_, format, weight, hessian):
    """Return the codes of one row after another: round a weight, then solve anew for all weights that are left.

    What is left after rounding column j is the minimum of (w' - w) H (w' - w) with w'_j fixed: no factor, no inverse kept.
    """
    curvature = damped(hessian, settings_.damping)
    strength = np.diag(hessian.double().numpy())
    order = np.argsort(-strength, kind="stable") if settings_.activation_order else np.arange(len(strength))
    codes = np.zeros(weight.shape, np.int8)
    for r, (row, scale) in enumerate(zip(weight.double().numpy(), scale_of(weight, format).double().numpy(), strict=True)):
        row = row.copy()
        for at, j in enumerate(order):
            codes[r, j] = min(max(round(row[j] / scale), format.min_code), format.max_code)
            left, error = order[at + 1 :], codes[r, j] * scale - row[j]
            if len(left):
                row[left] -= np.linalg.solve(curvature[np.ix_(left, left)], curvature[left, j] * error)
            row[j] = codes[r, j] * scale
    return codes


def power(error, hessian):
    error = error.double().numpy()
    return float(np.trace(error @ np.asarray(hessian, np.float64) @ error.T))


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), bits=st.integers(2, 6), block=st.sampled_from([1, 5, 12, 128]), ordered=st.booleans())
def test_the_codes_are_those_of_an_elimination_that_solves_anew_at_every_step(seed, bits, block, ordered):
    weight, hessian = problem(seed)
    chosen = config(block_columns=block, activation_order=ordered)
    codes, scale = gptq(chosen, int_format(bits), weight, hessian)
    assert (codes.dtype, scale.dtype, tuple(codes.shape)) == (torch.int8, torch.float16, (5, 12))
    np.testing.assert_array_equal(codes.numpy(), plain(chosen, int_format(bits), weight, hessian))


def by_force(weight, scale, hessian, format):
    """Return the codes of each row with the least Hessian-weighted error of all that there are."""
    best = np.zeros(weight.shape, np.int8)
    choices = np.array(list(itertools.product(range(format.min_code, format.max_code + 1), repeat=weight.shape[1])))
    for r, row in enumerate(weight.double().numpy()):
        errors = choices * float(scale[r]) - row
        best[r] = choices[np.argmin(np.einsum("ij,jk,ik->i", errors, hessian, errors))]
    return best


def test_on_a_2_by_3_toy_at_2_bits_it_finds_the_best_of_all_codes():
    """Greedy elimination need not; here it does, and rounding to nearest does not: inputs 0 and 1 are nearly the same, so one
    code of 1 stands for two weights of 0.4, and for two of 0.6. The third weight sets the scale."""
    weight = torch.tensor([[0.4, 0.42, 1.0], [0.6, 0.58, -1.0]])
    hessian = torch.tensor([[1.0, 0.9, 0.0], [0.9, 1.0, 0.2], [0.0, 0.2, 0.5]])
    format = int_format(2)
    codes, scale = gptq(config(damping=1e-9), format, weight, hessian)
    expected = by_force(weight, scale, hessian.double().numpy(), format)
    np.testing.assert_array_equal(codes.numpy(), expected)
    assert not np.array_equal(quantize_rows(weight, format)[0].numpy(), expected)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_on_no_2_by_3_toy_is_it_better_than_the_best_of_all_codes(seed):
    weight, hessian = problem(seed, 2, 3)
    codes, scale = gptq(config(), int_format(2), weight, hessian)
    exact = damped(hessian, 0.01)
    best = torch.from_numpy(by_force(weight, scale, exact, int_format(2)))
    found, least = (power(dequantize_rows(c, scale, (2, 3)) - weight, exact) for c in (codes, best))
    assert found >= least * (1 - 1e-9)


@pytest.mark.parametrize(
    ("bits", "scale"),
    [
        (6, {"kind": "standard-deviations", "k": 12.85}),
        (5, {"kind": "standard-deviations", "k": 6.0}),
        (4, {"kind": "standard-deviations", "k": 3.0}),
    ],
)
def test_on_correlated_inputs_the_weighted_error_is_at_most_0_55_of_rounding_to_nearest(bits, scale):
    """tr(E H E^T), mean of ten matrices of 32 x 64 whose inputs share half of their variance."""
    ratios = []
    for seed in range(10):
        weight, hessian = problem(seed, 32, 64)
        form = int_format(bits, scale)
        errors = [
            power(dequantize_rows(*stored, weight.shape) - weight, hessian)
            for stored in (gptq(config(), form, weight, hessian), quantize_rows(weight, form))
        ]
        ratios.append(errors[0] / errors[1])
    assert np.mean(ratios) <= 0.55
    assert max(ratios) < 1


@pytest.mark.parametrize(
    "scale", [ROW_MAX, {"kind": "percentile", "p": 0.8}, {"kind": "clip-search", "percentiles": [0.8, 1.0]}]
)
def test_independent_inputs_leave_rounding_to_nearest_and_scales_are_the_grids(scale):
    weight, _ = problem(0)
    codes, stored = gptq(config(), int_format(4, scale), weight, torch.diag(torch.rand(12) + 0.1))
    expected = quantize_rows(weight, int_format(4, scale))
    assert torch.equal(stored, expected[1])
    assert torch.equal(codes, expected[0])


def test_inputs_that_never_occur_and_weights_of_zero_are_zero():
    weight, hessian = problem(1)
    weight[2, 5], weight[0] = 0.0, 0.0
    weight[:, 7] *= 0.1  # no row's maximum, so that scales are the same without it
    hessian[:, 7] = hessian[7] = 0.0
    codes, _ = gptq(config(), int_format(6), weight, hessian)
    assert not codes[:, 7].any()
    assert codes[2, 5] == 0
    assert not codes[0].any()
    others = [j for j in range(12) if j != 7]
    without = gptq(config(), int_format(6), weight[:, others], hessian[others][:, others])[0]
    assert torch.equal(codes[:, others], without)
    assert not gptq(config(), int_format(6), weight, torch.zeros(12, 12))[0].any()


def test_strength_of_inputs_does_not_matter_as_a_whole():
    weight, hessian = problem(2)
    hessian[:, 3] = hessian[3] = 0.0
    codes = [gptq(config(), int_format(5), weight, hessian * factor)[0] for factor in (1.0, 2.0**-20)]
    assert torch.equal(*codes)


@pytest.mark.parametrize("code_range", ["symmetric", "legacy"])
def test_codes_stay_in_their_range(code_range):
    weight, hessian = problem(3, 8, 16, mixing=3.0)
    form = int_format(2, {"kind": "percentile", "p": 0.5}, code_range)
    codes = gptq(config(), form, weight, hessian)[0]
    assert (int(codes.min()), int(codes.max())) == (form.min_code, form.max_code)


def test_row_importance_widens_the_rows_that_meet_strong_inputs():
    weight, hessian = problem(4)
    form = int_format(6, {"kind": "standard-deviations", "k": 8.0})
    scale, plain_scale = (gptq(config(row_importance=at), form, weight, hessian)[1] for at in (0.175, 0.0))
    strength = np.diag(hessian.numpy())
    importance = [sum(abs(float(w)) * s for w, s in zip(row, strength, strict=True)) for row in weight]
    relative = np.array(importance) / np.mean(importance)
    np.testing.assert_allclose(scale / plain_scale, 1 + 0.175 * (relative - 1), rtol=2e-3)
    assert torch.equal(gptq(config(row_importance=0.175), int_format(6), weight, hessian)[1], scale_of(weight, int_format(6)))


def test_one_scale_may_serve_the_whole_matrix():
    weight, hessian = problem(5)
    form = int_format(6, {"kind": "standard-deviations", "k": 4.0}).replace(scale_per="tensor")
    codes, scale = gptq(config(row_importance=0.5), form, weight, hessian)
    assert (scale.dtype, tuple(scale.shape)) == (torch.float32, (1,))
    assert power(dequantize_rows(codes, scale, (5, 12)) - weight, hessian) < power(
        dequantize_rows(*quantize_rows(weight, form), (5, 12)) - weight, hessian
    )


def test_inputs_are_not_written_to_and_bad_hessians_are_told():
    weight, hessian = problem(6)
    before = weight.clone(), hessian.clone()
    gptq(config(), int_format(6), weight, hessian)
    assert torch.equal(weight, before[0])
    assert torch.equal(hessian, before[1])
    hessian[0, 0] = float("inf")
    with pytest.raises(ValueError, match="not finite"):
        gptq(config(), int_format(6), weight, hessian)
