"""MuonEq-R: Muon whose update has rows of length 1 before it is orthogonalised.

What it does     Divides each row of the Nesterov update by its L2 norm (at least 1e-7), then runs Newton-Schulz as ever.
Why it may help  Outputs with small gradients count as much as those with large ones, and Newton-Schulz meets singular values
                 that lie closer together.
Touches          train: the update of the matrices inside the blocks, between momentum and Newton-Schulz.
Cost             One norm per row and step; no memory, no artifact bytes.
Source           parameter-golf PR 1217, 1285, 1394.
Published        About -1 mBPB (PR 1285).
"""

import torch

SMALLEST_NORM = 1e-7
"""Rows shorter than this are divided by it, so that a row of zeros stays zero."""


def row_normalize(updates: torch.Tensor) -> torch.Tensor:
    """Return (n, rows, cols) updates with rows of L2 norm 1; a row is one output of the matrix (out, in)."""
    norms: torch.Tensor = updates.norm(dim=-1, keepdim=True)
    return updates / norms.clamp(min=SMALLEST_NORM)
