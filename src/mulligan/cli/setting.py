"""Arguments that several commands share, and what they mean for execution; none of them bears identity but `--set`."""

import os
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

    torch.set_num_threads(threads or len(os.sched_getaffinity(0)))
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"--device {device}: this torch ({torch.__version__}) finds no CUDA device. Use --device cpu.")
    try:
        return Execution(str(torch.device(device)), compile_network, segment_seconds, progress)
    except RuntimeError:
        raise ValueError(f"--device {device}: unknown. Allowed: auto, cpu, cuda, cuda:N.") from None
