"""Files of a folder that somebody else filled: no link leads out of it, only plain files are opened, sizes are bounded."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from mulligan.script.source import Problem, UnreadError

MOST_ENTRIES = 20_000
"""Names below one folder that are looked at."""


def label(path: Path, folder: Path) -> str:
    """Return the path as messages show it: relative to the folder, bytes that are no text written as escapes."""
    return path.relative_to(folder).as_posix().encode("utf-8", "backslashreplace").decode("utf-8")


def plain_files(folder: Path) -> tuple[tuple[Path, ...], tuple[Problem, ...]]:
    """Return every plain file below a folder, by path, and what is none: links that leave it, pipes, devices."""
    files: list[Path] = []
    problems: list[Problem] = []
    for count, path in enumerate(_entries(folder, problems)):
        if count == MOST_ENTRIES:
            problems.append(Problem(".", None, f"more than {MOST_ENTRIES:,} files; the rest was not looked at"))
            break
        try:
            real = real_file(path, folder)
        except (UnreadError, OSError) as error:
            problems.append(Problem(label(path, folder), None, _reason(error)))
            continue
        if real is not None:
            files.append(path)
    return tuple(sorted(files)), tuple(sorted(problems))


def real_file(path: Path, folder: Path) -> Path | None:
    """Return where a path of the folder leads, None for a folder; UnreadError out of `folder` or to no plain file."""
    real, root = Path(os.path.realpath(path)), Path(os.path.realpath(folder))
    if not real.is_relative_to(root):
        raise UnreadError("a link out of the folder; it was not followed")
    mode = os.lstat(real).st_mode
    if stat.S_ISDIR(mode):
        return None
    if not stat.S_ISREG(mode):
        raise UnreadError("no plain file (a pipe, a device, or a link to nothing); it was not opened")
    return real


def read_bytes(path: Path, folder: Path, most: int) -> bytes:
    """Return a plain file's bytes, at most `most`; UnreadError where there is nothing that may be read."""
    try:
        real = real_file(path, folder)
        if real is None:
            raise UnreadError("a folder, not a file")
        # A file may become a pipe between the look and the opening: opening one then does not wait for a writer.
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
        with open(os.open(real, flags), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise UnreadError("no plain file; it was not read")
            data = file.read(most + 1)
    except OSError as error:
        raise UnreadError(_reason(error)) from error
    if len(data) > most:
        raise UnreadError(f"more than {most:,} bytes; it was not read")
    return data


def _entries(folder: Path, problems: list[Problem]) -> Iterator[Path]:
    """Yield what lies below a folder, folders that are links unopened, caches of Python left out."""
    todo = [folder]
    while todo:
        here = todo.pop()
        try:
            with os.scandir(here) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        if entry.name != "__pycache__":
                            todo.append(Path(entry.path))
                    else:
                        yield Path(entry.path)
        except OSError as error:
            problems.append(Problem(label(here, folder), None, _reason(error)))


def _reason(error: Exception) -> str:
    return f"cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)
