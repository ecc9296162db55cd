"""Starting the process of the smoke test, from outside."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import mulligan
from mulligan.audit.child import below
from mulligan.audit.isolation import library_folders
from mulligan.review.smoke.cell import SCRATCH

CHILD = Path(__file__).with_name("child.py")
SYSTEM = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache")
SECONDS = 240.0
MEMORY = 4 << 30
"""Bytes of address space: torch itself takes half a GiB, a network of the challenge about one."""
GRACE = 30.0
ENVIRONMENT = {"HOME": SCRATCH, "TMPDIR": SCRATCH, "PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "OMP_NUM_THREADS": "1"}
"""All that foreign code sees of the environment."""


def run_child(folder: Path, work: dict[str, Any], seconds: float = SECONDS, memory: int = MEMORY) -> dict[str, Any]:
    """Do `work` on a folder in a cell; return {"lines": what was told, "end": why it ended before it was done, or ""}."""
    libraries = libraries_alone()
    with tempfile.TemporaryDirectory() as empty:
        bounds = {"seconds": seconds, "memory": memory, "empty": empty, "folder": str(folder.resolve())}
        paths = {"path": libraries, "libraries": [*libraries, *SYSTEM, sys.prefix, sys.base_prefix]}
        pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        process = subprocess.Popen([sys.executable, "-I", "-B", CHILD], env=ENVIRONMENT, start_new_session=True, **pipes)
        with process:
            assert process.stdin is not None
            try:
                process.stdin.write(json.dumps({**work, **bounds, **paths}).encode() + b"\n")
                process.stdin.flush()  # and stays open: the process ends when whoever holds the other end is gone
                said, errors = _answer(process, seconds + GRACE)
            except (BrokenPipeError, subprocess.TimeoutExpired) as error:
                process.kill()
                return {"lines": [], "end": f"the process of the smoke test did not answer ({type(error).__name__})"}
    if process.returncode != 0:
        last = errors.decode(errors="replace").strip().splitlines()[-1:] or ["it said nothing"]
        return {"lines": [], "end": f"the process of the smoke test ended with code {process.returncode}: {last[0]}"}
    answer: dict[str, Any] = json.loads(said)
    return answer


def _answer(process: "subprocess.Popen[bytes]", seconds: float) -> tuple[bytes, bytes]:
    """Read what a process says until it ends, without closing what it reads."""
    held, process.stdin = process.stdin, None
    try:
        return process.communicate(timeout=seconds)
    finally:
        if held is not None:
            held.close()


def libraries_alone() -> list[str]:
    """Return where this program, Python and its packages lie: no folder that happens to be searched for modules too."""
    source = str(Path(mulligan.__file__).resolve().parents[1])
    roots = (sys.prefix, sys.base_prefix)
    kept = [path for path in library_folders() if below(path, roots) or path.endswith(("site-packages", "dist-packages"))]
    return [source, *(path for path in kept if path not in (source, *roots))]
