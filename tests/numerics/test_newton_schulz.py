"""Orthogonalisation against the singular value decomposition, and batched against one by one."""

import pytest
import torch

from mulligan.core.config import parse_config
from mulligan.numerics.newton_schulz import POLAR_EXPRESS, orthogonalize, triples
from mulligan.train.config import POLAR_EXPRESS_STEPS, MuonAdam

KINDS = ("quintic", "polar-express")
PLAIN = {
    "quintic": [(3.4445, -4.7750, 2.0315)] * 5,
    "polar-express": [
        (8.156554524902461, -22.48329292557795, 15.878769915207462),
        (4.042929935166739, -2.808917465908714, 0.5000178451051316),
        (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
        (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
        (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
    ],
}


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


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_gives_what_its_matrices_give_alone(kind):
    G = torch.randn(4, 12, 20, generator=torch.Generator().manual_seed(1))
    alone = torch.stack([orthogonalize(matrix[None], 5, coefficients=kind)[0] for matrix in G])
    assert torch.allclose(orthogonalize(G, 5, coefficients=kind), alone, atol=1e-5)


def test_one_step_is_the_polynomial():
    G = torch.randn(1, 6, 9, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    X = G / (G.norm() + 1e-7)
    A = X @ X.mT
    expected = 3.4445 * X + (-4.7750 * A + 2.0315 * A @ A) @ X
    assert torch.allclose(orthogonalize(G, 1, torch.float64), expected, atol=1e-12)


def test_a_zero_matrix_stays_zero():
    assert torch.equal(orthogonalize(torch.zeros(1, 4, 6), 5), torch.zeros(1, 4, 6))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(7, 7), (6, 9), (9, 6)])
def test_each_singular_value_goes_through_the_scalar_polynomials(kind, shape):
    """X <- a X + (b A + c A A) X leaves the singular vectors alone and takes s to a s + b s^3 + c s^5, step by step."""
    G = torch.randn(1, *shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    U, s, Vh = torch.linalg.svd(G[0], full_matrices=False)
    s = s / (G.norm() + 1e-7)
    for a, b, c in PLAIN[kind]:
        s = a * s + b * s**3 + c * s**5
    assert torch.allclose(orthogonalize(G, 5, torch.float64, kind)[0], U @ torch.diag(s) @ Vh, atol=1e-10)


@pytest.mark.parametrize(("kind", "low", "high"), [("quintic", 0.47, 1.21), ("polar-express", 0.858, 1.142)])
def test_how_near_to_one_each_comes_from_a_thousandth_on(kind, low, high):
    """The interval that [0.001, 1] goes to: what Polar Express is for, and the reach of the docstring's figures."""
    s = torch.logspace(-3, 0, 2000, dtype=torch.float64)
    for a, b, c in triples(kind, 5):
        s = a * s + b * s**3 + c * s**5
    assert low < s.min() < low + 0.01
    assert high - 0.01 < s.max() < high


def test_polar_express_stays_tame_in_bfloat16():
    """Singular values that bfloat16 rounds above 1 do not blow up: the first triple is made with a margin."""
    wide = torch.randn(3, 64, 256, generator=torch.Generator().manual_seed(4))
    one = torch.outer(torch.ones(64), torch.ones(256))[None]  # rank one: the only singular value is the whole norm
    for G in (wide, one):
        s = torch.linalg.svdvals(orthogonalize(G, 5, torch.bfloat16, "polar-express").float())
        assert s.max() < 1.2
        assert s[:, 0].min() > 0.8


def test_polar_express_is_run_whole_or_not_at_all():
    assert len(POLAR_EXPRESS) == POLAR_EXPRESS_STEPS
    with pytest.raises(ValueError, match="has 5 steps, and 4 were asked for"):
        orthogonalize(torch.ones(1, 2, 2), 4, coefficients="polar-express")
    data = {"kind": "muon-adam", "newton_schulz_coefficients": "polar-express", "newton_schulz_steps": 6}
    with pytest.raises(ValueError, match=r"newton_schulz_steps = 6.*each of 5 steps; give 5, or the 'quintic' coefficients"):
        parse_config(MuonAdam, data, "train.optimizer")
    assert MuonAdam.model_validate({**data, "newton_schulz_steps": 5}).newton_schulz_steps == 5
