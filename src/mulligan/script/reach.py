"""Which files beside a script it reaches: what it imports, runs by name, or opens where it executes something."""

import ast
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mulligan.script.layers import Layer

_PATH = re.compile(r"[\w./\\~ -]{1,200}")
_COMMANDS = frozenset({"system", "popen", "run", "call", "Popen", "check_call", "check_output", "getoutput"})
_BY_NAME = frozenset({"import_module", "__import__", "run_module", "find_spec", "reload"})
_NO_CODE = frozenset(
    {".md", ".json", ".jsonl", ".log", ".csv", ".tsv", ".png", ".jpg", ".pdf", ".model", ".vocab", ".sh", ".pt"}
)


@dataclass(frozen=True)
class Place:
    """The folder that a script lies in. Paths in it are relative, with slashes."""

    folder: Path

    def has(self, name: str) -> bool:
        """Say whether something other than a folder has this path."""
        path = self.folder / name
        return os.path.lexists(path) and not path.is_dir()

    def module(self, base: str, dotted: str) -> list[str]:
        """Return the files that importing a dotted name from a folder `base` runs, packages first; none if it is not there."""
        found: list[str] = []
        at = PurePosixPath(base)
        for part in dotted.split("."):
            at = at / part
            if self.has(f"{at}/__init__.py"):
                found.append(f"{at}/__init__.py")
            elif self.has(f"{at}.py"):
                return [*found, f"{at}.py"]
            elif not (self.folder / at).is_dir():
                break
        return found


def modules_reached(layer: Layer, place: Place, entry: str) -> list[str]:
    """Return the Python files that a text imports or runs by a name that stands in it."""
    here = _parent(layer.source.file)
    bases = list(dict.fromkeys([_parent(entry), here]))
    found: list[str] = []
    for dotted, level in _imported(layer):
        if level:
            above = PurePosixPath(here, *[".."] * (level - 1)).as_posix()
            found += _in(place, os.path.normpath(above), dotted)
            continue
        hits = next((hits for base in bases if (hits := place.module(base, dotted))), None)
        if hits is None and "sys.path" in layer.source.text:
            hits = next((hits for base in _folders(layer, place, bases) if (hits := place.module(base, dotted))), None)
        found += hits or []
    for text in _spoken(layer):
        if text.endswith(".py"):
            found += _beside(place, bases, text)
    return [name for name in dict.fromkeys(found) if not name.startswith("..")]


def payloads_named(layer: Layer, place: Place, entry: str) -> list[str]:
    """Return the files, not Python, that a text names and may execute."""
    bases = list(dict.fromkeys([_parent(entry), _parent(layer.source.file)]))
    names = [name for text in _spoken(layer) for name in _beside(place, bases, text)]
    return [name for name in dict.fromkeys(names) if PurePosixPath(name).suffix not in {".py", *_NO_CODE}]


def executes(layer: Layer) -> bool:
    """Say whether a text executes text."""
    names = {call.func.id for call in layer.anatomy.calls if isinstance(call.func, ast.Name)}
    return bool(names & {"exec", "eval", "compile"}) or "exec_module" in layer.source.text


def _imported(layer: Layer) -> Iterator[tuple[str, int]]:
    """Yield the dotted names that a text imports, and how many dots lead them."""
    for node in layer.anatomy.imports:
        if isinstance(node, ast.Import):
            yield from ((alias.name, 0) for alias in node.names)
            continue
        for alias in node.names:
            yield f"{node.module}.{alias.name}" if node.module else alias.name, node.level
    for call in layer.anatomy.calls:
        if _last(call.func) in _BY_NAME and call.args and isinstance(name := getattr(call.args[0], "value", None), str):
            yield name.lstrip("."), len(name) - len(name.lstrip("."))


def _spoken(layer: Layer) -> Iterator[str]:
    """Yield the literals that may be paths: whole ones, and the words of commands."""
    for node in layer.anatomy.literals:
        if isinstance(node.value, str) and not node.stated and _PATH.fullmatch(node.value):
            yield node.value.strip()
    for call in layer.anatomy.calls:
        if _last(call.func) in _COMMANDS and call.args and isinstance(line := getattr(call.args[0], "value", None), str):
            yield from line[:10_000].split()


def _beside(place: Place, bases: list[str], text: str) -> list[str]:
    """Return the file that a literal names: under one of the folders, by its path, else by its last part."""
    path = text.replace("\\", "/").lstrip("/")
    for name in (path, path.rsplit("/", 1)[-1]):
        for base in bases:
            full = os.path.normpath(f"{base}/{name}") if name else ""
            if full and not full.startswith("..") and place.has(full):
                return [full]
    return []


def _folders(layer: Layer, place: Place, bases: list[str]) -> list[str]:
    """Return the folders below `bases` that literals of a text name."""
    full = [os.path.normpath(f"{base}/{text.strip('/')}") for text in dict.fromkeys(_spoken(layer)) for base in bases]
    return [name for name in full if not name.startswith("..") and (place.folder / name).is_dir()]


def _in(place: Place, base: str, dotted: str) -> list[str]:
    return [] if base.startswith("..") else place.module(base, dotted)


def _last(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _parent(file: str) -> str:
    return PurePosixPath(file).parent.as_posix()
