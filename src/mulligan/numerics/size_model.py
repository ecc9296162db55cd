"""How many bytes tensors will take once quantized and coded, before there are weights: a model, and said to be one.

Rows are taken for Gaussian, and the coder for one that reaches the order-0 entropy of the codes. Only the ratio of step to
standard deviation matters, which every scale rule but the floored ones fixes without knowing the weights. Torch-free.
"""

import functools
from collections.abc import Sequence
from typing import assert_never

import numpy as np
from scipy.special import ndtr, ndtri

from mulligan.numerics.config import (
    ClipSearch,
    Format,
    Fp16Format,
    Fp32Format,
    IntFormat,
    LegacyPercentileFloored,
    LegacyRowMaxFloored,
    Percentile,
    RowMax,
    StandardDeviations,
)
from mulligan.numerics.grid import rows_of


def tensor_bytes(format: Format, shape: Sequence[int]) -> tuple[float, bool]:
    """Return the bytes of a tensor, and whether they follow from the format (else they are an upper bound).

    Floats count whole: what a coder saves on them depends on the weights.
    """
    rows, cols = rows_of(shape)
    if isinstance(format, Fp16Format | Fp32Format):
        return rows * cols * (2.0 if isinstance(format, Fp16Format) else 4.0), True
    per_row = format.scale_per == "row"
    step = step_in_deviations(format, cols if per_row else rows * cols)
    bits = float(format.bits) if step is None else gaussian_entropy_bits(step, format.min_code, format.max_code)
    return rows * cols * bits / 8 + (2.0 * rows if per_row else 4.0), step is not None


def step_in_deviations(format: IntFormat, cols: int) -> float | None:
    """Return the step in standard deviations of a Gaussian row of `cols` weights; None where it depends on the weights."""
    scale, c = format.scale, format.max_code
    if isinstance(scale, StandardDeviations):
        return scale.k / c
    if isinstance(scale, RowMax):
        return expected_largest(cols, 1.0) / c
    if isinstance(scale, Percentile):
        return expected_largest(cols, scale.p) / c
    if isinstance(scale, ClipSearch):
        return min((expected_largest(cols, p) / c for p in scale.percentiles), key=lambda step: squared_error(step, c))
    if isinstance(scale, LegacyRowMaxFloored | LegacyPercentileFloored):
        return None
    assert_never(scale)


def tensor_spread_bytes(format: Format, shape: Sequence[int]) -> float:
    """Return the standard deviation over seeds of a tensor's bytes that chance in its rows' maxima alone makes.

    A row's scale follows its maximum, whose standard deviation is pi / sqrt(6) / sqrt(2 ln(2 cols)) (Gumbel's limit); bits
    fall by the logarithm of the scale. A lower bound: trained rows have heavier tails than Gaussian ones, and differ more.
    """
    rows, cols = rows_of(shape)
    if not isinstance(format, IntFormat) or not isinstance(format.scale, RowMax | Percentile) or cols < 2:
        return 0.0
    relative = np.pi / np.sqrt(6) / np.sqrt(2 * np.log(2 * cols)) / expected_largest(cols, 1.0)
    return float(np.sqrt(rows) * cols / 8 * relative / np.log(2))


@functools.cache
def expected_largest(num_values: int, p: float) -> float:
    """Return about what the quantile `p` of |x| over that many standard normal values is on average (1.0: the maximum).

    By Blom's plotting position for order statistics (Blom 1958): off by less than 2 % from 8 values on.
    """
    rank = p * (num_values - 1) + 1
    u = (rank - 0.375) / (num_values + 0.25)
    return float(ndtri((1 + u) / 2))


def squared_error(step: float, max_code: int) -> float:
    """Return the mean squared error of rounding a standard normal value to a multiple of `step` up to `max_code` of them."""
    x = ndtri((np.arange(4096) + 0.5) / 4096)
    return float(np.square(x - step * np.clip(np.round(x / step), -max_code, max_code)).mean())


@functools.cache
def gaussian_entropy_bits(step: float, min_code: int, max_code: int) -> float:
    """Return the entropy in bits of round(x / step) clamped to [min_code, max_code], x standard normal."""
    edges = (np.arange(min_code, max_code) + 0.5) * step
    cells = np.diff(np.concatenate(([0.0], ndtr(edges), [1.0])))
    # The upper tail from its own side, where differences of numbers near 1 would lose it.
    upper = -np.diff(np.concatenate((ndtr(-edges), [0.0])))
    cells[1:] = np.where(edges > 0, upper, cells[1:])
    present = cells[cells > 0]
    return float(-(present * np.log2(present)).sum())
