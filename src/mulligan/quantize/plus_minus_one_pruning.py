"""Selective pruning: codes of +1 and -1 that stand for the smallest weights become zero.

What it does     Orders all codes of +1 and -1 of the matrices that `match` names by the square of their row's scale, smallest
                 first, and sets the first `fraction` of them to zero; among equals in the order of tensors, rows and columns.
Why it may help  Each adds about scale^2 of squared error and saves what an entropy coder pays for a code that is not zero: a
                 knob that trades score for bytes finely.
Touches          quantize: codes after rounding.
Recipe           quantize.prune=plus-minus-one
Cost             Nothing to train; score for bytes.
Source           Parameter-golf PR 609, 1019.
Published        Below 10 % neutral; 28 to 37 %: +4 to +5 mBPB (PR 670).

Published where the outermost code is a row's maximum, so that few codes are ones. At k = 12.85 standard deviations ones hold
most of a row, and the rows with the smallest scales lose all of theirs first (docs/log.md).
"""

from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase

import numpy as np
import torch

from mulligan.quantize.config import PlusMinusOnePruning
from mulligan.values.quantized import QuantizedTensor

Tensors = dict[str, QuantizedTensor | torch.Tensor]


def prune_plus_minus_ones(config: PlusMinusOnePruning, tensors: Mapping[str, QuantizedTensor | torch.Tensor]) -> Tensors:
    """Return all tensors, with round(fraction x number of candidates) codes set to zero.

    Candidates lie in the matrices with a scale per row that `match` names, of which there is one at least.
    """
    matrices = {
        name: tensor
        for name, tensor in tensors.items()
        if isinstance(tensor, QuantizedTensor) and len(tensor.shape) == 2 and tensor.scale.dtype == torch.float16
        if any(fnmatchcase(name, glob) for glob in config.match)
    }
    candidates = {name: tensor.codes.abs() == 1 for name, tensor in matrices.items()}
    counts = torch.cat([here.sum(1) for here in candidates.values()]).numpy()
    scales = torch.cat([tensor.scale for tensor in matrices.values()]).numpy().astype(np.float64)
    order = np.argsort(np.square(scales), kind="stable")
    before = np.cumsum(counts[order]) - counts[order]
    wanted = np.empty_like(counts)
    wanted[order] = np.clip(round(config.fraction * int(counts.sum())) - before, 0, counts[order])
    pruned: Tensors = dict(tensors)
    per_matrix = torch.split(torch.from_numpy(wanted), [len(tensor.codes) for tensor in matrices.values()])
    for (name, tensor), quota in zip(matrices.items(), per_matrix, strict=True):
        rank = candidates[name].cumsum(1)
        pruned[name] = replace(tensor, codes=tensor.codes.masked_fill(candidates[name] & (rank <= quota[:, None]), 0))
    return pruned
