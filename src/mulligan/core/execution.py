"""How a stage is run, as against what it computes: device, threads, processes, progress. No key ever sees this."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

Progress = Callable[[str, int, int, str], None]
"""progress(what, done, total, note): called now and then by whatever takes long."""


def no_progress(what: str, done: int, total: int, note: str) -> None:
    """Show nothing."""


class Ranks:
    """The processes that train and score together, as one of them sees them; this one is alone and asks nobody.

    Every rank must make the same calls in the same order. `train/parallel.py` has those of more than one process.
    """

    rank: int = 0
    world_size: int = 1

    def average(self, tensors: Sequence[Any]) -> None:
        """Put the mean over the ranks into `tensors`, which live on the training device; all ranks get the same bits."""

    def largest(self, value: float) -> float:
        """Return the largest of the ranks' values."""
        return value

    def sum(self, values: Any) -> Any:
        """Return the sum over the ranks of a NumPy array; all ranks get the same bits."""
        return values

    def from_first(self, message: str) -> str:
        """Return what rank 0 says, however long that takes; what the others would say is not heard."""
        return message

    def meet(self) -> None:
        """Wait for all ranks, however long that takes."""

    @contextmanager
    def joined(self, key: str) -> Iterator[bool]:  # noqa: ARG002
        """On rank 0: tell the others, who wait for word, to run what `key` names; afterwards they wait again.

        Yields whether they do: a key that they do not know is run by rank 0 alone.
        """
        yield True

    def end(self) -> None:
        """Part: rank 0 says that nothing is left to do, and the others have heard it."""


@dataclass(frozen=True)
class Execution:
    """`device` is a torch device; `segment_seconds` is the longest stretch of training that a kill can lose."""

    device: str = "cpu"
    compile: bool = False
    segment_seconds: float = 30.0
    progress: Progress = no_progress
    ranks: Ranks = field(default_factory=Ranks)
