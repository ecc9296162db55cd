"""Rotation of matrices before they are rounded: when, and that GPTQ sees the turned inputs."""

import pytest
import torch

from mulligan.numerics.config import IntFormat
from mulligan.numerics.hadamard import rotate, unrotate
from mulligan.quantize.config import HadamardRotation
from mulligan.quantize.rotation import SEED, rotate_hessian, rotation_seed

ALWAYS, ADAPTIVE = HadamardRotation(kind="hadamard"), HadamardRotation(kind="hadamard", adaptive=True)


def int_format(**changes):
    return IntFormat.model_validate({"kind": "int", "bits": 6, "scale": {"kind": "row-max"}, **changes})


def uniform(rows=32, cols=64):
    return torch.rand(rows, cols, generator=torch.Generator().manual_seed(0)) * 2 - 1


def outliers():
    weight = torch.randn(32, 64, generator=torch.Generator().manual_seed(0))
    weight[:, 5] *= 30
    return weight


def test_adaptive_rotates_what_has_outlier_columns_and_not_what_is_uniform():
    assert [rotation_seed(ADAPTIVE, int_format(), weight) for weight in (outliers(), uniform())] == [SEED, None]
    assert [rotation_seed(ALWAYS, int_format(), weight) for weight in (outliers(), uniform())] == [SEED, SEED]


@pytest.mark.parametrize("shape", [(64,), (), (2, 4, 8), (5, 7), (0, 4)])
@pytest.mark.parametrize("config", [ALWAYS, ADAPTIVE], ids=["always", "adaptive"])
def test_what_no_rotation_mixes_stays_as_it_is(config, shape):
    assert rotation_seed(config, int_format(), torch.ones(shape)) is None


def test_a_matrix_with_one_scale_stays_as_it_is():
    assert rotation_seed(ALWAYS, int_format(scale_per="tensor"), outliers()) is None


@pytest.mark.parametrize("cols", [8, 12])
def test_errors_weigh_the_same_in_both_bases(cols):
    generator = torch.Generator().manual_seed(1)
    inputs, error = torch.randn(40, cols, generator=generator), torch.randn(3, cols, generator=generator)
    hessian = inputs.T @ inputs / 40
    turned = rotate_hessian(hessian, 5)
    torch.testing.assert_close(turned, rotate(inputs, 5).T @ rotate(inputs, 5) / 40)
    own = unrotate(error, 5)
    torch.testing.assert_close((own @ hessian @ own.T).trace(), (error @ turned @ error.T).trace())
