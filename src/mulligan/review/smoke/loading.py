"""Importing a script under a name that is not `__main__`, so that its main does not run."""

import importlib.util
import os
import sys
import time
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from mulligan.review.smoke.cell import SCRATCH, SUBMISSION
from mulligan.review.smoke.standins import StandIns

NAME = "submission_script"
LONGEST = 300


def import_script(file: str, stand_ins: StandIns, elsewhere: Iterable[str]) -> tuple[ModuleType, float]:
    """Import a script of the folder; return it and the seconds that took. What it raises comes through.

    `elsewhere`: modules that may be missing on this machine; a shell takes the place of one that is asked for in vain.
    """
    path = Path(SUBMISSION) / file
    for folder in dict.fromkeys((SUBMISSION, str(path.parent))):
        sys.path.insert(0, folder)
    for entry in Path(SUBMISSION).iterdir():
        os.symlink(entry, Path(SCRATCH) / entry.name)  # relative names work, and still cannot be written through
    sys.argv = [str(path)]
    kept = set(sys.modules)
    while True:
        spec = importlib.util.spec_from_file_location(NAME, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[NAME] = module
        start = time.perf_counter()
        try:
            spec.loader.exec_module(module)
            return module, time.perf_counter() - start
        except ModuleNotFoundError as error:
            missing = (error.name or "").split(".")[0]
            if missing not in elsewhere or missing in stand_ins.absent:
                raise
            stand_ins.absent.add(missing)
            for name in [name for name, held in sys.modules.items() if name not in kept and is_of_folder(held)]:
                del sys.modules[name]


def is_of_folder(module: ModuleType) -> bool:
    """Say whether a module was read from the submission."""
    return str(getattr(module, "__file__", None) or "").startswith(SUBMISSION + "/")


def own_files() -> list[str]:
    """Return the files of the submission that were imported, relative to it."""
    files = {str(module.__file__) for module in list(sys.modules.values()) if is_of_folder(module)}
    return sorted(file.removeprefix(SUBMISSION + "/") for file in files)


def told_error(error: BaseException) -> dict[str, Any]:
    """Return an error as plain data; `file` and `line`: the innermost place in the submission through which it came."""
    places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        places.append((error.filename, error.lineno))
    own = [(file, line) for file, line in places if file.startswith(SUBMISSION + "/")]
    file, line = own[-1] if own else ("", None)
    found: dict[str, Any] = {"type": type(error).__name__, "message": str(error)[:LONGEST], "line": line}
    found["file"] = file.removeprefix(SUBMISSION + "/")
    found["missing"] = getattr(error, "name", None) if isinstance(error, ImportError) else None
    return found
