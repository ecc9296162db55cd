"""One pass over a syntax tree that gathers what reading a script asks of it, and bounds how deep the tree is."""

import ast
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from mulligan.script.source import UnreadError

MOST_DEPTH = 150
"""Nodes one within the other; challenge scripts have about 20. What walks a tree by calling itself survives this."""


class Literal(NamedTuple):
    """`stated`: it stands alone as a statement, such as a docstring."""

    line: int
    value: str | bytes
    stated: bool


@dataclass
class Anatomy:
    """What stands in a tree, in the order of its lines."""

    literals: list[Literal] = field(default_factory=list)
    sums: list[ast.expr] = field(default_factory=list)
    calls: list[ast.Call] = field(default_factory=list)
    imports: list[ast.Import | ast.ImportFrom] = field(default_factory=list)
    assigned: list[ast.Assign | ast.AnnAssign | ast.AugAssign] = field(default_factory=list)

    @classmethod
    def of(cls, tree: ast.Module) -> "Anatomy":
        """Gather, in the order of lines; UnreadError where the tree is too deep to be walked by calls."""
        found = cls()
        constants: list[ast.Constant] = []
        stated: set[int] = set()
        kept = found._kept(constants)
        todo: list[tuple[ast.AST, int]] = [(tree, 0)]
        while todo:
            node, depth = todo.pop()
            if depth > MOST_DEPTH:
                raise UnreadError(f"nested more than {MOST_DEPTH} deep; it was not read", getattr(node, "lineno", None))
            if (keep := kept.get(node.__class__)) is not None:
                keep.append(node)
            elif node.__class__ is ast.Expr and isinstance(node.value, ast.Constant):
                stated.add(id(node.value))
            depth += 1
            for value in node.__dict__.values():
                if value.__class__ is list:
                    todo.extend([(item, depth) for item in value if isinstance(item, ast.AST)])
                elif isinstance(value, ast.AST):
                    todo.append((value, depth))
        for listed in kept.values():
            listed.sort(key=lambda node: (node.lineno, node.col_offset))
        found.literals = [
            Literal(node.lineno, node.value, id(node) in stated) for node in constants if isinstance(node.value, str | bytes)
        ]
        return found

    def _kept(self, constants: list[ast.Constant]) -> dict[type, list[Any]]:
        sums, assigned, imports = self.sums, self.assigned, self.imports
        return {
            ast.Constant: constants,
            ast.BinOp: sums,
            ast.Call: self.calls,
            ast.Import: imports,
            ast.ImportFrom: imports,
            ast.Assign: assigned,
            ast.AnnAssign: assigned,
            ast.AugAssign: assigned,
        }
