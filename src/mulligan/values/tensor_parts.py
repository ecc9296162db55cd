"""A quantized tensor's parts as the container stores them: its entry, its codes, its scales and floats; and back."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from mulligan.numerics.grid import rows_of
from mulligan.values.code_stream import CodeMatrix
from mulligan.values.quantized import FLOAT_KINDS, Factor, LowRank, QuantizedTensor
from mulligan.values.tensor_entry import CorrectionEntry, FactorEntry, TensorEntry, groups_of

Value: TypeAlias = QuantizedTensor | torch.Tensor
Key: TypeAlias = tuple[str, str]
"""A tensor's name, and the side of its correction: `left`, `right`, or nothing for the tensor itself."""


@dataclass(frozen=True)
class Part:
    """What a tensor keeps in one section, `shape` being that of its codes, scales or floats."""

    key: Key
    section: str
    shape: tuple[int, ...]


def entry_of(name: str, tensor: Value) -> TensorEntry:
    """Return the table's entry of a tensor; ValueError where the container cannot hold it."""
    if not isinstance(tensor, QuantizedTensor):
        return TensorEntry(name, FLOAT_KINDS[tensor.dtype], 8 * tensor.element_size(), tuple(tensor.shape))
    correction = None
    if tensor.correction:
        left, right = (FactorEntry(side.bits, side.group_size) for side in (tensor.correction.left, tensor.correction.right))
        correction = CorrectionEntry(tensor.correction.left.codes.shape[1], left, right)
    one_scale = tensor.scale.dtype == torch.float32
    return TensorEntry(name, "int", tensor.bits, tensor.shape, one_scale, tensor.rotation_seed, correction)


def float_parts(entries: Iterable[TensorEntry]) -> Iterator[Part]:
    """Yield the floats of all tensors, those of one section in the order in which it holds them."""
    for entry in entries:
        if entry.kind != "int":
            yield Part((entry.name, ""), entry.kind, entry.shape)
            continue
        yield Part((entry.name, ""), "fp32", (1,)) if entry.one_scale else Part((entry.name, ""), "scale", (entry.num_scales,))
        for side, (factor, (rows, cols)) in entry.factors.items():
            yield Part((entry.name, side), "scale", (-(-rows * cols // factor.group_size),))


def floats_of(part: Part, tensor: Value) -> NDArray[Any]:
    """Return the floats of a part."""
    if isinstance(tensor, QuantizedTensor):
        return _numpy(_factor(tensor, part.key[1]).scale if part.key[1] else tensor.scale)
    return _numpy(tensor)


def code_matrices(entries: Iterable[TensorEntry], floats: Mapping[Key, NDArray[Any]]) -> dict[str, dict[Key, CodeMatrix]]:
    """Return the codes that each group holds, as matrices, given the scales."""
    by_name = {entry.name: entry for entry in entries}
    groups: dict[str, dict[Key, CodeMatrix]] = {}
    for group, keys in groups_of(by_name.values()).items():
        groups[group] = {(name, side): _matrix(by_name[name], side, floats[name, ""]) for name, side in keys}
    return groups


def codes_of(key: Key, tensor: Value) -> NDArray[np.int8]:
    """Return the codes that a tensor, or a side of its correction, has."""
    assert isinstance(tensor, QuantizedTensor)
    return _numpy(_factor(tensor, key[1]).codes if key[1] else tensor.codes)


def assemble(
    entries: Iterable[TensorEntry], floats: Mapping[Key, NDArray[Any]], codes: Mapping[Key, NDArray[np.int8]]
) -> dict[str, Value]:
    """Return the tensors; ValueError where codes or scales lie outside their range."""
    tensors: dict[str, Value] = {}
    for entry in entries:
        if entry.kind != "int":
            tensors[entry.name] = torch.from_numpy(floats[entry.name, ""])
            continue
        factors = [
            Factor(
                torch.from_numpy(codes[entry.name, side]),
                torch.from_numpy(floats[entry.name, side]),
                factor.bits,
                factor.group_size,
            )
            for side, (factor, _) in entry.factors.items()
        ]
        tensors[entry.name] = QuantizedTensor(
            torch.from_numpy(codes[entry.name, ""]).reshape(rows_of(entry.shape)),
            torch.from_numpy(floats[entry.name, ""]),
            entry.bits,
            entry.shape,
            entry.rotation_seed,
            LowRank(*factors) if factors else None,
        )
    return tensors


def _matrix(entry: TensorEntry, side: str, scale: NDArray[Any]) -> CodeMatrix:
    """Return a tensor's codes as a matrix: its last dimension gives the columns."""
    if side:
        factor, shape = entry.factors[side]
        return CodeMatrix(shape, factor.bits)
    cols = entry.shape[-1] if entry.shape else 1
    shape = (entry.num_elements // cols if cols else 0, cols)
    return CodeMatrix(shape, entry.bits, None if entry.one_scale or len(entry.shape) != 2 else scale)


def _factor(tensor: QuantizedTensor, side: str) -> Factor:
    assert tensor.correction is not None
    return tensor.correction.left if side == "left" else tensor.correction.right


def _numpy(tensor: torch.Tensor) -> NDArray[Any]:
    array: NDArray[Any] = tensor.detach().cpu().numpy()
    return array
