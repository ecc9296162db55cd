"""Numbers: constants are folded, indices and clocks are told apart."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mulligan.review.flow import score
from mulligan.review.flow.heap import Cell
from mulligan.review.flow.index import MOST_FOLDED, combine, element
from mulligan.review.flow.value import Mark, Turn, Val, join, split_named

if TYPE_CHECKING:
    from mulligan.review.flow.machine import Machine

FOLDED: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
}
COMPARED: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: lambda a, b: a is b or (a == b and type(a) is type(b)),
    ast.IsNot: lambda a, b: not (a is b or (a == b and type(a) is type(b))),
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
NODE = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "8"}
"""What the challenge's machine sets: eight processes, of which the first reports."""
MOST_BITS = 256
FEW = 8
"""Tokens that an index goes back; a greater number is a stride or a length."""
LIMIT_SECONDS, MOST_SECONDS = 600, 10_000


def binary(machine: Machine, kind: type[ast.operator], left: Val, right: Val, node: ast.AST | None = None) -> Val:
    """Return an arithmetic result."""
    folded = _folded(FOLDED.get(kind), left, right)
    if folded is not None:
        return folded
    if kind is ast.Add and left.items is not None and right.items is not None:
        return Val(items=left.items + right.items)
    if kind is ast.Add and (left.items is not None or right.items is not None or _is_list(left) or _is_list(right)):
        return machine.new("list", element=join([element(machine, left), element(machine, right)]))
    if kind is ast.Mult and (_is_list(left) or left.items is not None):
        return machine.new("list", element=element(machine, left))
    value = combine(machine, [left, right])
    tags = value.tags - {Mark.EARLIER}
    one = [v.const for v in (left, right) if v.known]
    if kind is ast.Add and one == [1]:
        tags |= {Mark.NEXT}
    elif kind is ast.Sub:
        tags -= {Mark.NEXT}
        loops = any(isinstance(tag, Turn) for tag in left.tags)
        if loops and right.known and isinstance(right.const, int) and 0 < right.const <= FEW:
            tags |= {Mark.EARLIER}
        taken = right.known and isinstance(right.const, int | float) and right.const > 0 and Mark.BUDGET not in right.tags
        if Mark.BUDGET in left.tags and (taken or Mark.RESERVED in right.tags):
            tags |= {Mark.RESERVED}
    if node is not None and kind is not ast.Sub:
        tags = score.hashed(tags, [machine.tags(left), machine.tags(right)], node)
    text = value.text if isinstance(left.const, str) or isinstance(right.const, str) or left.text or right.text else ""
    if text:
        tags |= split_named(text)
    if kind in (ast.Div, ast.FloorDiv):
        tags = score.divided(machine, tags, machine.tags(left), machine.tags(right))
    return value.but(tags=tags, text=text)


def _is_list(value: Val) -> bool:
    return bool(value.refs) and all(cell.kind == "list" for cell in value.refs)


def _folded(fold: Callable[[Any, Any], Any] | None, left: Val, right: Val) -> Val | None:
    if fold is None or not (left.known and right.known):
        return None
    if not (_small(left.const) and _small(right.const)) or (fold is operator.mod and isinstance(left.const, str | bytes)):
        return None  # a script may hold numbers and texts that fill any memory
    if fold is operator.mul and not all(isinstance(value.const, int | float) for value in (left, right)):
        return None
    try:
        const = fold(left.const, right.const)
    except Exception:  # whatever the script's own constants would raise
        return None
    if isinstance(const, str | bytes) and len(const) > MOST_FOLDED:
        return None
    text = const if isinstance(const, str) else ""
    return Val(left.tags | right.tags | split_named(text), const=const, text=text)


def _small(const: object) -> bool:
    if isinstance(const, int):
        return const.bit_length() <= MOST_BITS
    return not isinstance(const, str | bytes | tuple) or len(const) <= MOST_FOLDED


def compare(machine: Machine, node: ast.Compare, frame: Cell) -> Val:
    """Return the result of a comparison."""
    values = [machine.value(part, frame) for part in (node.left, *node.comparators)]
    if len(values) == 2 and values[1].library.endswith("environ") and isinstance(values[0].const, str):
        return _in_environment(machine, values[0].const, isinstance(node.ops[0], ast.NotIn))
    if len(values) == 2:
        values[1] = _constants(values[1]) if isinstance(node.ops[0], ast.In | ast.NotIn) else values[1]
        folded = _folded(COMPARED.get(type(node.ops[0])), values[0], values[1])
        if folded is not None:
            return folded
        if (
            isinstance(node.ops[0], ast.Is | ast.IsNot)
            and values[1].known
            and values[1].const is None
            and _never_none(values[0])
        ):
            return Val(const=isinstance(node.ops[0], ast.IsNot))
    machine.line = node.lineno
    value = Val(frozenset[Any]().union(*(machine.tags(part) for part in values)))
    limited = Mark.BUDGET in values[0].tags and len(values) == 2 and isinstance(node.ops[0], ast.Lt | ast.LtE)
    if limited and values[1].known and values[1].const == 0:
        return Val(const=False)  # no time is left, and the loop has ended
    if Mark.BUDGET in value.tags:
        reserved = Mark.RESERVED in value.tags or any(_shortened(part) for part in values)
        machine.note("clock", value.tags, "reserved" if reserved else "")
    return value.but(tags=score.compared(value.tags, [machine.tags(part) for part in values]), text="")


def _in_environment(machine: Machine, name: str, absent: bool) -> Val:
    """Return whether a variable is set, where that is told in one way."""
    if name in machine.settings and machine.settings[name] is None:
        return Val()
    return Val(const=(name in machine.settings or name in NODE) is not absent)


def _constants(value: Val) -> Val:
    """Return a tuple of constants as one."""
    if value.items is not None and all(item.known for item in value.items):
        return Val(value.tags, const=tuple(item.const for item in value.items))
    return value


def _shortened(value: Val) -> bool:
    """Say whether a limit is less than the ten minutes, in seconds or milliseconds."""
    if Mark.BUDGET not in value.tags or not value.known or not isinstance(value.const, int | float) or value.const <= 0:
        return False
    seconds = value.const / 1000 if value.const > MOST_SECONDS else value.const
    return seconds < LIMIT_SECONDS


def _never_none(value: Val) -> bool:
    return bool(value.calls) or (
        len(value.refs) == 1 and not value.known and next(iter(value.refs)).kind in ("module", "object")
    )
