"""LAWA: the mean of the latest k snapshots of one training run.

What it does     Keeps the last `num_snapshots` snapshots, one every `every_steps` steps, and averages them at the end.
Why it may help  The window follows training, so it needs no idea of when the warmdown begins.
Touches          average: which snapshots, which coefficients.
Cost             No train steps, no artifact bytes; `num_snapshots` fp32 copies of the weights.
Source           Kaddour 2022, arXiv:2209.14981; parameter-golf PR 130, 549.
"""

from collections import deque
from collections.abc import Mapping

import torch

from mulligan.average.config import Lawa
from mulligan.numerics.trigger import Moment
from mulligan.values.observer import Observation, on_device_of


class LawaObserver:
    """A queue of float32 snapshots; the observation carries them all, so that a cut loses none."""

    def __init__(self, config: Lawa) -> None:
        self.config = config
        self.queue: deque[tuple[int, dict[str, torch.Tensor]]] = deque(maxlen=config.num_snapshots)

    def begin(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Record nothing: the initial weights are no snapshot."""

    def observe(self, moment: Moment, weights: Mapping[str, torch.Tensor]) -> None:
        """Take a snapshot when the step count is a multiple of `every_steps`."""
        if moment.step % self.config.every_steps == 0:
            kept = [(step, on_device_of(weights, snapshot)) for step, snapshot in self.queue]
            snapshot = {name: weight.detach().float().clone() for name, weight in weights.items()}
            self.queue = deque([*kept, (moment.step, snapshot)], self.config.num_snapshots)

    def observation(self) -> Observation:
        """Return the snapshots in the queue as `step/name`, oldest first."""
        tensors = {f"{step}/{name}": tensor for step, snapshot in self.queue for name, tensor in snapshot.items()}
        steps = [step for step, _ in self.queue]
        return Observation(
            tensors,
            {
                "kind": self.config.kind,
                "num_snapshots": len(steps),
                "first_step": steps[0] if steps else None,
                "last_step": steps[-1] if steps else None,
                "every_steps": self.config.every_steps,
            },
        )

    def resume(self, observation: Observation) -> None:
        """Go on from a queue recorded before a cut."""
        self.queue.clear()
        for step, snapshot in sorted(snapshots(observation).items()):
            self.queue.append((step, snapshot))


def snapshots(observation: Observation) -> dict[int, dict[str, torch.Tensor]]:
    """Return the recorded snapshots by step."""
    found: dict[int, dict[str, torch.Tensor]] = {}
    for key, tensor in observation.tensors.items():
        step, name = key.split("/", 1)
        found.setdefault(int(step), {})[name] = tensor
    return found


def mean_of_snapshots(observation: Observation) -> dict[str, torch.Tensor]:
    """Return the uniform float32 mean of the recorded snapshots, as a running mean (no large sums)."""
    mean: dict[str, torch.Tensor] = {}
    for count, (_, snapshot) in enumerate(sorted(snapshots(observation).items()), start=1):
        for name, tensor in snapshot.items():
            mean[name] = tensor.clone() if count == 1 else torch.lerp(mean[name], tensor, 1.0 / count)
    return mean
