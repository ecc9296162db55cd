"""Arguments that several commands share, and what they mean for execution; none of them bears identity but `--set`."""

import os
import re
import shlex
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mulligan.core.execution import Execution, Progress, Ranks, no_progress

Set = Annotated[list[str], Parameter(name="--set", negative="", help="Change one value of the recipe: path=value. Repeatable.")]
StudySet = Annotated[
    list[str],
    Parameter(name="--set", negative="", help="Change the recipe of every arm, before its levels do: path=value. Repeatable."),
]
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


def lever_options() -> str:
    """Return the options that load what was loaded, to write behind the command that comes next."""
    from mulligan.lever_file import loaded_files

    return "".join(f" --lever {shlex.quote(os.path.relpath(file))}" for file in loaded_files())


def make_execution(
    device: str,
    threads: int | None,
    compile_network: bool,
    progress: Progress = no_progress,
    segment_seconds: float = Execution.segment_seconds,
    *,
    together: bool = False,
) -> Execution:
    """Return how to run; sets torch's thread count. ValueError when there is no such device. Imports torch.

    `together`: under torchrun, wait for the other processes and train with them; without it, torchrun is refused.
    """
    import torch

    from mulligan.train.parallel import join, launched

    if threads is not None and threads < 1:
        raise ValueError(f"--threads {threads}: give 1 or more.")
    if segment_seconds <= 0:
        raise ValueError(f"--segment-seconds {segment_seconds}: give more than 0.")
    if re.fullmatch(r"auto|cpu|cuda(:\d+)?", device) is None:
        raise ValueError(f"--device {device}: unknown. Allowed: auto, cpu, cuda, cuda:N.")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"--device {device}: this torch ({torch.__version__}) finds no CUDA device. Use --device cpu.")
    ranks = Ranks()
    if launched():
        if not together:
            raise ValueError("This command is one process. Start it without torchrun; only `mulligan run` trains over several.")
        if device.startswith("cuda:"):
            raise ValueError(f"--device {device}: under torchrun each process takes its own GPU. Give cuda or auto.")
        ranks = join(device)
    torch.set_num_threads(threads or max(1, _num_cores() // ranks.world_size))
    return Execution(device, compile_network, segment_seconds, progress, ranks)


def perhaps_launched() -> bool:
    """Say, without importing torch, whether torchrun may have started this process: its command begins with python -u."""
    return sys.orig_argv[1:2] == ["-u"]


def _num_cores() -> int:
    """Return the cores that this process may use (all of them where the system does not say)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
