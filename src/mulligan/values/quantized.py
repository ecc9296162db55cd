"""Quantized weights: integer codes with scales, or float16/float32 tensors, by parameter name."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from safetensors.torch import load_file, save_file

from mulligan.core.canonical import Json, canonical_json
from mulligan.numerics.grid import dequantize_rows, rows_of
from mulligan.numerics.hadamard import unrotate

FLOAT_KINDS = {torch.float16: "fp16", torch.float32: "fp32"}
PER_TENSOR = ("relative_rms_error", "relative_hessian_error", "excess_kurtosis")
"""What a record may hold for each tensor."""


@dataclass(frozen=True)
class Factor:
    """One factor of a low-rank correction: codes int8 (rows, cols) in the range of `bits`, scale float16 per group.

    A group is `group_size` codes that follow one another, row by row; the last may be shorter. ValueError where the parts do
    not fit one another.
    """

    codes: torch.Tensor
    scale: torch.Tensor
    bits: int
    group_size: int

    def __post_init__(self) -> None:
        if self.group_size < 1:
            raise ValueError(f"group_size is {self.group_size}; a group holds 1 code or more.")
        num_groups = -(-self.codes.numel() // self.group_size)
        given = (self.codes.dtype, self.codes.ndim, self.scale.dtype, tuple(self.scale.shape))
        needed = (torch.int8, 2, torch.float16, (num_groups,))
        if given != needed:
            raise ValueError(
                f"codes and scale of a factor are {given}; {num_groups} groups of {self.group_size} need {needed}."
            )
        _check_codes(self.codes, self.scale, self.bits)

    def dequantize(self) -> torch.Tensor:
        """Return codes times their group's scale, float32 (rows, cols)."""
        scale = self.scale.to(torch.float32).repeat_interleave(self.group_size)[: self.codes.numel()]
        return self.codes.to(torch.float32) * scale.reshape(self.codes.shape)


@dataclass(frozen=True)
class LowRank:
    """left (rows, rank) times right (rank, cols), added to a matrix."""

    left: Factor
    right: Factor

    def dequantize(self) -> torch.Tensor:
        """Return the product, float32 (rows, cols)."""
        return self.left.dequantize() @ self.right.dequantize()


@dataclass(frozen=True)
class QuantizedTensor:
    """codes int8 (rows, cols) in the range of `bits`, scale finite and above 0, the weight's `shape`.

    A matrix has one scale per row, every other shape is one row: float16 (rows,). Or one scale for the whole tensor: float32
    (1,). `rotation_seed`: the codes stand for the rows of a matrix rotated by `numerics.hadamard` with that seed. `correction`
    is added to a matrix, in its own basis. ValueError where the parts do not fit one another.
    """

    codes: torch.Tensor
    scale: torch.Tensor
    bits: int
    shape: tuple[int, ...]
    rotation_seed: int | None = None
    correction: LowRank | None = None

    def __post_init__(self) -> None:
        rows, cols = rows_of(self.shape)
        given = (self.codes.dtype, tuple(self.codes.shape), self.scale.dtype, tuple(self.scale.shape))
        needed = [(torch.int8, (rows, cols), *scale) for scale in ((torch.float16, (rows,)), (torch.float32, (1,)))]
        if given not in needed:
            raise ValueError(f"codes and scale are {given}; a tensor of shape {self.shape} needs one of {needed}.")
        _check_codes(self.codes, self.scale, self.bits)
        if (len(self.shape) != 2 or 0 in self.shape) and (self.rotation_seed is not None or self.correction is not None):
            raise ValueError(f"A rotation and a correction are for matrices of some size; this tensor has shape {self.shape}.")
        if self.rotation_seed is not None and not 0 <= self.rotation_seed < 1 << 32:
            raise ValueError(f"rotation_seed is {self.rotation_seed}; it lies in 0 to {(1 << 32) - 1}.")
        if self.correction is not None:
            left, right = self.correction.left.codes.shape, self.correction.right.codes.shape
            if (left[0], right[1]) != self.shape or left[1] != right[0]:
                raise ValueError(f"A correction {tuple(left)} x {tuple(right)} does not fit a matrix {self.shape}.")

    def dequantize(self) -> torch.Tensor:
        """Return the weight that these codes stand for, float32 of `shape`."""
        weight = dequantize_rows(self.codes, self.scale, self.shape)
        if self.rotation_seed is not None:
            weight = unrotate(weight, self.rotation_seed)
        return weight if self.correction is None else weight + self.correction.dequantize()


def _check_codes(codes: torch.Tensor, scale: torch.Tensor, bits: int) -> None:
    if not 2 <= bits <= 8:
        raise ValueError(f"bits is {bits}; codes have 2 to 8 bits.")
    limit = 2 ** (bits - 1)
    if codes.numel() and not -limit <= int(codes.min()) <= int(codes.max()) < limit:
        raise ValueError(f"A code lies outside [{-limit}, {limit - 1}], the range of {bits} bits.")
    if not bool((torch.isfinite(scale) & (scale > 0)).all()):
        raise ValueError("A scale is zero, negative or not finite; scales are finite and above 0.")


@dataclass(frozen=True)
class Quantized:
    """Tensors by parameter name; `model` is the canonical ModelConfig; `record` says how they were made.

    `record` may hold {number: {name: float}} for each of PER_TENSOR. An artifact ships no record: unpacked, it is empty.
    """

    tensors: dict[str, QuantizedTensor | torch.Tensor]
    model: dict[str, Json]
    record: dict[str, Json]

    def __post_init__(self) -> None:
        for name, tensor in self.tensors.items():
            if isinstance(tensor, torch.Tensor) and tensor.dtype not in FLOAT_KINDS:
                raise ValueError(f"{name} is {tensor.dtype}; a tensor without codes is float16 or float32.")

    def dequantize(self) -> dict[str, torch.Tensor]:
        """Return every tensor as float32."""
        return {
            name: tensor.dequantize() if isinstance(tensor, QuantizedTensor) else tensor.to(torch.float32)
            for name, tensor in self.tensors.items()
        }

    def save(self, folder: Path) -> None:
        """Write quantized.safetensors and summary.json (per tensor: kind, bits, shape, errors)."""
        parts: dict[str, torch.Tensor] = {}
        for name, tensor in self.tensors.items():
            if isinstance(tensor, QuantizedTensor):
                parts[f"codes:{name}"], parts[f"scale:{name}"] = tensor.codes.contiguous(), tensor.scale.contiguous()
                for side, factor in _factors(tensor):
                    parts[f"{side}-codes:{name}"], parts[f"{side}-scale:{name}"] = factor.codes, factor.scale
            else:
                parts[f"float:{name}"] = tensor.contiguous()
        # Tied or sliced tensors may share memory, which safetensors refuses.
        save_file({name: part.clone() for name, part in parts.items()}, folder / "quantized.safetensors")
        (folder / "summary.json").write_text(canonical_json(self._summary()), "utf-8")

    def _summary(self) -> dict[str, Json]:
        record = dict(self.record)
        errors = {error: record.pop(error, None) for error in PER_TENSOR}
        tensors: dict[str, Json] = {}
        for name, tensor in self.tensors.items():
            told: dict[str, Json] = {error: of[name] for error, of in errors.items() if isinstance(of, dict) and name in of}
            tensors[name] = {**describe(tensor), **told}
        return {"model": self.model, "record": record, "tensors": tensors}

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        summary = json.loads((folder / "summary.json").read_text("utf-8"))
        parts = load_file(folder / "quantized.safetensors")
        tensors: dict[str, QuantizedTensor | torch.Tensor] = {}
        for name, entry in summary["tensors"].items():
            if entry["kind"] == "int":
                tensors[name] = QuantizedTensor(
                    parts[f"codes:{name}"],
                    parts[f"scale:{name}"],
                    entry["bits"],
                    tuple(entry["shape"]),
                    entry.get("rotation_seed"),
                    _correction(parts, name, entry["correction"]) if "correction" in entry else None,
                )
            else:
                tensors[name] = parts[f"float:{name}"]
        return cls(tensors, summary["model"], _record(summary))


def describe(tensor: QuantizedTensor | torch.Tensor) -> dict[str, Json]:
    """Return kind (int, fp16, fp32), bits per value, shape, rotation and correction: a line of a table."""
    if isinstance(tensor, QuantizedTensor):
        entry: dict[str, Json] = {"kind": "int", "bits": tensor.bits, "shape": list(tensor.shape)}
        if tensor.rotation_seed is not None:
            entry["rotation_seed"] = tensor.rotation_seed
        if tensor.correction is not None:
            sides: dict[str, Json] = {
                side: {"bits": factor.bits, "group_size": factor.group_size} for side, factor in _factors(tensor)
            }
            entry["correction"] = {**sides, "rank": tensor.correction.left.codes.shape[1]}
        return entry
    return {"kind": FLOAT_KINDS[tensor.dtype], "bits": 8 * tensor.element_size(), "shape": list(tensor.shape)}


def _factors(tensor: QuantizedTensor) -> list[tuple[str, Factor]]:
    correction = tensor.correction
    return [] if correction is None else [("left", correction.left), ("right", correction.right)]


def _correction(parts: dict[str, torch.Tensor], name: str, entry: dict[str, Any]) -> LowRank:
    left, right = (
        Factor(parts[f"{side}-codes:{name}"], parts[f"{side}-scale:{name}"], entry[side]["bits"], entry[side]["group_size"])
        for side in ("left", "right")
    )
    return LowRank(left, right)


def _record(summary: dict[str, Any]) -> dict[str, Json]:
    """Return the record as it was given to `save`: the errors back in it."""
    entries = summary["tensors"].items()
    errors: dict[str, Json] = {
        error: {name: entry[error] for name, entry in entries if error in entry}
        for error in PER_TENSOR
        if any(error in entry for _, entry in entries)
    }
    return {**summary["record"], **errors}
