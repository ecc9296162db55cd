"""Bits per byte that are worked out with a constant for the bytes of a token."""

import ast
import math
from collections.abc import Iterator
from dataclasses import dataclass

from mulligan.review.subject import Subject
from mulligan.review.syntax import Scope, assigned, last_name, reached, scopes

LEAST, MOST = 1.5, 12.0
"""Bytes per token of any tokenization that is in use."""
MOST_DEPTH = 4


@dataclass(frozen=True)
class ByConstant:
    """`bytes_per_token`: the constant."""

    file: str
    line: int
    bytes_per_token: float


def by_constant(subject: Subject) -> Iterator[ByConstant]:
    """Yield every quotient of nats by ln 2 that a constant turns into bits per byte."""
    names = _Names(subject)
    for scope in reached(subject):
        inside: set[int] = set()
        for node in scope.nodes:
            if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div)) and id(node) not in inside:
                inside |= {id(inner) for inner in ast.walk(node)}
                found = names.constant(scope, node)
                if found is not None:
                    yield ByConstant(scope.source.file, node.lineno, found)


class _Names:
    """What names are bound to: in functions, in modules and in classes, and by calls to parameters."""

    def __init__(self, subject: Subject) -> None:
        self.bound: dict[tuple[int, str], list[ast.expr]] = {}
        self.attributes: dict[str, list[ast.expr]] = {}
        for scope in scopes(subject):
            for node in scope.nodes:
                for target, value in assigned(node):
                    if isinstance(target, ast.Name):
                        self.bound.setdefault((id(scope), target.id), []).append(value)
                        self.attributes.setdefault(target.id, []).append(value)
                    elif isinstance(target, ast.Attribute):
                        self.attributes.setdefault(target.attr, []).append(value)
            if not isinstance(scope.node, ast.Module):
                given = scope.node.args
                positional = [*given.posonlyargs, *given.args]
                for one, default in zip(positional[len(positional) - len(given.defaults) :], given.defaults, strict=True):
                    self.bound.setdefault((id(scope), one.arg), []).append(default)

    def values(self, scope: Scope | None, node: ast.expr) -> list[ast.expr]:
        """Return what a name or an attribute is bound to."""
        if isinstance(node, ast.Attribute):
            return self.attributes.get(node.attr, [])
        while isinstance(node, ast.Name) and scope is not None:
            found = self.bound.get((id(scope), node.id))
            if found:
                return found
            scope = scope.outer
        return []

    def constant(self, scope: Scope, node: ast.expr) -> float | None:
        """Return the bytes per token by which nats over ln 2 are divided; None where there are none, or they are counted."""
        above, below = self._factors(scope, node, MOST_DEPTH)
        if not any(_is_ln2(one) for one in below) and not any(_is_log2e(one) for one in above):
            return None
        if not any(number(one) is None for one in above):
            return None  # numbers only: no loss
        for one in below:
            value = number(one)
            if value is not None and not _is_ln2(one) and LEAST <= value <= MOST:
                return value
        for one in above:
            value = number(one)
            if value is not None and not _is_log2e(one) and 1 / MOST <= value <= 1 / LEAST:
                return 1 / value
        return None

    def _factors(self, scope: Scope, node: ast.expr, depth: int) -> tuple[list[ast.expr], list[ast.expr]]:
        """Return the factors above and below of a quotient, names with a single value replaced by it."""
        if isinstance(node, ast.BinOp) and isinstance(node.op, (ast.Mult, ast.Div)):
            left, right = self._factors(scope, node.left, depth), self._factors(scope, node.right, depth)
            right = right if isinstance(node.op, ast.Mult) else (right[1], right[0])
            return left[0] + right[0], left[1] + right[1]
        if isinstance(node, ast.Call) and last_name(node.func) == "float" and len(node.args) == 1 and number(node) is None:
            return self._factors(scope, node.args[0], depth)
        values = self.values(scope, node) if depth else []
        if len(values) == 1 and (number(values[0]) is not None or _is_ln2(values[0])):
            return [values[0]], []
        if len(values) == 1 and isinstance(values[0], ast.BinOp):
            above, below = self._factors(scope, values[0], depth - 1)
            if any(_is_ln2(one) for one in below) or any(_is_log2e(one) for one in above):
                return above, below
        return [node], []


def number(node: ast.expr) -> float | None:
    """Return a literal number, also one that is the default of a setting: `float(settings.get("X", "3.5"))`."""
    if isinstance(node, ast.Constant) and isinstance(node.value, (int, float, str)):
        try:
            return float(node.value)
        except ValueError:
            return None
    if isinstance(node, ast.Call) and last_name(node.func) in ("float", "int") and len(node.args) == 1:
        return number(node.args[0])
    if isinstance(node, ast.Call) and last_name(node.func) in ("get", "getenv") and len(node.args) == 2:
        return number(node.args[1])
    return None


def _is_ln2(node: ast.expr) -> bool:
    if isinstance(node, ast.Call) and last_name(node.func) == "log" and len(node.args) == 1:
        return number(node.args[0]) == 2
    value = number(node)
    return value is not None and abs(value - math.log(2)) < 1e-3


def _is_log2e(node: ast.expr) -> bool:
    value = number(node)
    is_log2 = (
        isinstance(node, ast.Call) and last_name(node.func) == "log2" and last_name(node.args[0] if node.args else node) == "e"
    )
    return is_log2 or (value is not None and abs(value - 1 / math.log(2)) < 1e-3)
