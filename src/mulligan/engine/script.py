"""Runs somebody's own training script as a black box: in a folder of its own, its output kept and read as a log."""

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from mulligan.core.canonical import canonical_json
from mulligan.engine.challenge_log import read_log

TAIL_LINES = 15
COPIED_BYTES = 16 << 20
"""Greater files beside a script are seldom code; give them by an absolute path in a variable."""


def run_script(
    script: Path, launch: str, environment: Mapping[str, str], tell: Callable[[str], None]
) -> Callable[[Path], None]:
    """Run `launch script` to its end and return what writes its value (log.txt, summary.json); ValueError when it fails.

    It runs in a new folder with copies of the files beside the script (those up to 16 MiB) and links to the folders there,
    so that what it writes beside itself clashes with nobody's. `environment` is added to this process's own. `tell` gets
    each line as it comes.
    """
    with tempfile.TemporaryDirectory(prefix="mulligan-script-") as name:
        folder = Path(name)
        for neighbour in script.resolve().parent.iterdir():
            if neighbour.is_dir():
                (folder / neighbour.name).symlink_to(neighbour)
            elif neighbour.stat().st_size <= COPIED_BYTES:
                shutil.copy2(neighbour, folder / neighbour.name)
        command = [*shlex.split(launch), script.name]
        variables = [f"{name}={value}" for name, value in environment.items()]
        code, log = _run(["env", "PYTHONUNBUFFERED=1", *variables, *command], folder, tell)
    if code:
        tail = "\n".join(log.splitlines()[-TAIL_LINES:])
        raise ValueError(f"{shlex.join(command)} ended with code {code}. Its last lines:\n{tail}")

    def save(target: Path) -> None:
        (target / "log.txt").write_text(log, "utf-8")
        (target / "summary.json").write_text(canonical_json(read_log(log)), "utf-8")

    return save


def _run(command: list[str], folder: Path, tell: Callable[[str], None]) -> tuple[int, str]:
    lines: list[str] = []
    running = subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    assert running.stdout is not None
    with running:
        try:
            for line in running.stdout:
                lines.append(line)
                tell(line.strip())
            running.wait()
        finally:
            if running.poll() is None:  # we are being ended: so is the script, with all that it launched
                os.killpg(running.pid, signal.SIGKILL)
    return running.returncode, "".join(lines)
