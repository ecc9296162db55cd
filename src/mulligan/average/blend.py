"""Blend: the weighted mean of several averages of one training.

What it does     Records each part in the one training as if it were asked for alone, and adds them up, weight by weight.
Why it may help  Averages with different horizons err differently, and their mean may lie nearer the basin's floor.
Touches          average: the coefficients with which snapshots enter.
Cost             No train steps, no artifact bytes; what each of its parts keeps while it rides along.
Source           A weighted mean of averages, for comparing it with each of them; SWA as in arXiv:1803.05407.
"""

from collections.abc import Sequence

import torch

from mulligan.average.config import Blend
from mulligan.core.canonical import Json
from mulligan.values.weights import Weights


def blend(config: Blend, averages: Sequence[Weights]) -> Weights:
    """Return the sum of `averages`, one for each part of `config`, times the parts' weights, in float32."""
    shares = [part.weight for part in config.parts]
    tensors: dict[str, torch.Tensor] = {}
    for share, average in zip(shares, averages, strict=True):
        for name, tensor in average.tensors.items():
            tensors[name] = tensors[name].add(tensor, alpha=share) if name in tensors else share * tensor
    parts: list[Json] = [{"weight": share, **average.record} for share, average in zip(shares, averages, strict=True)]
    return Weights(tensors, averages[0].model, {"kind": config.kind, "parts": parts})
