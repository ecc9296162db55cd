"""The grid at work: which tensor gets which format, and the one definition of rounding weights to integer codes.

Exporters and fake quantization both call `quantize_rows`, so what training sees and what ships cannot drift apart.
"""

import difflib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import assert_never

import torch

from mulligan.numerics.config import (
    ClipSearch,
    Family,
    Format,
    GridConfig,
    IntFormat,
    LegacyPercentileFloored,
    LegacyRowMaxFloored,
    Percentile,
    RowMax,
    Scale,
    StandardDeviations,
)

FP16_TINY = 2.0**-14
FP16_MAX = 65504.0


def assign(grid: GridConfig, shapes: Mapping[str, Sequence[int]]) -> dict[str, Format]:
    """Return the format of each named shape, in the order of `shapes`; the first family that takes a tensor decides.

    ValueError where a glob matches no name, or a tensor falls through all families.
    """
    for i, family in enumerate(grid.families):
        for j, glob in enumerate(family.match):
            if not any(fnmatchcase(name, glob) for name in shapes):
                raise ValueError(
                    f"grid.families.{i}.match.{j} = {glob!r} matches no tensor. {_nearest(glob, shapes)}"
                    f"There are: {_patterns(shapes)}. Correct or remove the glob."
                )
    return {name: _format_of(name, math.prod(shape), grid) for name, shape in shapes.items()}


def integer_formats(grid: GridConfig, shapes: Mapping[str, Sequence[int]]) -> dict[str, IntFormat]:
    """Return the format of each named shape that the grid stores as integers."""
    return {name: form for name, form in assign(grid, shapes).items() if isinstance(form, IntFormat)}


def _format_of(name: str, num_elements: int, grid: GridConfig) -> Format:
    for family in grid.families:
        if num_elements >= family.min_elements and any(fnmatchcase(name, glob) for glob in family.match):
            return family.format
    globs = [glob for family in grid.families for glob in family.match]
    raise ValueError(
        f"The tensor {name!r} ({num_elements:,} elements) is in no family of the grid. {_nearest(name, globs)}"
        f"Families: {'; '.join(_family_text(family) for family in grid.families)}. "
        'Add a family that takes it, such as {match = ["*"], format = {kind = "fp16"}} at the end.'
    )


def _family_text(family: Family) -> str:
    least = f" from {family.min_elements:,} elements" if family.min_elements else ""
    return f"{', '.join(family.match)}{least} -> {family.format.kind}"


def _nearest(given: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(given, list(names), n=3, cutoff=0.3)
    return f"Nearest: {', '.join(near)}. " if near else ""


def _patterns(names: Iterable[str]) -> str:
    """Name what exists with the layers' numbers folded to `*`: a list that stays short and can be pasted as globs."""
    return ", ".join(dict.fromkeys(re.sub(r"(?<=\.)\d+(?=\.)", "*", name) for name in names))


def rows_of(shape: Sequence[int]) -> tuple[int, int]:
    """Return (rows, cols) under which a tensor is scaled: a matrix by its rows, every other shape as one row."""
    return (shape[0], shape[1]) if len(shape) == 2 else (1, math.prod(shape))


def quantize_rows(weight: torch.Tensor, format: IntFormat) -> tuple[torch.Tensor, torch.Tensor]:
    """Return codes int8 (rows, cols) and the scale (see `scale_of`) of `weight`, by round to nearest, ties to even.

    Weights must be finite (the quantize stage checks; a check here would stall a GPU at every training step). Levers 16.4.
    """
    rows = weight.detach().to(torch.float32).reshape(rows_of(weight.shape))
    scale = scale_of(rows, format)
    if isinstance(format.scale, LegacyPercentileFloored) and rows.numel():
        limit = _limit(_scaled_rows(rows, format), format.scale)[:, None]
        rows = torch.maximum(torch.minimum(rows, limit), -limit)
    return _codes(rows, scale, format), scale


def scale_of(weight: torch.Tensor, format: IntFormat, widen: torch.Tensor | None = None) -> torch.Tensor:
    """Return the scale of `weight` by the format's rule: float16 (rows,), or float32 (1,) where one serves the whole tensor.

    It is rounded to its stored type before it is used, and lies in that type's normal range, so rows of zeros stay finite.
    `widen` (rows,): factors on what the outermost codes stand for; not for `clip-search`.
    """
    rows = _scaled_rows(weight.detach().to(torch.float32).reshape(rows_of(weight.shape)), format)
    if rows.numel() == 0:
        return _stored_scale(torch.zeros(len(rows), device=rows.device), format)
    if isinstance(format.scale, ClipSearch):
        return _searched(rows, format, format.scale)
    limit = _limit(rows, format.scale)
    return _stored_scale(limit if widen is None else limit * widen, format)


def dequantize_rows(codes: torch.Tensor, scale: torch.Tensor, shape: Sequence[int]) -> torch.Tensor:
    """Return codes (rows, cols) times scale (rows,) or (1,) as float32 of `shape`."""
    return (codes.to(torch.float32) * scale.to(torch.float32)[:, None]).reshape(tuple(shape))


def _scaled_rows(rows: torch.Tensor, format: IntFormat) -> torch.Tensor:
    """Return the rows that have a scale each: those of the matrix, or one of all its elements."""
    return rows if format.scale_per == "row" else rows.reshape(1, -1)


def _stored_scale(limit: torch.Tensor, format: IntFormat) -> torch.Tensor:
    scale = limit / format.max_code
    if isinstance(format.scale, LegacyRowMaxFloored | LegacyPercentileFloored):
        scale = scale.clamp(min=1.0 / format.max_code)
    if format.scale_per == "tensor":
        return scale.clamp(min=torch.finfo(torch.float32).tiny)
    return scale.clamp(FP16_TINY, FP16_MAX).to(torch.float16)


def _codes(rows: torch.Tensor, scale: torch.Tensor, format: IntFormat) -> torch.Tensor:
    """Return the nearest codes int8 of `rows` (rows, cols)."""
    codes = (rows / scale.to(torch.float32)[:, None]).round_().clamp_(format.min_code, format.max_code)
    return codes.to(torch.int8)


def _searched(rows: torch.Tensor, format: IntFormat, search: ClipSearch) -> torch.Tensor:
    """Return the scale of the percentile with the least squared error; of two that are equal the first.

    Errors are summed in float64, so that the number of threads, which orders the sum, does not decide between two.
    """
    magnitude = rows.abs()
    scales = [_stored_scale(_quantile(magnitude, p), format) for p in search.percentiles]
    errors = [
        (dequantize_rows(_codes(rows, scale, format), scale, rows.shape) - rows).double().square().sum(1) for scale in scales
    ]
    error = torch.stack(errors)
    if search.per == "matrix":
        return scales[int(error.sum(1).argmin())]
    return torch.stack(scales).gather(0, error.argmin(0)[None])[0]


def _limit(rows: torch.Tensor, scale: Scale) -> torch.Tensor:
    """Return the |w| that the outermost code stands for, float32 (rows,), before any floor."""
    if isinstance(scale, StandardDeviations):
        if rows.shape[1] < 2:
            raise ValueError(
                "The scale rule standard-deviations needs two values or more in a row, and a tensor has rows of one. "
                "Give that tensor's family another scale rule, or fp16."
            )
        return scale.k * rows.std(dim=1, correction=1)
    if isinstance(scale, Percentile | LegacyPercentileFloored):
        return _quantile(rows.abs(), scale.p)
    if isinstance(scale, RowMax | LegacyRowMaxFloored):
        return rows.abs().amax(dim=1)
    assert not isinstance(scale, ClipSearch), "a search tries limits of its own"
    assert_never(scale)


def _quantile(values: torch.Tensor, p: float) -> torch.Tensor:
    """Return the linear quantile `p` of each row; unlike torch.quantile without a limit of 16M values."""
    num_values = values.shape[1]
    position = p * (num_values - 1)
    lower = math.floor(position)
    top = values.topk(num_values - lower, dim=1).values
    below, above = top[:, -1], top[:, -2] if top.shape[1] > 1 else top[:, -1]
    return below + (above - below) * (position - lower)
