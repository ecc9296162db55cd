"""The process of the smoke test. Run as a script: plain data in one line on standard input, one JSON object in the end.

It splits in two. The first watches: it has the clock, and kills the second when time is up or whoever asked is gone. The second
gives up network, files, processes and memory, and only then imports what it was sent to look at. What it finds it tells line by
line, so that what it knew before it was killed is kept.
"""

import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MOST_TOLD = 1 << 20
"""Bytes that the second process may tell."""
RARELY = 0.5


def main() -> None:
    """Split, watch, and print {"lines": what was told, "end": how it ended}."""
    given = json.loads(sys.stdin.buffer.readline())
    sys.path[:] = given["path"]
    from mulligan.audit.confine import leave_network
    from mulligan.review.smoke.cell import leave_processes

    Path("/proc/self/oom_score_adj").write_text("1000")  # memory that runs out is taken back here first
    user, group = os.geteuid(), os.getegid()
    refused = leave_network() or leave_processes(user, group)
    if refused:
        print(json.dumps({"lines": [{"step": "confined", "refused": refused}], "end": "nothing was run"}))
        return
    reading, writing = os.pipe()
    inner = os.fork()
    if inner == 0:
        os.close(reading)
        be_looked_at(given, writing)
        os._exit(0)
    os.close(writing)
    end, told = watch(inner, reading, given["seconds"])
    print(json.dumps({"lines": list(parsed_lines(told)), "end": end}))


def watch(inner: int, reading: int, seconds: float) -> tuple[str, bytes]:
    """Read what a process tells until it ends or must; return how it ended, and that."""
    until, told, end = time.monotonic() + seconds, b"", ""
    while not end:
        ready, _, _ = select.select([reading, 0], [], [], min(RARELY, max(0.0, until - time.monotonic())))
        if reading in ready:
            piece = os.read(reading, 1 << 16)
            told += piece
            end = "" if piece else "closed"
        if time.monotonic() >= until:
            end = f"it was killed after {seconds:g} s"
        elif len(told) > MOST_TOLD:
            end = f"it was killed, as it told more than {MOST_TOLD:,} bytes"
        elif 0 in ready:
            end = "it was killed, as nobody waits for it"
    if end == "closed" and not ended(inner, until):
        end = f"it was killed after {seconds:g} s"
    os.kill(inner, signal.SIGKILL)  # the first of its namespace: all others in it die with it
    _, status = os.waitpid(inner, 0)
    if end == "closed":
        code = os.waitstatus_to_exitcode(status)
        end = "" if code == 0 else f"it ended with {signal.Signals(-code).name}" if code < 0 else f"it ended with code {code}"
    return end, told[:MOST_TOLD]


def ended(inner: int, until: float) -> bool:
    """Wait for a process to end, and leave it to be collected; False where it does not in time."""
    while not os.waitid(os.P_PID, inner, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        if time.monotonic() >= until:
            return False
        time.sleep(0.01)
    return True


def parsed_lines(told: bytes) -> "list[dict[str, Any]]":
    """Return the lines that are objects with a step; one that was cut, or written by somebody else, is none."""
    found = []
    for line in told.splitlines():
        try:
            data = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(data, dict) and isinstance(data.get("step"), str):
            found.append(data)
    return found


def be_looked_at(given: dict[str, Any], writing: int) -> None:
    """Give up everything, then take the steps; tell what each finds."""

    def tell(step: str, **found: Any) -> None:
        os.write(writing, json.dumps({"step": step, **found}).encode() + b"\n")

    refused = confine(given)
    tell("confined", refused=refused)
    if refused:
        return
    from mulligan.review.smoke.steps import take_steps

    take_steps(given, tell)


def confine(given: dict[str, Any]) -> str:
    """Leave files, processes, rights and calls behind, and bound what remains; return why it could not."""
    from mulligan.audit.confine import keep_files
    from mulligan.review.smoke import calls, cell

    os.setsid()  # the process that watches is in another group, which no signal from here reaches
    nothing = os.open("/dev/null", os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    readable = [Path(path) for path in (*given["libraries"], cell.SUBMISSION, "/proc")]
    cell.bound_resources(given["memory"], int(given["seconds"]) + 1)
    giving_up: tuple[Callable[[], str], ...] = (
        lambda: cell.leave_files(Path(given["empty"]), given["libraries"], given["folder"]),
        cell.drop_rights,
        lambda: keep_files(readable, Path(cell.SCRATCH), Path(cell.WITHHELD)),
        calls.refuse_calls,
    )
    return next((refused for give_up in giving_up if (refused := give_up())), "")


if __name__ == "__main__":
    main()
