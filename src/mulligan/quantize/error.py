"""What quantization did to each tensor, in numpy: its sums hardly depend on the number of threads, as torch's do."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

Array = np.ndarray[Any, np.dtype[np.float64]]


def relative_rms_errors(weights: Mapping[str, torch.Tensor], stored: Mapping[str, torch.Tensor]) -> dict[str, float]:
    """Return sqrt(sum E^2 / sum W^2) of each tensor W stored as W + E, to six digits; 0 for a tensor of zeros."""
    exact = {name: weight.numpy().astype(np.float64) for name, weight in weights.items()}
    return {
        name: _root_ratio(np.square(stored[name].numpy() - weight).sum(), np.square(weight).sum())
        for name, weight in exact.items()
    }


def relative_hessian_errors(
    weights: Mapping[str, torch.Tensor], stored: Mapping[str, torch.Tensor], hessians: Mapping[str, torch.Tensor]
) -> dict[str, float]:
    """Return sqrt(tr(E H E^T) / tr(W H W^T)) of each matrix W stored as W + E whose Hessian H is known, to six digits.

    With H the mean of x x^T it is the rms of what the error adds to the outputs W x over the rms of these outputs; 0 where they
    are all 0.
    """
    errors = {}
    for name, hessian in hessians.items():
        weight, inputs = weights[name].numpy().astype(np.float64), hessian.numpy().astype(np.float64)
        errors[name] = _root_ratio(_power(stored[name].numpy() - weight, inputs), _power(weight, inputs))
    return errors


def excess_kurtosis(weights: Mapping[str, torch.Tensor]) -> dict[str, float]:
    """Return the mean over rows of each matrix's excess kurtosis, to four digits: 0 for Gaussian rows, -1.2 for uniform ones.

    Rows of equal numbers have none and are left out; so is a matrix of nothing else.
    """
    from scipy.stats import kurtosis

    found = {}
    for name, weight in weights.items():
        if weight.ndim != 2 or min(weight.shape) == 0:
            continue
        rows = weight.numpy().astype(np.float64)
        uneven = rows[np.ptp(rows, axis=1) > 0]
        if len(uneven):
            found[name] = float(f"{kurtosis(uneven, axis=1).mean():.4g}")
    return found


def _power(weight: Array, hessian: Array) -> float:
    """Return tr(W H W^T)."""
    return float(((weight @ hessian) * weight).sum())


def _root_ratio(noise: float, power: float) -> float:
    return float(f"{np.sqrt(max(noise, 0.0) / power):.6g}") if power > 0 else 0.0
