"""Hessians: the mean of x x^T over the inputs x that each matrix met on the calibration text."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from safetensors.torch import load_file, save_file

from mulligan.core.canonical import canonical_json


@dataclass(frozen=True)
class Hessians:
    """Float32 (cols, cols) on the CPU, by the name of each matrix whose inputs were observed."""

    tensors: dict[str, torch.Tensor]

    def save(self, folder: Path) -> None:
        """Write hessians.safetensors and summary.json (the columns of each matrix)."""
        save_file(self.tensors, folder / "hessians.safetensors")
        (folder / "summary.json").write_text(
            canonical_json({"columns": {name: len(tensor) for name, tensor in self.tensors.items()}}), "utf-8"
        )

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        return cls(load_file(folder / "hessians.safetensors"))
