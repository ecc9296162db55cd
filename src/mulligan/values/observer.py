"""What rides along with a training without altering it: the protocol between flow, train and average.

Train calls an observer after every step and never asks what it is; the average stage says what its observers record.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import torch
from safetensors.torch import load_file, save_file

from mulligan.core.canonical import Json, canonical_json
from mulligan.numerics.trigger import Moment


@dataclass(frozen=True)
class Observation:
    """What an observer has recorded up to a step: float32 tensors by name, and what was recorded in words."""

    tensors: dict[str, torch.Tensor]
    record: dict[str, Json]

    def save(self, folder: Path) -> None:
        """Write observation.safetensors and summary.json."""
        save_file(self.tensors, folder / "observation.safetensors")
        (folder / "summary.json").write_text(canonical_json(self.record), "utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        record = json.loads((folder / "summary.json").read_text("utf-8"))
        return cls(load_file(folder / "observation.safetensors"), record)


def on_device_of(weights: Mapping[str, torch.Tensor], kept: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return what was kept in the order of `weights` and on their device: a file holds it sorted, and on the CPU."""
    assert kept.keys() == weights.keys()
    return {name: kept[name].to(weight.device) for name, weight in weights.items()}


class Observer(Protocol):
    """Sees the weights after every step; keeps copies of its own and never writes to them."""

    def begin(self, weights: Mapping[str, torch.Tensor]) -> None:
        """See the initial weights, before step 0. Called once per training, not after a cut."""

    def observe(self, moment: Moment, weights: Mapping[str, torch.Tensor]) -> None:
        """See the weights once the step of `moment` is done."""

    def observation(self) -> Observation:
        """Return what was recorded so far; it can be carried across a cut."""

    def resume(self, observation: Observation) -> None:
        """Go on from what was recorded before a cut."""
