"""Rows of the update by hand: length 1, direction kept, zero stays zero, and Newton-Schulz no longer sees row scales."""

import torch

from mulligan.numerics.newton_schulz import orthogonalize
from mulligan.train.row_normalize import row_normalize


def test_rows_are_divided_by_their_length():
    updates = torch.tensor([[[3.0, 4.0], [0.0, -0.5]], [[1.0, 0.0], [-8.0, 6.0]]])
    expected = torch.tensor([[[0.6, 0.8], [0.0, -1.0]], [[1.0, 0.0], [-0.8, 0.6]]])
    assert torch.allclose(row_normalize(updates), expected, atol=1e-7)


def test_rows_of_nothing_stay_nothing_and_tiny_ones_do_not_blow_up():
    updates = torch.tensor([[[0.0, 0.0], [3e-8, 4e-8]]])
    assert torch.allclose(row_normalize(updates), torch.tensor([[[0.0, 0.0], [0.3, 0.4]]]), atol=1e-6)


def test_the_step_does_not_depend_on_how_large_the_gradients_of_an_output_are():
    """Scaling rows (outputs) changes plain Muon's step and not this one; scaling columns (inputs) changes both."""
    G = torch.randn(2, 6, 10, generator=torch.Generator().manual_seed(0))
    rows, columns = torch.logspace(-2, 2, 6)[:, None], torch.logspace(-2, 2, 10)

    def moves(one, other):
        return float((orthogonalize(one, 5) - orthogonalize(other, 5)).abs().max())

    assert moves(G, rows * G) > 0.1
    assert moves(row_normalize(G), row_normalize(rows * G)) < 1e-5
    assert moves(row_normalize(G), row_normalize(columns * G)) > 0.1
