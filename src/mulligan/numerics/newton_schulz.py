"""Newton-Schulz orthogonalisation, batched over matrices of one shape.

Source: Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks".
"""

import torch

QUINTIC = (3.4445, -4.7750, 2.0315)


def orthogonalize(matrices: torch.Tensor, num_steps: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Return (n, rows, cols) matrices with singular values pushed towards 1 (within about [0.7, 1.2] after 5 steps).

    `num_steps` iterations of X <- a X + (b A + c A A) X, A = X X^T, on X / (||X||_F + 1e-7), computed in `dtype` with the
    shorter side as rows. The result has the dtype of `dtype`.
    """
    a, b, c = QUINTIC
    tall = matrices.size(-2) > matrices.size(-1)
    X = matrices.to(dtype)
    X = X.mT if tall else X
    X = X / (X.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(num_steps):
        A = X @ X.mT
        B = torch.baddbmm(A, A, A, beta=b, alpha=c)
        X = torch.baddbmm(X, B, X, beta=a, alpha=1.0)
    return X.mT if tall else X
