"""The size model against sampled Gaussian rows that are really quantized, and against the field's approximation."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mulligan.numerics.config import IntFormat
from mulligan.numerics.grid import quantize_rows
from mulligan.numerics.size_model import (
    expected_largest,
    gaussian_entropy_bits,
    step_in_deviations,
    tensor_bytes,
    tensor_spread_bytes,
)
from mulligan.values.artifact import entropy_bits


def int_format(bits=6, **scale):
    return IntFormat.model_validate({"kind": "int", "bits": bits, "scale": scale})


SCALES = [
    {"kind": "row-max"},
    {"kind": "percentile", "p": 0.999},
    {"kind": "standard-deviations", "k": 12.85},
    {"kind": "standard-deviations", "k": 3.0},
    {"kind": "clip-search"},
    {"kind": "clip-search", "percentiles": [0.9, 0.99, 0.999], "per": "matrix"},
]


@pytest.mark.parametrize("bits", [3, 6, 8])
@pytest.mark.parametrize("scale", SCALES, ids=str)
def test_gaussian_rows_take_the_predicted_entropy(scale, bits):
    format = int_format(bits, **scale)
    weight = torch.randn(400, 500, generator=torch.Generator().manual_seed(0)) * 0.05
    codes, _ = quantize_rows(weight, format)
    predicted, known = tensor_bytes(format, (400, 500))
    assert known
    assert predicted == pytest.approx(entropy_bits(codes.numpy()) / 8 + 2 * 400, rel=0.01)


def test_one_scale_for_a_tensor_follows_the_maximum_of_all_its_values():
    format = IntFormat.model_validate({"kind": "int", "bits": 6, "scale": {"kind": "row-max"}, "scale_per": "tensor"})
    weight = torch.randn(64, 500, generator=torch.Generator().manual_seed(0))
    codes, scale = quantize_rows(weight, format)
    assert scale.shape == (1,)
    assert tensor_bytes(format, (64, 500))[0] == pytest.approx(entropy_bits(codes.numpy()) / 8 + 4, rel=0.03)


@given(st.floats(0.02, 0.6))
def test_fine_steps_follow_the_fields_approximation(step):
    """H = log2(sqrt(2 pi e)) - log2(step) = 2.047 - log2(step) for a step well below a standard deviation."""
    assert gaussian_entropy_bits(step, -100_000, 100_000) == pytest.approx(2.047 - math.log2(step), abs=1e-3 + 0.07 * step**2)


def test_one_code_has_no_entropy_and_a_coarse_step_has_that_of_its_cells():
    assert gaussian_entropy_bits(50.0, -1, 1) == pytest.approx(0.0, abs=1e-12)
    outside = math.erfc(0.5 / math.sqrt(2)) / 2
    cells = np.array([outside, 1 - 2 * outside, outside])
    assert gaussian_entropy_bits(1.0, -1, 1) == pytest.approx(float(-(cells * np.log2(cells)).sum()), abs=1e-12)


@pytest.mark.parametrize("num_values", [8, 128, 2048])
def test_the_largest_of_many_is_on_average_what_sampling_gives(num_values):
    draws = np.abs(np.random.default_rng(0).normal(size=(4000, num_values))).max(axis=1)
    assert expected_largest(num_values, 1.0) == pytest.approx(draws.mean(), rel=0.03)


def test_a_floored_scale_is_an_upper_bound_and_said_to_be():
    format = int_format(6, kind="legacy-row-max-floored")
    assert step_in_deviations(format, 512) is None
    assert tensor_bytes(format, (4, 8)) == (4 * 8 * 6 / 8 + 8, False)


def test_the_spread_is_that_of_sampled_matrices():
    format = int_format(6, kind="row-max")
    sizes = []
    for seed in range(60):
        weight = torch.randn(64, 256, generator=torch.Generator().manual_seed(seed))
        codes = quantize_rows(weight, format)[0]
        sizes.append(sum(entropy_bits(row[None].numpy()) for row in codes) / 8)
    assert tensor_spread_bytes(format, (64, 256)) == pytest.approx(np.std(sizes), rel=0.4)
    assert tensor_spread_bytes(int_format(6, kind="standard-deviations", k=9.0), (64, 256)) == 0.0
