"""The interpreter's expressions."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mulligan.review.flow import effects, library, score
from mulligan.review.flow.heap import Cell
from mulligan.review.flow.value import (
    MOST_TEXT,
    NONE,
    PER_TOKEN,
    UNKNOWN,
    Cut,
    Data,
    Looked,
    Mark,
    Tags,
    Turn,
    Val,
    cut,
    dated,
    join,
    split_named,
    turns_of,
)

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
MOST_FOLDED = 4096
LIMIT_SECONDS, MOST_SECONDS = 600, 10_000
PARTS = "its parts"
"""Under this name a list remembers what it was written with."""


def evaluate(machine: Machine, node: ast.expr, frame: Cell) -> Val:
    """Return what is known of an expression's value."""
    machine.line = getattr(node, "lineno", machine.line)
    found = EXPRESSIONS.get(type(node))
    if found is not None:
        value = found(machine, node, frame)
    else:
        value = combine(
            machine, [evaluate(machine, child, frame) for child in ast.iter_child_nodes(node) if isinstance(child, ast.expr)]
        )
    return value


def truth(value: Val) -> bool | None:
    """Return whether a condition holds, None where that is not known."""
    if value.known:
        return bool(value.const)
    if value.items is not None:
        return bool(value.items)
    return None


def length(value: Val) -> int | None:
    """Return how many elements there are, None where that is not known."""
    if value.items is not None:
        return len(value.items)
    return len(value.const) if value.known and isinstance(value.const, range | str | tuple) else None


def element(machine: Machine, value: Val) -> Val:
    """Return what the elements of a value have in common."""
    if value.items is not None:
        return join(value.items).but(const=UNKNOWN) if value.items else Val()
    found = []
    for cell in value.refs:
        if cell.element is not None:
            found.append(cell.element)
        elif cell.kind == "dict":
            found += [Val(const=name) for name in cell.names][:MOST_FOLDED]
        elif cell.kind in ("module", "optimizer"):
            found.append(Val(refs=frozenset({cell}), part=True))
        elif cell.kind in ("tensor", "library"):
            found.append(Val(cell.tags))
    if value.known and isinstance(value.const, range):
        return Val(tags=frozenset({Mark.NEXT}) if value.const.start == 1 else NONE)
    if not found:
        return Val(machine.tags(value), text=value.text)
    one = join(found)
    return one.but(const=UNKNOWN, tags=one.tags | value.tags)


def at_turn(value: Val, turn: Turn, keep_constant: bool = False) -> Val:
    """Return an element as one iteration sees it."""
    items = None if value.items is None else tuple(at_turn(item, turn, keep_constant) for item in value.items)
    const = value.const if keep_constant else UNKNOWN
    return value.but(tags=dated(value.tags, [turn]) | {turn}, items=items, const=const)


def at_turns(value: Val, turns: frozenset[Turn]) -> Val:
    """Return an element that an index picks out, which depends on iterations."""
    items = None if value.items is None else tuple(at_turns(item, turns) for item in value.items)
    return value.but(tags=dated(value.tags, turns) | turns, items=items, const=UNKNOWN)


def combine(machine: Machine, values: list[Val], keep_refs: bool = False) -> Val:
    """Return a new value that is made of several: what is known of any of them, checked for mixtures of scores."""
    tags = frozenset[Any]().union(*(machine.tags(value) for value in values)) if values else NONE
    refs = frozenset[Cell]().union(*(value.refs for value in values)) if keep_refs else frozenset()
    text = "|".join(v.string() for v in values if v.string())[:MOST_TEXT]
    return Val(score.checked(machine, tags, [machine.tags(v) for v in values]), refs, text=text)


def _constant(machine: Machine, node: ast.Constant, frame: Cell) -> Val:
    if isinstance(node.value, str):
        return Val(split_named(node.value), const=node.value, text=node.value)
    return Val(const=node.value)


def _name(machine: Machine, node: ast.Name, frame: Cell) -> Val:
    return machine.lookup(node.id, frame)


def _attribute(machine: Machine, node: ast.Attribute, frame: Cell) -> Val:
    return attribute(machine, evaluate(machine, node.value, frame), node.attr)


def attribute(machine: Machine, base: Val, name: str) -> Val:
    """Return an attribute of a value."""
    from mulligan.review.flow.machine import Class, Function

    found: list[Val] = []
    for call in base.calls:
        held = call.finds(name) if isinstance(call, Class) else None
        if held is not None:
            held = held.but(calls=tuple(one.bound(base) if isinstance(one, Function) else one for one in held.calls))
            found.append(held)
    for cell in base.refs:
        held = cell.names.get(name)
        if held is None and cell.cls is not None and cell.kind in ("object", "module", "optimizer") and not base.part:
            held = cell.cls.finds(name)
            if held is not None and held.calls:
                here = Val(refs=frozenset({cell}))
                held = held.but(calls=tuple(one.bound(here) if isinstance(one, Function) else one for one in held.calls))
        if held is not None:
            changing = cell.cls is not None and cell.kind == "object" and name in cell.cls.changing and not held.refs
            if changing and machine.running:
                held = held.but(const=UNKNOWN, tags=dated(held.tags, machine.running) | set(machine.running))
            found.append(held)
    if found:
        return join(found)
    if base.library and not base.tags:
        return Val(library=f"{base.library}.{name}")
    return library.unknown_attribute(machine, base, name)


def _binary(machine: Machine, node: ast.BinOp, frame: Cell) -> Val:
    left, right = evaluate(machine, node.left, frame), evaluate(machine, node.right, frame)
    machine.line = node.lineno
    return binary(machine, type(node.op), left, right, node)


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
    tags = value.tags
    one = [v.const for v in (left, right) if v.known]
    if kind is ast.Add and one == [1]:
        tags |= {Mark.NEXT}
    elif kind is ast.Sub:
        tags -= {Mark.NEXT}
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
    if (isinstance(left.const, str | bytes | tuple) and isinstance(right.const, int)) or (
        isinstance(left.const, int) and isinstance(right.const, str | bytes)
    ):
        return None
    try:
        const = fold(left.const, right.const)
    except Exception:  # whatever the script's own constants would raise
        return None
    if isinstance(const, str | bytes) and len(const) > MOST_FOLDED:
        return None
    text = const if isinstance(const, str) else ""
    return Val(left.tags | right.tags | split_named(text), const=const, text=text)


def _compare(machine: Machine, node: ast.Compare, frame: Cell) -> Val:
    values = [evaluate(machine, part, frame) for part in (node.left, *node.comparators)]
    if len(values) == 2:
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
    if Mark.BUDGET in values[0].tags and len(values) == 2 and isinstance(node.ops[0], ast.Lt | ast.LtE):
        if values[1].known and values[1].const == 0:
            return Val(const=False)  # no time is left, and the loop has ended
    if Mark.BUDGET in value.tags:
        reserved = Mark.RESERVED in value.tags or any(_shortened(part) for part in values)
        machine.note("clock", value.tags, "reserved" if reserved else "")
    return value.but(tags=score.compared(value.tags, [machine.tags(part) for part in values]), text="")


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


def _boolean(machine: Machine, node: ast.BoolOp, frame: Cell) -> Val:
    values: list[Val] = []
    for part in node.values:
        value = evaluate(machine, part, frame)
        known = truth(value)
        if known is isinstance(node.op, ast.Or) and known is not None:
            return value if not values else join([*values, value])
        if known is None or part is node.values[-1]:
            values.append(value)
    return values[0] if len(values) == 1 else join(values).but(const=UNKNOWN)


def _unary(machine: Machine, node: ast.UnaryOp, frame: Cell) -> Val:
    value = evaluate(machine, node.operand, frame)
    if isinstance(node.op, ast.Not):
        known = truth(value)
        return Val(const=not known) if known is not None else Val(machine.tags(value))
    if value.known and isinstance(node.op, ast.USub) and isinstance(value.const, int | float):
        return value.but(const=-value.const)
    return Val(machine.tags(value))


def _choice(machine: Machine, node: ast.IfExp, frame: Cell) -> Val:
    test = evaluate(machine, node.test, frame)
    known = truth(test)
    if known is not None:
        return evaluate(machine, node.body if known else node.orelse, frame)
    one, other = evaluate(machine, node.body, frame), evaluate(machine, node.orelse, frame)
    more = score.chosen(machine, machine.tags(test), machine.tags(one), machine.tags(other))
    joined = join([one, other])
    return joined.but(tags=joined.tags | more) if more else joined


def _text(machine: Machine, node: ast.JoinedStr, frame: Cell) -> Val:
    parts, tags, constant = [], NONE, True
    for part in node.values:
        if isinstance(part, ast.FormattedValue):
            value = evaluate(machine, part.value, frame)
            tags |= machine.tags(value)
            constant = constant and value.known and part.format_spec is None
            parts.append(str(value.const) if value.known else value.text or "{" + _short(part.value) + "}")
        elif isinstance(part, ast.Constant):
            parts.append(str(part.value))
    text = "".join(parts)[:MOST_TEXT]
    return Val(tags | split_named(text), const=text if constant else UNKNOWN, text=text)


def _short(node: ast.expr) -> str:
    return " ".join(
        n.id if isinstance(n, ast.Name) else n.attr for n in ast.walk(node) if isinstance(n, ast.Name | ast.Attribute)
    )[:80]


def _tuple(machine: Machine, node: ast.Tuple, frame: Cell) -> Val:
    values = [evaluate(machine, part, frame) for part in node.elts]
    if any(isinstance(part, ast.Starred) for part in node.elts):
        return machine.new("list", element=join(values))
    return Val(items=tuple(values))


def _list(machine: Machine, node: ast.List | ast.Set, frame: Cell) -> Val:
    values = [evaluate(machine, part, frame) for part in node.elts]
    if not values:
        return machine.new("list")
    if len(values) > 1 and all(value.known and isinstance(value.const, int | float | str) for value in values):
        return Val(items=tuple(values))
    made = machine.new("list", element=join(values))
    next(iter(made.refs)).names[PARTS] = Val(items=tuple(values))
    return made


def _starred(machine: Machine, node: ast.Starred, frame: Cell) -> Val:
    return element(machine, evaluate(machine, node.value, frame))


def _dict(machine: Machine, node: ast.Dict, frame: Cell) -> Val:
    made = machine.new("dict")
    cell = next(iter(made.refs))
    for key, held in zip(node.keys, node.values, strict=True):
        value = evaluate(machine, held, frame)
        if key is None:
            for source in value.refs:
                cell.names.update(source.names)
                if source.element is not None:
                    machine.heap.add_element(cell, source.element)
            continue
        name = evaluate(machine, key, frame)
        store(machine, made, name, value)
    return made


def _subscript(machine: Machine, node: ast.Subscript, frame: Cell) -> Val:
    base, index = evaluate(machine, node.value, frame), evaluate(machine, node.slice, frame)
    machine.line = node.lineno
    return subscript(machine, base, index)


def _slice(machine: Machine, node: ast.Slice, frame: Cell) -> Val:
    lower = evaluate(machine, node.lower, frame) if node.lower else Val()
    upper = evaluate(machine, node.upper, frame) if node.upper else Val()
    tags = machine.tags(lower) - {Mark.NEXT}
    shifted = Mark.NEXT in machine.tags(lower) or (lower.known and lower.const == 1)
    tags |= {turn for turn in machine.tags(upper) if isinstance(turn, Turn)}
    tags |= _side(machine, node.upper if node.lower is None else None, True)
    tags |= _side(machine, node.lower if node.upper is None else None, False)
    return Val(tags | ({Mark.NEXT} if shifted else NONE), text=":")


def _side(machine: Machine, bound: ast.expr | None, before: bool) -> Tags:
    if not isinstance(bound, ast.Name):
        return NONE
    function = machine.stack[-1] if machine.stack else None
    return frozenset({Cut(f"{bound.id} of {getattr(function, 'name', '')}:{getattr(function, 'lineno', 0)}", before)})


def subscript(machine: Machine, base: Val, index: Val) -> Val:
    """Return what lies at an index: data is dated by it, a table that learned is looked up with it."""
    if (
        base.items is not None
        and index.known
        and isinstance(index.const, int)
        and -len(base.items) <= index.const < len(base.items)
    ):
        return base.items[index.const]
    at = machine.tags(index)
    named = _named(base, index)
    if named is not None:
        return named
    content = machine.tags(base)
    turns = turns_of(at)
    tags = cut(dated(content, turns), frozenset(tag for tag in at if isinstance(tag, Cut)))
    if Mark.NEXT in at and any(isinstance(tag, Data) for tag in content) and Mark.PREDICTION not in content:
        tags |= {Mark.GOLD}
    tags = score.looked_up(machine, tags, content, at) | turns
    if all(cell.kind in ("list", "dict", "object") for cell in base.refs) and base.refs:
        found = effects.values_of(machine, base) if any(cell.kind == "dict" for cell in base.refs) else element(machine, base)
        held = at_turns(found, turns)
        return held.but(tags=held.tags | tags)
    refs = base.refs if base.part or any(cell.kind in ("tensor", "library", "module") for cell in base.refs) else frozenset()
    if refs and (Mark.GOLD in at or any(isinstance(tag, Data) for tag in at)):
        refs = frozenset()
    return Val(tags, refs if index.text == ":" or not _is_tensor(refs) else refs, part=base.part, text=base.text)


def _is_tensor(refs: frozenset[Cell]) -> bool:
    return any(cell.kind == "tensor" for cell in refs)


def _named(base: Val, index: Val) -> Val | None:
    if not index.known or not base.refs:
        return None
    try:
        found = [cell.names[index.const] for cell in base.refs if cell.kind == "dict" and index.const in cell.names]
    except TypeError:
        return None
    return join(found) if found else None


def store(machine: Machine, base: Val, index: Val, value: Val) -> None:
    """Put a value at an index of a container or a tensor."""
    at = machine.tags(index)
    if Mark.ANSWER in at:
        held = machine.tags(base)
        value = value.but(tags=value.tags | score.checked(machine, NONE, [held, at]))
    for cell in base.refs:
        if cell.kind == "dict" and index.known and isinstance(index.const, str | int) and len(base.refs) == 1:
            old = cell.names.get(index.const)
            fresh = old is None or not machine.running
            machine.heap.set_name(cell, index.const, value if fresh or old is None else join([old, value]))
        elif cell.kind in ("list", "dict", "object"):
            held = value.but(tags=score.settled_past(machine, value.tags) | turns_of(at))
            machine.heap.add_element(cell, held)
            machine.heap.add_tags(cell, score.counted(machine, at))
        else:
            settled = score.settled_past(machine, machine.tags(value))
            machine.heap.add_tags(cell, settled | score.counted(machine, at))


def augment(machine: Machine, node: ast.AugAssign, frame: Cell) -> None:
    """Run `target op= value`: in place where the target is a tensor."""
    value = evaluate(machine, node.value, frame)
    if isinstance(node.target, ast.Subscript):
        base, index = evaluate(machine, node.target.value, frame), evaluate(machine, node.target.slice, frame)
        at = machine.tags(index)
        added = machine.tags(value)
        tags = score.checked(machine, added, [machine.tags(base), added]) | score.counted(machine, at)
        for cell in base.refs:
            machine.heap.add_tags(cell, tags)
        if not base.refs and isinstance(node.target.value, ast.Name):
            machine.bind(node.target.value.id, base.but(tags=base.tags | tags, const=UNKNOWN), frame)
        return
    old = evaluate(machine, _loaded(node.target), frame)
    machine.line = node.lineno
    if old.refs and all(cell.kind in ("tensor", "module", "library") for cell in old.refs):
        parts = [machine.tags(old), machine.tags(value)]
        checked = score.hashed(score.checked(machine, parts[0] | parts[1], parts), parts, node)
        for cell in old.refs:
            machine.heap.add_tags(cell, library.learned(checked) if old.part else checked)
        return
    if old.refs and all(cell.kind == "list" for cell in old.refs):
        for cell in old.refs:
            machine.heap.add_element(cell, element(machine, value))
        return
    found = binary(machine, type(node.op), old, value, node)
    machine.assign(node.target, found.but(const=UNKNOWN) if machine.running else found, frame)


def _loaded(target: ast.expr) -> ast.expr:
    if isinstance(target, ast.Name):
        return ast.copy_location(ast.Name(target.id, ast.Load()), target)
    assert isinstance(target, ast.Attribute)
    return ast.copy_location(ast.Attribute(target.value, target.attr, ast.Load()), target)


def _call(machine: Machine, node: ast.Call, frame: Cell) -> Val:
    given: list[Val] = []
    for part in node.args:
        value = evaluate(machine, part.value if isinstance(part, ast.Starred) else part, frame)
        if isinstance(part, ast.Starred):
            given += value.items if value.items is not None else [element(machine, value)]
        else:
            given.append(value)
    named: dict[str, Val] = {}
    for keyword in node.keywords:
        value = evaluate(machine, keyword.value, frame)
        if keyword.arg is not None:
            named[keyword.arg] = value
        else:
            for cell in value.refs:
                named |= {str(name): held for name, held in cell.names.items()}
    base = evaluate(machine, node.func.value, frame) if isinstance(node.func, ast.Attribute) else None
    if base is not None and isinstance(node.func, ast.Attribute):
        target = attribute(machine, base, node.func.attr)
        name = node.func.attr
    else:
        target = evaluate(machine, node.func, frame)
        name = target.library.rsplit(".", 1)[-1]
    machine.line = node.lineno
    return library.call(machine, target, base, name, given, named)


def _lambda(machine: Machine, node: ast.Lambda, frame: Cell) -> Val:
    return machine.define(node, frame)


def _comprehension(machine: Machine, node: Any, frame: Cell) -> Val:
    inner = Cell("frame", machine.place, parent=frame)
    for generator in node.generators:
        source = evaluate(machine, generator.iter, inner)
        if length(source) == 0:
            return machine.new("list")
        machine.assign(generator.target, element(machine, source).but(const=UNKNOWN), inner)
        for test in generator.ifs:
            evaluate(machine, test, inner)
    if isinstance(node, ast.DictComp):
        key, value = evaluate(machine, node.key, inner), evaluate(machine, node.value, inner)
        made = machine.new("dict", machine.tags(key), element=value)
        return made
    return machine.new("list", element=evaluate(machine, node.elt, inner).but(const=UNKNOWN))


def _yield(machine: Machine, node: ast.Yield | ast.YieldFrom, frame: Cell) -> Val:
    if node.value is not None and machine.yields:
        value = evaluate(machine, node.value, frame)
        machine.yields[-1].append(value if isinstance(node, ast.Yield) else element(machine, value))
    return Val()


def _walrus(machine: Machine, node: ast.NamedExpr, frame: Cell) -> Val:
    value = evaluate(machine, node.value, frame)
    machine.assign(node.target, value, frame)
    return value


def without_tokens(tags: Tags) -> Tags:
    """Return what is left of per-token knowledge once it is summed up."""
    return frozenset(tag for tag in tags if tag not in PER_TOKEN and not isinstance(tag, Looked))


EXPRESSIONS: dict[type[ast.expr], Callable[[Any, Any, Cell], Val]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.Attribute: _attribute,
    ast.BinOp: _binary,
    ast.Compare: _compare,
    ast.BoolOp: _boolean,
    ast.UnaryOp: _unary,
    ast.IfExp: _choice,
    ast.JoinedStr: _text,
    ast.Tuple: _tuple,
    ast.List: _list,
    ast.Set: _list,
    ast.Starred: _starred,
    ast.Dict: _dict,
    ast.Subscript: _subscript,
    ast.Slice: _slice,
    ast.Call: _call,
    ast.Lambda: _lambda,
    ast.ListComp: _comprehension,
    ast.SetComp: _comprehension,
    ast.GeneratorExp: _comprehension,
    ast.DictComp: _comprehension,
    ast.Yield: _yield,
    ast.YieldFrom: _yield,
    ast.Await: lambda machine, node, frame: evaluate(machine, node.value, frame),
    ast.NamedExpr: _walrus,
}
