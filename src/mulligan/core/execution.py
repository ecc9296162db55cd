"""How a stage is run, as against what it computes: device, threads, compilation, progress. No key ever sees this."""

from collections.abc import Callable
from dataclasses import dataclass

Progress = Callable[[str, int, int, str], None]
"""progress(what, done, total, note): called now and then by whatever takes long."""


def no_progress(what: str, done: int, total: int, note: str) -> None:
    """Show nothing."""


@dataclass(frozen=True)
class Execution:
    """`device` is a torch device; `segment_seconds` is the longest stretch of training that a kill can lose."""

    device: str = "cpu"
    compile: bool = False
    segment_seconds: float = 30.0
    progress: Progress = no_progress
