"""The interpreter's expressions."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mulligan.review.flow import library, score
from mulligan.review.flow.arithmetic import binary, compare
from mulligan.review.flow.attribute import attribute
from mulligan.review.flow.heap import Cell
from mulligan.review.flow.index import PARTS, combine, element, length, store, subscript, truth
from mulligan.review.flow.value import MOST_TEXT, NONE, UNKNOWN, Cut, Mark, Tags, Turn, Val, join, learned, split_named

if TYPE_CHECKING:
    from mulligan.review.flow.machine import Machine


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


def _constant(machine: Machine, node: ast.Constant, frame: Cell) -> Val:
    if isinstance(node.value, str):
        return Val(split_named(node.value), const=node.value, text=node.value)
    return Val(const=node.value)


def _name(machine: Machine, node: ast.Name, frame: Cell) -> Val:
    return machine.lookup(node.id, frame)


def _attribute(machine: Machine, node: ast.Attribute, frame: Cell) -> Val:
    return attribute(machine, evaluate(machine, node.value, frame), node.attr)


def _binary(machine: Machine, node: ast.BinOp, frame: Cell) -> Val:
    left, right = evaluate(machine, node.left, frame), evaluate(machine, node.right, frame)
    machine.line = node.lineno
    return binary(machine, type(node.op), left, right, node)


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
            machine.heap.add_tags(cell, learned(checked) if old.part else checked)
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
    first = node.generators[0]
    if isinstance(node, ast.GeneratorExp) and len(node.generators) == 1 and not first.ifs:
        source = evaluate(machine, first.iter, inner)
        if source.items is not None and 0 < len(source.items) <= MOST_UNROLLED:
            return Val(items=tuple(_bound(machine, node, first.target, item, inner) for item in source.items))
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


def _bound(machine: Machine, node: ast.GeneratorExp, target: ast.expr, item: Val, frame: Cell) -> Val:
    machine.assign(target, item, frame)
    return evaluate(machine, node.elt, frame)


def _yield(machine: Machine, node: ast.Yield | ast.YieldFrom, frame: Cell) -> Val:
    if node.value is not None and machine.yields:
        value = evaluate(machine, node.value, frame)
        machine.yields[-1].append(value if isinstance(node, ast.Yield) else element(machine, value))
    return Val()


def _walrus(machine: Machine, node: ast.NamedExpr, frame: Cell) -> Val:
    value = evaluate(machine, node.value, frame)
    machine.assign(node.target, value, frame)
    return value


MOST_UNROLLED = 6
EXPRESSIONS: dict[type[ast.expr], Callable[[Any, Any, Cell], Val]] = {
    ast.Constant: _constant,
    ast.Name: _name,
    ast.Attribute: _attribute,
    ast.BinOp: _binary,
    ast.Compare: compare,
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
