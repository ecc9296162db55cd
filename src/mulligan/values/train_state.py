"""A training state: everything that the next step depends on, and the metrics of the steps before it.

Equal histories give equal bytes: nothing here says where a run was cut or how long it took, unless the budget itself is
in seconds (`elapsed_seconds`).
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from mulligan.core.canonical import Json, canonical_json

METRICS = {"loss_nats": np.float32, "lr_scale": np.float64, "momentum": np.float64, "grad_norm": np.float32}


@dataclass(frozen=True)
class TrainState:
    """The state after `step` steps. `weights` are float32; `optimizer` holds moments and counts by name.

    `data_start` is the token of the stream at which the data order of this seed begins, `data_cursor` the tokens taken.
    """

    step: int
    weights: dict[str, torch.Tensor]
    optimizer: dict[str, torch.Tensor]
    data_start: int
    data_cursor: int
    model: dict[str, Json]
    metrics: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    elapsed_seconds: float | None = None

    def save(self, folder: Path) -> None:
        """Write weights.safetensors, optimizer.safetensors, metrics.parquet and summary.json."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        save_file(_on_cpu(self.weights), folder / "weights.safetensors")
        save_file(_on_cpu(self.optimizer), folder / "optimizer.safetensors")
        table = {"step": np.arange(self.step, dtype=np.int64), **self.metrics}
        pq.write_table(pa.table(table), folder / "metrics.parquet", compression="zstd")
        (folder / "summary.json").write_text(canonical_json(self._summary()), "utf-8")

    def _summary(self) -> dict[str, Json]:
        losses = self.metrics.get("loss_nats")
        summary: dict[str, Json] = {
            "step": self.step,
            "data_start": self.data_start,
            "data_cursor": self.data_cursor,
            "model": self.model,
            "num_parameters": sum(tensor.numel() for tensor in self.weights.values()),
            "last_loss_nats": float(losses[-1]) if losses is not None and len(losses) else None,
        }
        if self.elapsed_seconds is not None:
            summary["elapsed_seconds"] = self.elapsed_seconds
        return summary

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        import pyarrow.parquet as pq

        summary = json.loads((folder / "summary.json").read_text("utf-8"))
        table = pq.read_table(folder / "metrics.parquet")
        return cls(
            step=summary["step"],
            weights=load_file(folder / "weights.safetensors"),
            optimizer=load_file(folder / "optimizer.safetensors"),
            data_start=summary["data_start"],
            data_cursor=summary["data_cursor"],
            model=summary["model"],
            metrics={name: table[name].to_numpy() for name in table.column_names if name != "step"},
            elapsed_seconds=summary.get("elapsed_seconds"),
        )


def _on_cpu(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
