"""A train_gpt.py as it lies in a folder, read and never run: its source in every layer, the recipe in it, what it imports."""

import ast
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mulligan.script.disk import read_bytes
from mulligan.script.grammar import decoded
from mulligan.script.layers import layers_of
from mulligan.script.scan import MOST_TEXT
from mulligan.script.source import Problem, UnreadError
from mulligan.script.unpack import Budget

SECTIONS = frozenset({"data", "model", "grid", "train", "average", "quantize", "pack", "evaluate"})
"""What the table of a recipe has at least."""


@dataclass(frozen=True)
class ScriptFile:
    """`trees`: the file's syntax, then that of each source packed in it; none where there is an error. `error`: why one of them
    cannot be read, None if all can. `sha256`: of the file, empty where it is no file that may be read.
    """

    path: Path
    num_bytes: int
    sha256: str
    trees: tuple[ast.Module, ...]
    error: str | None

    @classmethod
    def read(cls, path: Path) -> "ScriptFile":
        """Read a script; OSError where it is not there."""
        num_bytes = path.stat().st_size
        try:
            data = read_bytes(path, path.parent, MOST_TEXT)
        except UnreadError as error:
            return cls(path, num_bytes, "", (), str(error))
        digest = hashlib.sha256(data).hexdigest()
        try:
            layers, problems = layers_of(path.name, decoded(data), Budget())
        except UnreadError as error:
            layers, problems = [], [Problem(path.name, error.line, str(error))]
        if problems:
            line = f" (line {problems[0].line})" if problems[0].line else ""
            return cls(path, len(data), digest, (), f"{problems[0].message}{line}")
        return cls(path, len(data), digest, tuple(layer.source.tree for layer in layers), None)

    @property
    def is_packed(self) -> bool:
        """Whether a further source was found inside."""
        return len(self.trees) > 1

    @property
    def recipe(self) -> dict[str, Any] | None:
        """The recipe that the script holds as a literal of JSON, wherever it stands; None where there is none."""
        for tree in self.trees:
            for text in _literals(tree, str):
                if text.lstrip().startswith("{") and (found := _json(text)) and found.keys() >= SECTIONS:
                    return found
        return None

    def imported(self) -> dict[str, bool]:
        """Return {first name of an imported module: whether the script needs it}; an import in a `try` may fail."""
        found: dict[str, bool] = {}
        for tree in self.trees:
            optional = {id(node) for block in ast.walk(tree) if isinstance(block, ast.Try) for node in _guarded(block)}
            for node in ast.walk(tree):
                for name in _names(node):
                    found[name] = found.get(name, False) or id(node) not in optional
        return found

    def mentions(self, text: str) -> bool:
        """Say whether a literal in any layer holds `text`, such as the name of a file that is read."""
        return any(text in literal for tree in self.trees for literal in _literals(tree, str))


def _literals(tree: ast.Module, kind: type[Any]) -> Iterator[Any]:
    return (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, kind))


def _json(text: str) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _guarded(block: ast.Try) -> Iterator[ast.AST]:
    """Yield what stands in a `try` and in its handlers."""
    for part in (*block.body, *block.handlers):
        yield from ast.walk(part)


def _names(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.split(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [node.module.split(".")[0]]
    return []
