"""Importing a script under a name that is not `__main__`, so that its main does not run."""

import importlib
import importlib.util
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from mulligan.review.smoke.cell import SCRATCH, SUBMISSION
from mulligan.review.smoke.standins import StandIns

NAME = "submission_script"
LONGEST = 300
CODE_SUFFIXES = (".py", ".pyx", ".c", ".cc", ".cpp", ".cu", ".cuh", ".h", ".so")


def import_script(file: str, text: str, stand_ins: StandIns, elsewhere: Iterable[str]) -> tuple[ModuleType, float]:
    """Import a script of the folder; return it and the seconds that took. What it raises comes through.

    `text`: its innermost layer, which is taken where this Python cannot read the file itself.
    `elsewhere`: modules that may be missing on this machine; a shell takes the place of one that is asked for in vain.
    """
    path = Path(SUBMISSION) / file
    for folder in dict.fromkeys((SUBMISSION, str(path.parent))):
        sys.path.insert(0, folder)
    for entry in Path(SUBMISSION).iterdir():
        os.symlink(entry, Path(SCRATCH) / entry.name)  # relative names work, and still cannot be written through
    sys.argv = [str(path)]
    start = 0.0

    def execute() -> ModuleType:
        nonlocal start
        start = time.perf_counter()
        try:
            return _executed(path, path)
        except SyntaxError:  # of a later grammar, within what is packed perhaps; the text is one that this Python reads
            unpacked = Path(SCRATCH) / "unpacked.py"
            unpacked.write_text(text)
            return _executed(unpacked, path)

    return with_stand_ins(execute, stand_ins, elsewhere), time.perf_counter() - start


def with_stand_ins(execute: Callable[[], ModuleType], stand_ins: StandIns, elsewhere: Iterable[str]) -> ModuleType:
    """Import until nothing is missing that may be: each such module is stood in for, once it was asked for in vain."""
    kept = set(sys.modules)
    while True:
        try:
            return execute()
        except ModuleNotFoundError as error:
            missing = (error.name or "").split(".")[0]
            if missing not in elsewhere or missing in stand_ins.absent:
                raise
            stand_ins.absent.add(missing)
            for name in [name for name, held in sys.modules.items() if name not in kept and is_of_folder(held)]:
                del sys.modules[name]


def _executed(path: Path, known_as: Path) -> ModuleType:
    """Execute a file as a module that takes itself for another one."""
    spec = importlib.util.spec_from_file_location(NAME, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    module.__file__ = str(known_as)
    sys.modules[NAME] = module
    spec.loader.exec_module(module)
    return module


def import_helper(file: str, stand_ins: StandIns, elsewhere: Iterable[str]) -> ModuleType | None:
    """Import a file beside the script, by the name that the script would use; None where it cannot be imported."""
    name = file.removesuffix(".py").replace("/", ".")
    try:
        return with_stand_ins(lambda: importlib.import_module(name), stand_ins, elsewhere)
    except Exception:
        return None


def is_of_folder(module: ModuleType) -> bool:
    """Say whether a module was read from the submission."""
    return str(getattr(module, "__file__", None) or "").startswith(SUBMISSION + "/")


class CodeRead:
    """An audit hook: keeps which code files of the submission were opened, imported or not."""

    def __init__(self) -> None:
        self.files: set[str] = set()

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Note one event of the interpreter."""
        if event == "open" and isinstance(arguments[0], str) and arguments[0].endswith(CODE_SUFFIXES):
            path = os.path.realpath(arguments[0])
            if path.startswith(SUBMISSION + "/") and os.path.isfile(path):
                self.files.add(path)

    def told(self) -> dict[str, Any]:
        """Return the files, relative to the submission, and their bytes in all."""
        files = sorted(self.files)
        names = [file.removeprefix(SUBMISSION + "/") for file in files]
        return {"files": names, "code_bytes": sum(os.path.getsize(file) for file in files)}


def where_now() -> dict[str, Any]:
    """Return the innermost place in the submission where the main thread is."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    places = [(at.f_code.co_filename, line) for at, line in traceback.walk_stack(frame)]
    file, line = next((place for place in places if place[0].startswith(SUBMISSION + "/")), ("", None))
    return {"file": file.removeprefix(SUBMISSION + "/"), "line": line}


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
