"""What comes out of following a script: faults of the scores that it reports, and what happened in which order."""

import ast
import sys
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from mulligan.review.flow.expression import evaluate
from mulligan.review.flow.library import call
from mulligan.review.flow.machine import Event, ExhaustedError, Machine
from mulligan.review.flow.settings import Settings
from mulligan.review.flow.statement import STATEMENTS
from mulligan.review.flow.value import Fault, Place
from mulligan.script.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterator

ENTRY = "the entry"
DEEP = 20_000
"""Python frames: an expression is followed by some ten of them, a call of the script by twenty."""
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


def trace(entry: str, sources: Sequence[Source], settings: Settings) -> Trace:
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


@contextmanager
def _deep() -> "Iterator[None]":
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, DEEP))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)
