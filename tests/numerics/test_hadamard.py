"""The rotation against the matrix that it stands for."""

import pytest
import torch
from scipy.linalg import block_diag, hadamard

from mulligan.numerics.hadamard import block_size, rotate, unrotate


@pytest.mark.parametrize("cols", [1, 2, 3, 64, 96])
def test_rotation_is_the_block_hadamard_matrix_after_signs(cols: int) -> None:
    weight = torch.randn(5, cols, generator=torch.Generator().manual_seed(0))
    size = block_size(cols)
    dense = torch.tensor(block_diag(*[hadamard(size) / size**0.5] * (cols // size)), dtype=torch.float64)
    signs = rotate(torch.eye(cols), 7).double() @ dense
    assert torch.equal(signs.abs().round(), torch.eye(cols, dtype=torch.float64))
    torch.testing.assert_close(rotate(weight, 7).double(), weight.double() @ signs @ dense, atol=1e-6, rtol=0)


@pytest.mark.parametrize("cols", [1, 48, 512])
def test_unrotate_gives_the_weight_back_and_norms_are_kept(cols: int) -> None:
    weight = torch.randn(4, cols, generator=torch.Generator().manual_seed(1))
    turned = rotate(weight, 3)
    torch.testing.assert_close(unrotate(turned, 3), weight)
    torch.testing.assert_close(turned.norm(dim=1), weight.norm(dim=1))


def test_signs_are_bits_of_shake_256_pinned() -> None:
    """An artifact stores the seed alone: other signs would make other weights of it."""
    kept = [(rotate(torch.eye(8), seed)[:, 0] > 0).int().tolist() for seed in (0, 1)]
    assert kept == [[0, 1, 0, 0, 1, 0, 1, 1], [1, 1, 0, 1, 1, 1, 0, 1]]
