"""Runs somebody's own training script as a black box: in a folder of its own, its output kept and read as a log."""

import shlex
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from mulligan.core.canonical import canonical_json
from mulligan.engine.challenge_log import read_log

TAIL_LINES = 15


def run_script(
    script: Path, launch: str, environment: Mapping[str, str], tell: Callable[[str], None]
) -> Callable[[Path], None]:
    """Run `launch script` to its end and return what writes its value (log.txt, summary.json); ValueError when it fails.

    It runs in a new folder that shows the script's neighbours as links, so that what it writes clashes with nobody's.
    `environment` is added to this process's own. `tell` gets each line as it comes.
    """
    with tempfile.TemporaryDirectory(prefix="mulligan-script-") as name:
        folder = Path(name)
        for neighbour in script.resolve().parent.iterdir():
            (folder / neighbour.name).symlink_to(neighbour)
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
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=folder, stdout=pipe, stderr=subprocess.STDOUT, text=True, errors="replace") as running:
        assert running.stdout is not None
        try:
            for line in running.stdout:
                lines.append(line)
                tell(line.strip())
        except BaseException:
            running.kill()
            raise
    return running.returncode, "".join(lines)
