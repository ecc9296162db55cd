"""The settings that a submission ran with: what its commands say, and what its logs print.

A variable that some commands set and others leave alone is set in several ways, and so is one that two logs print differently.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from mulligan.script.disk import read_bytes
from mulligan.script.source import UnreadError

GIVEN = re.compile(r"(?<![\w.\-])([A-Z][A-Z0-9_]{2,})=(?:\"([^\"\n]*)\"|'([^'\n]*)'|([^\s\"'`\\;,)|]*))")
RUN = re.compile(r"\b(torchrun|accelerate|python[\d.]*)\b[^\n]*(\.py\b|-m\b)")
PREPARES = re.compile(r"\b(prepare|download|cached|tokeniz|smoke|test)\w*\.py\b", re.I)
DEFAULT = re.compile(r"^\$\{\w+:?-([^}]*)\}$")
PRINTED = re.compile(r"^[ \t]*([a-z][a-z0-9_]{2,}):[ \t]*(True|False|-?\d+(?:\.\d+)?(?:e-?\d+)?)[ \t]*$", re.M)
FLAGS = {"True": "1", "False": "0"}
MOST_BYTES = 1 << 20
Settings = dict[str, str | None]


def settings_of(folder: Path) -> Settings:
    """Return the environment variables that are told; None for one that is told in several ways. What logs print goes first."""
    given = _of_commands(folder)
    return {**given, **_of_logs(folder)}


def _of_commands(folder: Path) -> Settings:
    loose: list[dict[str, str]] = []
    commands: list[dict[str, str]] = []
    for text in _texts(folder, (".md", ".sh")):
        exported: dict[str, str] = {}
        for line in re.sub(r"\\\n", " ", text).splitlines():
            here = dict(_assigned(line))
            if RUN.search(line):
                commands += [] if PREPARES.search(line) else [{**exported, **here}]
            elif here:
                exported |= here
                loose += [{name: value} for name, value in _assigned(line)]
    told = commands or loose
    names = {name for one in told for name in one}
    values = {name: {one.get(name) for one in told if commands or name in one} for name in names}
    return {name: next(iter(found)) if len(found) == 1 else None for name, found in values.items() if not _shell(found)}


def _assigned(line: str) -> Iterator[tuple[str, str]]:
    for name, *values in GIVEN.findall(line):
        yield name, DEFAULT.sub(r"\1", next((value for value in values if value), "").strip())


def _of_logs(folder: Path) -> Settings:
    """Return what the logs print of the script's attributes, each under the name of a variable."""
    values: dict[str, set[str]] = {}
    for text in _texts(folder, (".log", ".txt")):
        for name, value in PRINTED.findall(text):
            values.setdefault(name.upper(), set()).add(FLAGS.get(value, value))
    return {name: next(iter(found)) for name, found in values.items() if len(found) == 1}


def _shell(values: Iterable[str | None]) -> bool:
    return any("$" in value for value in values if value is not None)


def _texts(folder: Path, suffixes: tuple[str, ...]) -> Iterator[str]:
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.suffix.lower() in suffixes:
            try:
                yield read_bytes(path, folder, MOST_BYTES).decode("utf-8", errors="replace")
            except UnreadError:
                continue  # too long, or no plain file
