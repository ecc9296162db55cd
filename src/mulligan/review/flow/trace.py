"""What comes out of following a script: faults of the scores that it reports, and what happened in which order."""

import ast
import re
import sys
from collections.abc import Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from mulligan.review.flow.expression import evaluate
from mulligan.review.flow.library import call
from mulligan.review.flow.machine import Event, ExhaustedError, Machine
from mulligan.review.flow.statement import STATEMENTS
from mulligan.review.flow.value import Fault, Place
from mulligan.script.disk import read_bytes
from mulligan.script.source import Source, UnreadError

if TYPE_CHECKING:
    from collections.abc import Iterator

ENTRY = "the entry"
DEEP = 20_000
"""Python frames: an expression is followed by some ten of them, a call of the script by twenty."""
GIVEN = re.compile(r"(?<![\w.\-])([A-Z][A-Z0-9_]{2,})=(?:\"([^\"\n]*)\"|'([^'\n]*)'|([^\s\"'`\\;,)|]+))")
DEFAULT = re.compile(r"^\$\{\w+:-([^}]*)\}$")
MOST_BYTES = 1 << 20
UNPACKED = " (unpacked)"


@dataclass(frozen=True)
class Trace:
    """`faults`: of reported scores. `stopped`: why the script was not followed to its end, empty if it was."""

    faults: tuple[Fault, ...]
    events: tuple[Event, ...]
    stopped: str

    @property
    def reports(self) -> bool:
        """Whether a score on validation tokens was seen to be reported."""
        return any(event.what == "report" and any(data.split == "val" for data in event.data) for event in self.events)


def trace(entry: str, sources: Sequence[Source], settings: dict[str, str | None]) -> Trace:
    """Follow a script from its first line; nothing of it is executed."""
    machine = Machine(_modules(entry, sources), settings, STATEMENTS, evaluate, call)
    stopped = ""
    with _deep():
        try:
            machine.run(ENTRY)
        except ExhaustedError as error:
            stopped = str(error)
        except RecursionError:
            stopped = "it is nested too deeply"
    return Trace(tuple(machine.faults), tuple(machine.events), stopped)


def _modules(entry: str, sources: Sequence[Source]) -> dict[str, list[tuple[str, ast.Module]]]:
    found: dict[str, list[tuple[str, ast.Module]]] = {ENTRY: []}
    for source in sources:
        path = PurePosixPath(source.file)
        parts = [*path.parent.parts, *([] if path.stem == "__init__" else [path.stem])]
        one = (source.file + (UNPACKED if source.layer else ""), source.tree)
        names = [ENTRY] if source.file == entry else dict.fromkeys([".".join(parts), parts[-1] if parts else path.stem])
        for name in names:
            found.setdefault(name, []).append(one)
    return found


def place_of(place: Place) -> tuple[str, int]:
    """Return file and line of a place."""
    return place[0].removesuffix(UNPACKED), place[1]


def settings_of(folder: Path) -> dict[str, str | None]:
    """Return the environment variables that README and shell scripts set; None for one that is set in several ways."""
    found: dict[str, set[str]] = {}
    for text in _texts(folder):
        for name, *values in GIVEN.findall(text):
            value = DEFAULT.sub(r"\1", next((value for value in values if value), "").strip())
            found.setdefault(name, set()).add(value)
    return {name: next(iter(values)) if len(values) == 1 else None for name, values in found.items() if not _shell(values)}


def _shell(values: Iterable[str]) -> bool:
    return any("$" in value for value in values)


def _texts(folder: Path) -> "Iterator[str]":
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.suffix.lower() in (".md", ".sh"):
            try:
                yield read_bytes(path, folder, MOST_BYTES).decode("utf-8", errors="replace")
            except UnreadError:
                continue  # too long, or no plain file


@contextmanager
def _deep() -> "Iterator[None]":
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, DEEP))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
