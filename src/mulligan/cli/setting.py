"""Arguments that several commands share, and what they mean for execution; none of them bears identity but `--set`."""

import os
import re
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mulligan.core.execution import Execution, Progress, no_progress

Set = Annotated[list[str], Parameter(name="--set", negative="", help="Change one value of the recipe: path=value. Repeatable.")]
Data = Annotated[Path | None, Parameter(help="A prepared corpus (made by `mulligan data prepare`).")]
StoreFolder = Annotated[Path, Parameter(name="--store", help="The folder of the store.")]
Device = Annotated[str, Parameter(help="auto, cpu, cuda or cuda:N. auto: cuda where torch finds one.")]
Threads = Annotated[
    int | None, Parameter(help="CPU threads; they change the last bits, so they are recorded. Default: all cores.")
]
Compile = Annotated[
    bool, Parameter(negative="", help="Compile the network with torch.compile (pays on a GPU or in long runs).")
]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print one JSON object on standard output.")]
Seed = Annotated[int, Parameter(help="The seed of initialisation and data order.")]

DEFAULT_STORE = Path(".mulligan")


def make_execution(
    device: str,
    threads: int | None,
    compile_network: bool,
    progress: Progress = no_progress,
    segment_seconds: float = Execution.segment_seconds,
) -> Execution:
    """Return how to run; sets torch's thread count. ValueError when there is no such device. Imports torch."""
    import torch

    if threads is not None and threads < 1:
        raise ValueError(f"--threads {threads}: give 1 or more.")
    if segment_seconds <= 0:
        raise ValueError(f"--segment-seconds {segment_seconds}: give more than 0.")
    if re.fullmatch(r"auto|cpu|cuda(:\d+)?", device) is None:
        raise ValueError(f"--device {device}: unknown. Allowed: auto, cpu, cuda, cuda:N.")
    torch.set_num_threads(threads or _num_cores())
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"--device {device}: this torch ({torch.__version__}) finds no CUDA device. Use --device cpu.")
    return Execution(device, compile_network, segment_seconds, progress)


def _num_cores() -> int:
    """Return the cores that this process may use (all of them where the system does not say)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
