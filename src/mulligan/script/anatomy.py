"""One pass over a syntax tree that gathers what reading a script asks of it, and bounds how deep the tree is."""

import ast
from dataclasses import dataclass
from typing import Any, NamedTuple

from mulligan.script.source import UnreadError

MOST_DEPTH = 150
"""Nodes one within the other; challenge scripts have about 20. What walks a tree by calling itself survives this."""


class Literal(NamedTuple):
    """`stated`: it stands alone as a statement, such as a docstring."""

    line: int
    value: str | bytes
    stated: bool


@dataclass(frozen=True)
class Anatomy:
    """What stands in a tree, by line. `sums`: also slices and f-strings, which may come to a text as a sum may."""

    literals: tuple[Literal, ...]
    sums: tuple[ast.expr, ...]
    calls: tuple[ast.Call, ...]
    imports: tuple[ast.Import | ast.ImportFrom, ...]
    assigned: tuple[ast.Assign | ast.AnnAssign | ast.AugAssign, ...]

    @classmethod
    def of(cls, tree: ast.Module) -> "Anatomy":
        """Gather; UnreadError where the tree is too deep to be walked by calls."""
        kept = _kept(tree)
        stated = {id(node.value) for node in kept[ast.Expr] if isinstance(node.value, ast.Constant)}
        literals = [node for node in kept[ast.Constant] if isinstance(node.value, str | bytes)]
        return cls(
            tuple(Literal(node.lineno, node.value, id(node) in stated) for node in _by_line(literals)),
            tuple(_by_line(kept[ast.BinOp] + kept[ast.JoinedStr] + kept[ast.Subscript])),
            tuple(_by_line(kept[ast.Call])),
            tuple(_by_line(kept[ast.Import] + kept[ast.ImportFrom])),
            tuple(_by_line(kept[ast.Assign] + kept[ast.AnnAssign] + kept[ast.AugAssign])),
        )


_KEPT = (ast.Constant, ast.Expr, ast.BinOp, ast.JoinedStr, ast.Subscript, ast.Call, ast.Import, ast.ImportFrom)
_ASSIGNED = (ast.Assign, ast.AnnAssign, ast.AugAssign)
_NO_NODES = frozenset(
    [
        "ctx",
        "op",
        "ops",
        "kind",
        "id",
        "attr",
        "arg",
        "name",
        "names",
        "rest",
        "asname",
        "level",
        "module",
        "conversion",
        "simple",
        "is_async",
        "type_comment",
    ]
)
_FIELDS: dict[type, tuple[str, ...]] = {ast.Import: (), ast.ImportFrom: (), ast.Constant: (), ast.Name: ()}


def _kept(tree: ast.Module) -> dict[type, list[Any]]:
    """Return the nodes of a tree by their class; level by level, which tells the depth, and nothing calls itself."""
    kept: dict[type, list[Any]] = {kind: [] for kind in (*_KEPT, *_ASSIGNED)}
    keep = kept.get
    level: list[Any] = [tree]
    for _ in range(MOST_DEPTH):
        below: list[Any] = []
        for node in level:
            kind = node.__class__
            if (same := keep(kind)) is not None:
                same.append(node)
            for name in _fields(kind):
                value = getattr(node, name, None)
                if value.__class__ is list:
                    below.extend(value)
                elif value is not None:
                    below.append(value)
        if not below:
            return kept
        level = below
    line = next((node.lineno for node in level if hasattr(node, "lineno")), None)
    raise UnreadError(f"nested more than {MOST_DEPTH} deep; it was not read", line)


def _fields(kind: type) -> tuple[str, ...]:
    """Return the fields of a class of nodes that hold nodes (`names` of an import hold none that matter)."""
    if kind not in _FIELDS:
        _FIELDS[kind] = tuple(name for name in getattr(kind, "_fields", ()) if name not in _NO_NODES)
    return _FIELDS[kind]


def _by_line(nodes: list[Any]) -> list[Any]:
    return sorted(nodes, key=lambda node: (node.lineno, node.col_offset))
