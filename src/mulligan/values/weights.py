"""Weights: named float32 tensors, the network that they belong to, and what they are an average of."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from mulligan.core.canonical import Json, canonical_json


@dataclass(frozen=True)
class Weights:
    """`model` is the canonical config of the network; `record` says which snapshots were averaged."""

    tensors: dict[str, torch.Tensor]
    model: dict[str, Json]
    record: dict[str, Json]

    def save(self, folder: Path) -> None:
        """Write weights.safetensors, a weights file that stands alone, and summary.json."""
        self.to_file(folder / "weights.safetensors")
        num_parameters = sum(tensor.numel() for tensor in self.tensors.values())
        summary: dict[str, Json] = {"model": self.model, "record": self.record, "num_parameters": num_parameters}
        (folder / "summary.json").write_text(canonical_json(summary), "utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        return cls.from_file(folder / "weights.safetensors")

    def to_file(self, path: Path) -> None:
        """Write one safetensors file; its metadata holds `model` and `record` as JSON."""
        tensors = {name: tensor.detach().to("cpu", torch.float32).contiguous() for name, tensor in self.tensors.items()}
        save_file(tensors, path, {"mulligan": canonical_json({"model": self.model, "record": self.record})})

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read a weights file; ValueError when it is none of ours."""
        try:
            with safe_open(path, "pt") as file:
                metadata = file.metadata() or {}
            described = json.loads(metadata["mulligan"])
            return cls(
                {name: tensor.float() for name, tensor in load_file(path).items()}, described["model"], described["record"]
            )
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"{path}: not a weights file of ours ({error}). Make one with `mulligan import-checkpoint`, or take "
                "weights.safetensors from a store."
            ) from None
