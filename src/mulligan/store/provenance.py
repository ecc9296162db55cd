"""Where and when a value was made: recorded beside it, never part of its key or of its digest."""

import functools
import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from mulligan.core.canonical import Json


@functools.cache
def _commit() -> str:
    """Return the git commit of the source tree (`+dirty` when it differs), or the installed version."""
    try:
        _git("ls-files", "--error-unmatch", Path(__file__).name)  # installed below another project's tree, we are not in it
        return _git("describe", "--always", "--dirty=+dirty", "--abbrev=12", "--match=")
    except (OSError, subprocess.SubprocessError):
        return f"version {metadata.version('mulligan')}"


def _git(*arguments: str) -> str:
    folder = Path(__file__).resolve().parent
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=True)
    return done.stdout.strip()


def environment() -> dict[str, Json]:
    """Return what can change bits: versions, threads, platform. Asks torch only if something already imported it."""
    torch = sys.modules.get("torch")
    return {
        "commit": _commit(),
        "python": platform.python_version(),
        "torch": str(torch.__version__) if torch else None,
        "num_threads": int(torch.get_num_threads()) if torch else None,
        "machine": platform.machine(),
        "system": platform.system(),
        "num_cpus": os.cpu_count(),
    }


def now() -> str:
    """Return the time as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")
