"""Orthogonalisation against the singular value decomposition, and batched against one by one."""

import pytest
import torch

from mulligan.numerics.newton_schulz import orthogonalize


@pytest.mark.parametrize("shape", [(16, 16), (8, 32), (32, 8)])
def test_singular_values_come_near_one_and_vectors_stay(shape):
    G = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    X = orthogonalize(G, 5)
    assert X.shape == G.shape
    for before, after in zip(G, X, strict=True):
        U, S, Vh = torch.linalg.svd(before, full_matrices=False)
        rotated = U.mT @ after @ Vh.mT
        kept = 0.1 * S.max() < S
        assert ((rotated.diagonal()[kept] > 0.6) & (rotated.diagonal()[kept] < 1.3)).all()
        assert (rotated - torch.diag(rotated.diagonal())).abs().max() < 0.05


def test_a_batch_gives_what_its_matrices_give_alone():
    G = torch.randn(4, 12, 20, generator=torch.Generator().manual_seed(1))
    alone = torch.stack([orthogonalize(matrix[None], 5)[0] for matrix in G])
    assert torch.allclose(orthogonalize(G, 5), alone, atol=1e-5)


def test_one_step_is_the_polynomial():
    G = torch.randn(1, 6, 9, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    X = G / (G.norm() + 1e-7)
    A = X @ X.mT
    expected = 3.4445 * X + (-4.7750 * A + 2.0315 * A @ A) @ X
    assert torch.allclose(orthogonalize(G, 1, torch.float64), expected, atol=1e-12)


def test_a_zero_matrix_stays_zero():
    assert torch.equal(orthogonalize(torch.zeros(1, 4, 6), 5), torch.zeros(1, 4, 6))
