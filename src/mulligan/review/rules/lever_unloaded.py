"""Average that is never loaded

What it finds
    A dictionary of tensors that a function updates in place, step after step, and that nothing ever reads.
Why it matters
    Averages of weights cost time and are said to help: one that is neither loaded nor exported is not in the artifact.
Example
    `for k, v in net.state_dict().items(): mean[k].mul_(d).add_(v, alpha=1 - d)`, and no `load_state_dict(mean)`.
What it cannot see
    Averages held in objects of their own, and whether what is loaded is loaded before the export.
Source
    Dead levers. A warning.
"""

import ast
from collections.abc import Iterator

from mulligan.review.finding import Finding, NotChecked
from mulligan.review.subject import Subject
from mulligan.review.syntax import Scope, assigned, reached

CODE = "levers"


def check(subject: Subject) -> Iterator[Finding | NotChecked]:
    """Yield the dictionaries of tensors that are updated and not read."""
    for scope in reached(subject):
        names = {target.id: target.lineno for node in scope.nodes for target, value in _tables(node)}
        if not names:
            continue
        updated, writes = _updates(scope)
        inner = {id(node) for node in scope.nodes}
        read = {
            node.id
            for node in ast.walk(scope.node)
            if isinstance(node, ast.Name)
            and isinstance(node.ctx, ast.Load)
            and (id(node) not in writes or id(node) not in inner)
        }
        for name in sorted((names.keys() & updated) - read):
            message = f"{name} is updated in place and never read: what it holds is neither loaded nor exported"
            yield Finding(CODE, "dead_lever", "warning", scope.source.file, names[name], message)


def _tables(node: ast.AST) -> Iterator[tuple[ast.Name, ast.expr]]:
    for target, value in assigned(node):
        made = ast.unparse(value) if isinstance(target, ast.Name) and isinstance(value, (ast.DictComp, ast.Call)) else ""
        if isinstance(target, ast.Name) and ("state_dict()" in made or "named_parameters()" in made):
            yield target, value


def _updates(scope: Scope) -> tuple[set[str], set[int]]:
    """Return the names whose entries are updated in place, and the mentions of names that do no more than that."""
    updated: set[str] = set()
    writes: set[int] = set()
    for node in scope.nodes:
        if isinstance(node, ast.Expr):
            held = _in_place(node.value)
        elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Subscript):
            held = node.target.value
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.Is, ast.IsNot)):
            writes.add(id(node.left))
            continue
        else:
            continue
        if isinstance(held, ast.Name):
            updated.add(held.id)
            writes.add(id(held))
    return updated, writes


def _in_place(node: ast.expr) -> ast.expr | None:
    """Return what `d[k].mul_(...).add_(...)` updates: `d`; None of other expressions."""
    found = False
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        found = found or (node.func.attr.endswith("_") and not node.func.attr.startswith("_"))
        node = node.func.value
    return node.value if found and isinstance(node, ast.Subscript) else None
