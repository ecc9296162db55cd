"""Legacy bf16 SWA: the mean from a sum kept in bfloat16, wrong on purpose.

What it does     Adds every snapshot to a bfloat16 sum and divides at the end. Once the sum is 256 times a weight, adding
                 the weight changes nothing.
Why it may help  It does not. It reproduces a published result (2.62 bits per byte), so that the mistake can be seen.
Touches          average: the coefficients, by losing updates; the record says how far the result is off the true mean.
Cost             Two copies of the weights while it rides along.
Source           parameter-golf PR 199 (the failed run), also PR 180, 374, 455, 989 for tables kept in bfloat16.
"""

from collections.abc import Mapping

import torch

from mulligan.average.config import LegacyBf16Swa, Swa
from mulligan.average.swa import SwaObserver
from mulligan.core.canonical import Json
from mulligan.numerics.trigger import Moment
from mulligan.values.observer import Observation, on_device_of

WRONG = "summed in bfloat16: updates are lost"


class LegacyBf16SwaObserver:
    """The bfloat16 sum, and beside it the true mean that it is compared with."""

    def __init__(self, config: LegacyBf16Swa) -> None:
        self.true = SwaObserver(Swa(kind="swa", start=config.start, every_steps=config.every_steps))
        self.kind = config.kind
        self.sum: dict[str, torch.Tensor] = {}

    def begin(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Record nothing: the initial weights are no snapshot."""

    def observe(self, moment: Moment, weights: Mapping[str, torch.Tensor]) -> None:
        """Add to both where SWA takes a snapshot."""
        before = self.true.record["num_snapshots"]
        self.true.observe(moment, weights)
        if self.true.record["num_snapshots"] == before:
            return
        snapshot = {name: weight.detach().bfloat16() for name, weight in weights.items()}
        kept = on_device_of(weights, self.sum) if self.sum else {}
        self.sum = {name: kept[name] + weight if kept else weight for name, weight in snapshot.items()}

    def observation(self) -> Observation:
        """Return `sum/name` (bfloat16 values held in float32) and `mean/name`."""
        mean = self.true.observation()
        tensors = {f"sum/{name}": tensor.float() for name, tensor in self.sum.items()}
        tensors |= {f"mean/{name}": tensor for name, tensor in mean.tensors.items()}
        return Observation(tensors, {**mean.record, "kind": self.kind})

    def resume(self, observation: Observation) -> None:
        """Go on from a sum and a mean recorded before a cut."""
        self.true.resume(Observation(part(observation, "mean/"), {**observation.record, "kind": "swa"}))
        self.sum = {name: tensor.bfloat16() for name, tensor in part(observation, "sum/").items()}


def part(observation: Observation, prefix: str) -> dict[str, torch.Tensor]:
    """Return the tensors whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in observation.tensors.items() if name.startswith(prefix)}


def wrong_mean(observation: Observation) -> tuple[dict[str, torch.Tensor], dict[str, Json]]:
    """Return the sum divided by the number of snapshots, float32, and a record that says how wrong it is."""
    count = int(str(observation.record["num_snapshots"]))
    mean = {name: (total.bfloat16() / count).float() for name, total in part(observation, "sum/").items()}
    true = part(observation, "mean/")
    noise = sum(float((mean[name] - true[name]).double().square().sum()) for name in sorted(mean))
    power = sum(float(true[name].double().square().sum()) for name in sorted(mean))
    return mean, {"wrong": WRONG, "relative_rms_error": float(f"{(noise / power) ** 0.5:.3g}") if power else 0.0}
