"""Newton-Schulz orthogonalisation, batched over matrices of one shape, with a choice of coefficients.

`quintic` repeats one triple (a, b, c) for as many steps as asked; `polar-express` has a triple of its own for each of five
steps, each fitted to the singular values that the steps before it leave, so that they are run all or not at all.

Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks" (quintic); Amsel et al. 2025, "The Polar
Express", arXiv:2505.16932 (polar-express; these triples: parameter-golf PR 1344, 1787, 1855).
"""

from typing import Literal

import torch

Coefficients = Literal["quintic", "polar-express"]

QUINTIC = (3.4445, -4.7750, 2.0315)
POLAR_EXPRESS = (
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
)


def orthogonalize(
    matrices: torch.Tensor, num_steps: int, dtype: torch.dtype = torch.float32, coefficients: Coefficients = "quintic"
) -> torch.Tensor:
    """Return (n, rows, cols) matrices with singular values pushed towards 1.

    After 5 steps a value of at least 0.01 of the Frobenius norm lies in about [0.7, 1.2] (quintic) or [0.86, 1.14]
    (polar-express). `num_steps` iterations of X <- a X + (b A + c A A) X, A = X X^T, on X / (||X||_F + 1e-7), computed in
    `dtype` with the shorter side as rows. The result has the dtype of `dtype`.
    """
    tall = matrices.size(-2) > matrices.size(-1)
    X = matrices.to(dtype)
    X = X.mT if tall else X
    X = X / (X.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for a, b, c in triples(coefficients, num_steps):
        A = X @ X.mT
        B = torch.baddbmm(A, A, A, beta=b, alpha=c)
        X = torch.baddbmm(X, B, X, beta=a, alpha=1.0)
    return X.mT if tall else X


def triples(coefficients: Coefficients, num_steps: int) -> tuple[tuple[float, float, float], ...]:
    """Return (a, b, c) of each step; ValueError where there are not as many as `num_steps`."""
    if coefficients == "quintic":
        return (QUINTIC,) * num_steps
    if num_steps != len(POLAR_EXPRESS):
        raise ValueError(f"polar-express has {len(POLAR_EXPRESS)} steps, and {num_steps} were asked for.")
    return POLAR_EXPRESS
