"""More than one process: data-parallel training, and scoring in shares, under torchrun.

They talk over gloo between CPUs or NCCL between the GPUs of a machine.

Every rank holds the whole network and the whole optimizer state, draws the same batches, and trains on its share of their
rows. Gradients are averaged once a step, in one buffer, after the last backward pass; so clipping and updates are the same
on all ranks. By its bandwidth NVLink moves the 0.1 GB of 27 M parameters in about a millisecond, which is all that overlap
with the backward pass (DistributedDataParallel) could save, at the price of hooks that split compiled graphs and are made
anew when a network changes.
"""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist

from mulligan.core.error import LostRankError
from mulligan.core.execution import Ranks
from mulligan.train.config import TrainConfig
from mulligan.values.scores import Array

MESSAGE_BYTES = 128
PATIENCE = timedelta(days=30)
"""How long a rank waits for what rank 0 does alone; a rank that dies ends the wait at once."""


class Processes(Ranks):
    """The ranks of this launch: gradients go over the group of the training device, words over one of gloo on the CPU."""

    def __init__(self) -> None:
        self.rank, self.world_size = dist.get_rank(), dist.get_world_size()
        self._words = dist.new_group(backend="gloo", timeout=PATIENCE)
        self._joined = False

    def average(self, tensors: Sequence[torch.Tensor]) -> None:
        """Put the mean over the ranks into `tensors`, which live on the training device; all ranks get the same bits."""
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        with _together():
            dist.all_reduce(flat)
        flat /= self.world_size
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        torch._foreach_copy_(list(tensors), [part.view_as(tensor) for part, tensor in zip(parts, tensors, strict=True)])

    def largest(self, value: float) -> float:
        """Return the largest of the ranks' values."""
        agreed = torch.tensor(value, dtype=torch.float64)
        with _together():
            dist.all_reduce(agreed, dist.ReduceOp.MAX, self._words)
        return float(agreed)

    def from_first(self, message: str) -> str:
        """Return what rank 0 says, however long that takes; what the others would say is not heard."""
        said = torch.tensor(list(message.encode().ljust(MESSAGE_BYTES)), dtype=torch.uint8)
        assert len(said) == MESSAGE_BYTES
        with _together():
            dist.broadcast(said, 0, self._words)
        return bytes(said.tolist()).decode().rstrip()

    def meet(self) -> None:
        """Wait for all ranks, however long that takes."""
        self.largest(0.0)

    def sum(self, values: Array) -> Array:
        """Return the sum over the ranks of a NumPy array; all ranks get the same bits."""
        total = torch.from_numpy(values)
        with _together():
            dist.all_reduce(total, group=self._words)
        return total.numpy()

    @contextmanager
    def joined(self, key: str) -> Iterator[bool]:
        """On rank 0: tell the others, who wait for word, to run what `key` names; afterwards they wait again.

        Yields whether they do: a key that they do not know is run by rank 0 alone.
        """
        self.from_first(key)
        self._joined = self.largest(0.0) == 0.0
        yield self._joined
        self._joined = False

    def end(self) -> None:
        """Part: rank 0 says that nothing is left to do, and the others have heard it."""
        if self._joined:
            return  # it failed, and the others hear no words; torchrun ends them if they do not fail alike
        if self.rank == 0:
            self.from_first("")
        dist.destroy_process_group()


@contextmanager
def _together() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        dist.destroy_process_group()  # a broken one left open ends Python by an abort
        reason = str(error).split("] ")[-1].split(". ")[0]
        raise LostRankError(
            f"another process of this run has ended or cannot be reached ({reason}). What was published is kept: run the same "
            "command to go on."
        ) from error


def launched() -> bool:
    """Say whether torchrun started this process."""
    return dist.is_available() and dist.is_torchelastic_launched()


def join(device: str) -> Ranks:
    """Return the processes that torchrun started, once all are there; on GPUs each takes the one of its rank.

    `device`: cpu or cuda. ValueError where there are more processes than GPUs, or more machines than one.
    """
    local_rank = dist.get_node_local_rank()
    if device == "cuda":
        if local_rank >= torch.cuda.device_count():
            raise ValueError(
                f"torchrun started more processes than the {torch.cuda.device_count()} GPUs here. "
                f"Give --nproc_per_node={torch.cuda.device_count()}, or --device cpu."
            )
        torch.cuda.set_device(local_rank)
    dist.init_process_group("nccl" if device == "cuda" else "gloo")
    if dist.get_rank() != local_rank:
        raise ValueError("torchrun started processes on more than one machine; mulligan trains on one. Give --standalone.")
    return Processes()


def check_shares(config: TrainConfig, world_size: int) -> None:
    """ValueError when the rows of some step's parts cannot be shared evenly by `world_size` processes."""
    parts, sizes = config.accumulation_steps, config.batch_sizes.sizes
    uneven = next((size for size in sizes if size // (parts * config.seq_len) % world_size), None)
    if uneven is None:
        return
    rows = math.gcd(*(size // (parts * config.seq_len) for size in sizes))
    fitting = max(count for count in range(1, world_size + 1) if rows % count == 0)
    raise ValueError(
        f"A step of {uneven} tokens has {uneven // (parts * config.seq_len)} rows of {config.seq_len} in each of {parts} "
        f"accumulation_steps, and {world_size} processes cannot share them evenly. Give --nproc_per_node={fitting}, or a "
        f"recipe whose train.batch_tokens (every size of a ramp) is a multiple of {parts * config.seq_len * world_size}."
    )
