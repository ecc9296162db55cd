"""A process of its own that takes a reading without network or other files, and notes whatever it opens.

Run as a script: plain data on standard input, one JSON object on standard output.
"""

import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SYSTEM = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/proc", "/sys", "/dev")
FORBIDDEN_EVENTS = (
    "socket.",
    "subprocess.",
    "os.exec",
    "os.fork",
    "os.posix_spawn",
    "os.spawn",
    "os.system",
    "urllib.",
    "http.",
)


def main() -> None:
    """Read the case, give up what it does not need, score, and print what was seen."""
    given = json.loads(sys.stdin.read())
    sys.path[:] = given["path"]
    if "rank" in given:
        print(json.dumps(score_as_rank(given)))
        return
    from mulligan.audit.confine import keep_files, leave_network

    scratch = tempfile.tempdir = given["scratch"]  # torch makes the folder of its cache when it is imported
    readable = [*map(Path, given["readable"]), *map(Path, SYSTEM)]
    found: dict[str, Any] = {"network": leave_network(), "files": keep_files(readable, Path(scratch), Path(given["forbidden"]))}
    from mulligan.audit.case import Case

    seen = Opened([os.path.realpath(path) for path in readable], os.path.realpath(scratch))
    sys.addaudithook(seen)
    try:
        found |= {**score(Case.from_json(given["case"])), "error": None}  # levers of the user's own run as they are loaded
    except (OSError, ValueError) as error:
        found |= {"digest": "", "error": f"{type(error).__name__}: {error}"}
    seen.watching = False
    print(json.dumps({**found, "opened": seen.num_opened, "outside": seen.outside}))


def score(case: Any, ranks: Any = None) -> dict[str, Any]:
    """Score the passage of a case in this process; return the digest and the sum of its scores."""
    import torch

    from mulligan.audit.judge import examinee_of
    from mulligan.core.execution import Execution, Ranks

    torch.set_num_threads(case.num_threads)
    examinee = examinee_of(case, "child", Execution(case.device, ranks=ranks or Ranks()))
    observed = examinee.score()
    return {"digest": observed.digest, "sum": float(observed.nats.sum(dtype="float64"))}


def score_as_rank(given: dict[str, Any]) -> dict[str, Any]:
    """Score as one of several processes, which meet at a file."""
    import torch.distributed as dist

    from mulligan.audit.case import Case
    from mulligan.evaluate import scorer
    from mulligan.train.parallel import Processes

    dist.init_process_group("gloo", init_method=given["meet"], rank=given["rank"], world_size=given["world_size"])
    ranks = Processes()
    case = Case.from_json(given["case"])
    scorer.BATCH_TOKENS = 2 * case.lengths[0]  # a passage may be a single batch, and then there is nothing to share
    found = score(case, ranks)
    ranks.meet()
    dist.destroy_process_group()
    return found


class Opened:
    """An audit hook: counts what is opened, and keeps what lies outside `allowed`, is written, or is no file at all.

    What lies below `scratch`, which is empty at first, may be written.
    """

    def __init__(self, allowed: Sequence[str], scratch: str) -> None:
        self.allowed, self.writable = (*allowed, scratch), (scratch, "/dev")
        self.num_opened = 0
        self.outside: list[str] = []
        self.watching = True

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Note one event of the interpreter."""
        if not self.watching:
            return
        if event == "open":
            self.num_opened += 1
            path, mode, flags = arguments
            if isinstance(path, int):
                return
            real = os.path.realpath(os.fsdecode(path))
            writes = bool((flags or 0) & (os.O_WRONLY | os.O_RDWR)) or bool(set(mode or "") & set("wax+"))
            if not below(real, self.writable if writes else self.allowed):
                self.outside.append(f"{'write' if writes else 'open'} {real}")
        elif event.startswith(FORBIDDEN_EVENTS):
            self.outside.append(event)


def below(real: str, roots: Sequence[str]) -> bool:
    """Say whether a path is one of `roots`, or below one."""
    return any(real == root or real.startswith(root.rstrip("/") + "/") for root in roots)


if __name__ == "__main__":
    main()
