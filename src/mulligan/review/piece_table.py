"""The tables of bytes per token that a script makes from its tokenizer's pieces, worked out on a tokenizer of our own."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from mulligan.review.expressions import CannotTellError, Table
from mulligan.review.pieces import ACCENT, BEGIN, BYTE, END, HIGH_BYTE, PART, PIECES, SPACE, WORD, Tokenizer, asks_for_pieces
from mulligan.review.steps import Steps
from mulligan.review.syntax import Function, Scope, constants, last_name

LETTERS = len("the")


@dataclass(frozen=True)
class Count:
    """What a table says of bytes. `space`: bytes for a leading space; `byte`: for a piece that is one byte; `control`: for a
    token that prints nothing; `accent`: for a letter of two bytes."""

    space: int
    byte: int
    control: int
    accent: int


@dataclass(frozen=True, eq=False)
class Made:
    """Where a table is made. `names`: {name in the scope: what it is}; `returned`: the same of what the function returns.

    What it is: a `Count`; "space", which begin with a space; "boundary", which print nothing; a tuple or dict of these.
    """

    scope: Scope
    line: int
    names: dict[str, Any]
    returned: Any


def tables(scopes: tuple[Scope, ...]) -> Iterator[Made | tuple[Scope, str]]:
    """Yield what each scope makes that looks at pieces one by one; (scope, reason) where it cannot be told."""
    functions = {scope.name: scope.node for scope in reversed(scopes) if isinstance(scope.node, Function) and not scope.owner}
    for scope in scopes:
        asked = [node for node in scope.nodes if isinstance(node, ast.Attribute) and asks_for_pieces(node.attr)]
        if not asked:
            continue
        steps = Steps(functions, constants(scope.source))
        try:
            yield _made(steps, scope, asked)
        except CannotTellError as error:
            yield scope, str(error)


def _made(steps: Steps, scope: Scope, asked: list[ast.Attribute]) -> Made:
    tokenizers = {
        ast.unparse(node.value): Tokenizer() for node in scope.nodes if isinstance(node, ast.Attribute) and _is_asked(node)
    }
    parameters = {one.arg for one in scope.parameters}
    returned = None
    try:
        if isinstance(scope.node, ast.Module):
            raise CannotTellError("a module returns nothing")
        if not parameters & tokenizers.keys() and not _makes_one(scope):
            raise CannotTellError("its tokenizer comes from elsewhere")
        returned = steps.call(scope.node, {name: one for name, one in tokenizers.items() if name in parameters})
        names = steps.ended_with
    except CannotTellError:
        block, loop = _loop_around(scope.node, asked[0])
        steps.here |= tokenizers
        steps.until(block, loop)
        names = steps.here
    line = getattr(scope.node, "lineno", asked[0].lineno)
    return Made(scope, line, {name: what for name, value in names.items() if (what := what_is(value))}, what_is(returned))


def _is_asked(node: ast.Attribute) -> bool:
    return Tokenizer().method(node.attr) is not None and not isinstance(node.value, ast.Call)


def _makes_one(scope: Scope) -> bool:
    return any(isinstance(node, ast.Call) and last_name(node.func) == "SentencePieceProcessor" for node in scope.nodes)


def _loop_around(node: ast.AST, wanted: ast.AST) -> tuple[list[ast.stmt], ast.stmt]:
    """Return the outermost statement that is no mere block around `wanted`, and the block that it stands in."""
    block: list[ast.stmt] = getattr(node, "body", [])
    holder = next((one for one in block if any(inner is wanted for inner in ast.walk(one))), None)
    if holder is None:
        raise CannotTellError("the loop over the pieces was not found")
    if isinstance(holder, (ast.If, ast.With, ast.Try)) and any(
        inner is wanted for one in holder.body for inner in ast.walk(one)
    ):
        return _loop_around(holder, wanted)
    return block, holder


def what_is(value: Any) -> Any:
    """Return what a value is of bytes per token; None where it is nothing of it."""
    if isinstance(value, Table) or (isinstance(value, list) and len(value) >= len(PIECES)):
        return _table(value)
    if isinstance(value, (tuple, list)):
        parts = tuple(what_is(one) for one in value)
        return parts if any(parts) else None
    if isinstance(value, dict):
        named = {str(key): what_is(one) for key, one in value.items()}
        return named if any(named.values()) else None
    return None


def _table(values: list[Any]) -> Any:
    if len(values) < len(PIECES) or not all(isinstance(one, (int, float)) for one in values[: len(PIECES)]):
        return None
    numbers = [int(one) for one in values[: len(PIECES)]]
    if set(numbers) <= {0, 1}:
        spaces = {i for i, one in enumerate(numbers) if one}
        if spaces == {SPACE, WORD} or spaces == {WORD}:
            return "space"
        return "boundary" if {BEGIN, END} <= spaces and not spaces & {WORD, PART, ACCENT} else None
    if numbers[PART] != LETTERS or not 1 <= numbers[ACCENT] <= 2 or not LETTERS <= numbers[WORD] <= 2 * LETTERS:
        return None
    return Count(
        numbers[WORD] - LETTERS, max(numbers[BYTE], numbers[HIGH_BYTE]), max(numbers[BEGIN], numbers[END]), numbers[ACCENT]
    )
