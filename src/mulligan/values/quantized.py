"""Quantized weights: integer codes with fp16 scales, or float16/float32 tensors, by parameter name."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from safetensors.torch import load_file, save_file

from mulligan.core.canonical import Json, canonical_json
from mulligan.numerics.grid import dequantize_rows, rows_of

FLOAT_KINDS = {torch.float16: "fp16", torch.float32: "fp32"}


@dataclass(frozen=True)
class QuantizedTensor:
    """codes int8 (rows, cols) in the range of `bits`, scale float16 (rows,) finite and above 0, the weight's `shape`.

    A matrix has one scale per row, every other shape is one row. ValueError where the parts do not fit one another.
    """

    codes: torch.Tensor
    scale: torch.Tensor
    bits: int
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        rows, cols = rows_of(self.shape)
        given = (self.codes.dtype, tuple(self.codes.shape), self.scale.dtype, tuple(self.scale.shape))
        needed = (torch.int8, (rows, cols), torch.float16, (rows,))
        if given != needed:
            raise ValueError(f"codes and scale are {given}; a tensor of shape {self.shape} needs {needed}.")
        if not 2 <= self.bits <= 8:
            raise ValueError(f"bits is {self.bits}; codes have 2 to 8 bits.")
        limit = 2 ** (self.bits - 1)
        if self.codes.numel() and not -limit <= int(self.codes.min()) <= int(self.codes.max()) < limit:
            raise ValueError(f"A code lies outside [{-limit}, {limit - 1}], the range of {self.bits} bits.")
        if not bool((torch.isfinite(self.scale) & (self.scale > 0)).all()):
            raise ValueError("A scale is zero, negative or not finite; scales are finite and above 0.")

    def dequantize(self) -> torch.Tensor:
        """Return codes times scale, float32 of `shape`."""
        return dequantize_rows(self.codes, self.scale, self.shape)


@dataclass(frozen=True)
class Quantized:
    """Tensors by parameter name; `model` is the canonical ModelConfig; `record` says how they were made.

    `record` may hold {"relative_rms_error": {name: float}}. An artifact ships no record: unpacked, it is empty.
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
        """Write quantized.safetensors and summary.json (per tensor: kind, bits, shape, relative_rms_error)."""
        parts: dict[str, torch.Tensor] = {}
        for name, tensor in self.tensors.items():
            if isinstance(tensor, QuantizedTensor):
                parts[f"codes:{name}"], parts[f"scale:{name}"] = tensor.codes.contiguous(), tensor.scale.contiguous()
            else:
                parts[f"float:{name}"] = tensor.contiguous()
        # Tied or sliced tensors may share memory, which safetensors refuses.
        save_file({name: part.clone() for name, part in parts.items()}, folder / "quantized.safetensors")
        (folder / "summary.json").write_text(canonical_json(self._summary()), "utf-8")

    def _summary(self) -> dict[str, Json]:
        record = dict(self.record)
        errors = record.pop("relative_rms_error", None)
        tensors: dict[str, Json] = {}
        for name, tensor in self.tensors.items():
            entry = describe(tensor)
            if isinstance(errors, dict) and name in errors:
                entry["relative_rms_error"] = errors[name]
            tensors[name] = entry
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
                    parts[f"codes:{name}"], parts[f"scale:{name}"], entry["bits"], tuple(entry["shape"])
                )
            else:
                tensors[name] = parts[f"float:{name}"]
        return cls(tensors, summary["model"], _record(summary))


def describe(tensor: QuantizedTensor | torch.Tensor) -> dict[str, Json]:
    """Return kind (int, fp16, fp32), bits per value and shape: a line of a table."""
    if isinstance(tensor, QuantizedTensor):
        return {"kind": "int", "bits": tensor.bits, "shape": list(tensor.shape)}
    return {"kind": FLOAT_KINDS[tensor.dtype], "bits": 8 * tensor.element_size(), "shape": list(tensor.shape)}


def _record(summary: dict[str, Any]) -> dict[str, Json]:
    """Return the record as it was given to `save`: the errors back in it."""
    entries = summary["tensors"].items()
    errors = {name: entry["relative_rms_error"] for name, entry in entries if "relative_rms_error" in entry}
    return {**summary["record"], **({"relative_rms_error": errors} if errors else {})}
