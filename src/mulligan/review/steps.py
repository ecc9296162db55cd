"""Small functions worked out statement by statement on values of our own: nothing of a submission is executed."""

import ast
from collections.abc import Mapping, Sequence
from typing import Any

from mulligan.review.expressions import OPAQUE, CannotTellError, Expressions
from mulligan.review.syntax import Function, assigned

MOST_DEPTH = 8


class Returned(Exception):  # noqa: N818
    """Carries a returned value out of its function."""

    def __init__(self, value: Any) -> None:
        self.value = value


class Loop(Exception):  # noqa: N818
    """Carries `break` (`ends`) or `continue` out to its loop."""

    def __init__(self, ends: bool) -> None:
        self.ends = ends


class Steps(Expressions):
    """`ended_with`: the names of the function that ended last."""

    def __init__(self, functions: Mapping[str, Function], names: Mapping[str, Any]) -> None:
        super().__init__(functions, names)
        self.depth = 0
        self.ended_with: dict[str, Any] = {}

    def call(self, node: Function, given: Mapping[str, Any]) -> Any:
        """Return what a function returns; arguments that are not given have their literal default, or are opaque."""
        if self.depth >= MOST_DEPTH:
            raise CannotTellError("functions call each other too deeply")
        before, self.here, self.depth = self.here, _arguments(node) | dict(given), self.depth + 1
        try:
            self.block(node.body)
        except Returned as returned:
            return returned.value
        finally:
            self.depth -= 1
            self.ended_with, self.here = self.here, before
        return None

    def until(self, statements: Sequence[ast.stmt], last: ast.stmt) -> None:
        """Carry out statements up to `last`; what cannot be told before it is left opaque."""
        for statement in statements:
            if statement is last:
                self.statement(statement)
                return
            try:
                self.statement(statement)
            except (CannotTellError, Returned, Loop):
                for node in ast.walk(statement):
                    for target, _ in assigned(node):
                        self.assign(target, OPAQUE)

    def block(self, statements: Sequence[ast.stmt]) -> None:
        """Carry out statements one after the other."""
        for statement in statements:
            self.statement(statement)

    def statement(self, node: ast.stmt) -> None:
        """Carry out one statement; CannotTellError where it is of a kind that is not known here."""
        self.count()
        match node:
            case ast.Expr(value=value):
                self.value(value)
            case ast.Assign(targets=targets, value=value):
                found = self.value(value)
                for target in targets:
                    self.assign(target, found)
            case ast.AnnAssign(target=target, value=value):
                if value is not None:
                    self.assign(target, self.value(value))
            case ast.AugAssign(target=target, op=op, value=value):
                self.assign(target, self.combined(op, self.value(target), self.value(value)))
            case ast.If(test=test, body=body, orelse=orelse):
                self.block(body if self.truth(self.value(test)) else orelse)
            case ast.For(target=target, iter=several, body=body):
                self._for(target, several, body)
            case ast.Try(body=body) | ast.With(body=body):
                self.block(body)
            case ast.Return(value=value):
                raise Returned(None if value is None else self.value(value))
            case ast.Continue() | ast.Break():
                raise Loop(isinstance(node, ast.Break))
            case ast.Pass() | ast.Assert() | ast.Import() | ast.ImportFrom() | ast.Global() | ast.Delete():
                pass
            case _:
                raise CannotTellError(f"line {node.lineno}: {type(node).__name__}")

    def _for(self, target: ast.expr, several: ast.expr, body: list[ast.stmt]) -> None:
        for one in self.several(self.value(several)):
            self.assign(target, one)
            try:
                self.block(body)
            except Loop as loop:
                if loop.ends:
                    break


def _arguments(node: Function) -> dict[str, Any]:
    arguments = node.args
    positional = [*arguments.posonlyargs, *arguments.args]
    named: dict[str, Any] = {one.arg: OPAQUE for one in (*positional, *arguments.kwonlyargs)}
    defaults = [
        *zip(positional[len(positional) - len(arguments.defaults) :], arguments.defaults, strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    return named | {one.arg: value.value for one, value in defaults if isinstance(value, ast.Constant)}
