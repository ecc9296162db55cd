"""mHC residual mixing: how strongly a block writes into the stream, learned under a fixed norm.

What it does     x <- x + sqrt(2) alpha / sqrt(alpha^2 + beta^2) (block(x) - x), alpha and beta one number each per block,
                 1 at first. The block's change includes its mix with the embedding.
Why it may help  A block can be turned up or down as a whole, and at most by sqrt(2).
Touches          model: the end of every block.
Cost             Two parameters per block and one element-wise product; beta acts through the norm alone.
Source           parameter-golf PR 928, after manifold-constrained hyper-connections.
Published        1.1211 bpb of a whole stack, one seed, not isolated (PR 928).
"""

import torch


def mix_residual(before: torch.Tensor, after: torch.Tensor, alpha: torch.Tensor, beta: torch.Tensor) -> torch.Tensor:
    """Return the stream after a block from what it was before and what the block made of it."""
    strength: torch.Tensor = 2.0**0.5 * alpha * torch.rsqrt(alpha.square() + beta.square())
    return before + strength.to(after.dtype) * (after - before)
