"""The interpreter's statements: both branches are taken, and loops run twice."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from mulligan.review.flow import index, score
from mulligan.review.flow.attribute import attribute
from mulligan.review.flow.definition import Class
from mulligan.review.flow.expression import augment
from mulligan.review.flow.heap import Cell
from mulligan.review.flow.machine import Machine
from mulligan.review.flow.value import Fitted, Mark, Val

MOST_UNROLLED = 6


def _names_assigned(body: list[ast.stmt]) -> frozenset[str]:
    found: set[str] = set()
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.id)
    return frozenset(found)


def _expression(machine: Machine, node: ast.Expr, frame: Cell) -> None:
    machine.value(node.value, frame)


def _for(machine: Machine, node: ast.For, frame: Cell) -> str:
    source = machine.value(node.iter, frame)
    constants = source.items if source.items is not None and len(source.items) <= MOST_UNROLLED else None
    known = index.length(source)
    if known == 0:
        return machine.block(node.orelse, frame)
    names = _names_assigned([*node.body])

    def body(turn: int) -> str:
        machine.carry(names, frame)
        one = constants[turn - 1] if constants else index.element(machine, source)
        here = machine.running[-1]
        machine.assign(node.target, index.at_turn(one, here, keep_constant=bool(constants)), frame)
        return machine.block(node.body, frame)

    status = machine.loop(body, len(constants) if constants else 1 if known == 1 else 2)
    return status if status != "on" else machine.block(node.orelse, frame)


def _while(machine: Machine, node: ast.While, frame: Cell) -> str:
    names = _names_assigned(node.body)

    def body(_turn: int) -> str:
        machine.carry(names, frame)
        machine.line = node.lineno
        truth = index.truth(machine.value(node.test, frame))
        return "break" if truth is False else machine.block(node.body, frame)

    return machine.loop(body, 2)


def _if(machine: Machine, node: ast.If, frame: Cell) -> str:
    test = machine.value(node.test, frame)
    truth = index.truth(test)
    if truth is not None:
        taken = node.body if truth else node.orelse
        # what the folder says of settings is less sure than that the script ran
        return "on" if taken and isinstance(taken[-1], ast.Raise) else machine.block(taken, frame)
    before, outer, num_restored = machine.choosing, machine.guard, len(machine.restored)
    machine.choosing = before or Mark.BETTER in test.tags
    parts = node.test.values if isinstance(node.test, ast.BoolOp) and isinstance(node.test.op, ast.And) else [node.test]
    guard = frozenset(ast.unparse(part) for part in parts)

    leaving, gate = machine.leaving, machine.gate
    if score.gating(machine, machine.tags(test)):
        machine.gate = machine.place

    def then() -> str:
        machine.guard, machine.leaving = guard, leaving or isinstance(node.body[-1], ast.Break)
        return machine.block(node.body, frame)

    def otherwise() -> str:
        machine.guard, machine.leaving = outer, leaving
        return machine.block(node.orelse, frame)

    one, other = machine.heap.branch(then, otherwise, frame)
    machine.choosing, machine.guard, machine.leaving, machine.gate = before, outer, leaving, gate
    for cell in machine.restored[num_restored:]:  # what was learned under the same condition is gone with it
        kept = frozenset(t for t in cell.tags if not (isinstance(t, Fitted) and t.guard and t.guard <= guard))
        machine.heap.set_tags(cell, kept)
    if "on" in (one, other):
        return "on"
    return next((status for status in (one, other) if status in ("continue", "break")), one)


def _try(machine: Machine, node: ast.Try, frame: Cell) -> str:
    status = machine.block(node.body, frame)
    for handler in node.handlers:
        machine.heap.branch(lambda: "on", lambda handler=handler: machine.block(handler.body, frame), frame)  # type: ignore[misc]
    if status == "on":
        status = machine.block(node.orelse, frame)
    last = machine.block(node.finalbody, frame)
    return last if last != "on" else "on" if status == "raise" else status


def _with(machine: Machine, node: ast.With, frame: Cell) -> str:
    for item in node.items:
        value = machine.value(item.context_expr, frame)
        for cell in value.refs:
            enter = cell.cls.finds("__enter__") if cell.kind == "object" and cell.cls is not None else None
            if enter is not None:
                value = machine.call(machine, attribute(machine, value, "__enter__"), None, "__enter__", [], {})
                break
        if item.optional_vars is not None:
            machine.assign(item.optional_vars, value, frame)
    return machine.block(node.body, frame)


def _match(machine: Machine, node: ast.Match, frame: Cell) -> str:
    machine.value(node.subject, frame)
    for case in node.cases:
        machine.heap.branch(lambda case=case: machine.block(case.body, frame), lambda: "on", frame)  # type: ignore[misc]
    return "on"


def _assign(machine: Machine, node: ast.Assign, frame: Cell) -> None:
    value = machine.value(node.value, frame)
    for target in node.targets:
        machine.assign(target, value, frame)


def _annotated(machine: Machine, node: ast.AnnAssign, frame: Cell) -> None:
    if node.value is not None:
        machine.assign(node.target, machine.value(node.value, frame), frame)


def _augmented(machine: Machine, node: ast.AugAssign, frame: Cell) -> None:
    augment(machine, node, frame)


def _return(machine: Machine, node: ast.Return, frame: Cell) -> str:
    if machine.returns:
        machine.returns[-1].append(machine.value(node.value, frame) if node.value else Val(const=None))
    return "return"


def _function(machine: Machine, node: ast.FunctionDef, frame: Cell) -> None:
    machine.heap.set_name(frame, node.name, machine.define(node, frame, _owner(frame)))


def _owner(frame: Cell) -> Class | None:
    return frame.cls if frame.kind == "class" else None


def _class(machine: Machine, node: ast.ClassDef, frame: Cell) -> None:
    bases = [machine.value(base, frame) for base in node.bases]
    cell = Cell("class", machine.place, parent=frame)
    own = tuple(call for base in bases for call in base.calls if isinstance(call, Class))
    foreign = tuple(base.library or ast.unparse(given) for base, given in zip(bases, node.bases, strict=True) if not base.calls)
    cls = Class(node, cell, own, foreign)
    cell.cls = cls
    machine.heap.set_name(frame, node.name, Val(calls=(cls,)))
    machine.block(node.body, cell)
    cell.parent = frame


def _import(machine: Machine, node: ast.Import, frame: Cell) -> None:
    for alias in node.names:
        name = alias.asname or alias.name.split(".")[0]
        wanted = alias.name if alias.asname else name
        machine.heap.set_name(frame, name, module_value(machine, wanted))


def module_value(machine: Machine, name: str) -> Val:
    """Return a module of the submission, which is run for it, or the name of one outside."""
    if name in machine.modules:
        return Val(refs=frozenset({machine.import_module(name, name)}))
    return Val(library=name)


def _import_from(machine: Machine, node: ast.ImportFrom, frame: Cell) -> None:
    module = node.module or ""
    for alias in node.names:
        if module in machine.modules:
            found = machine.import_module(module, module)
            if alias.name == "*":
                for name, value in list(found.names.items()):
                    if isinstance(name, str) and name.startswith("_"):
                        continue
                    machine.heap.set_name(frame, name, value)
                continue
            value = found.names.get(alias.name) or module_value(machine, f"{module}.{alias.name}")
        else:
            value = module_value(machine, f"{module}.{alias.name}" if module else alias.name)
        machine.heap.set_name(frame, alias.asname or alias.name, value)


def _outer(machine: Machine, node: ast.Global | ast.Nonlocal, frame: Cell) -> None:
    for name in node.names:
        frame.names[("outer", name)] = Val()


STATEMENTS: dict[type[ast.stmt], Callable[[Machine, Any, Cell], str | None]] = {
    ast.Assign: _assign,
    ast.AnnAssign: _annotated,
    ast.AugAssign: _augmented,
    ast.Expr: _expression,
    ast.If: _if,
    ast.For: _for,
    ast.AsyncFor: _for,
    ast.While: _while,
    ast.Try: _try,
    ast.TryStar: _try,
    ast.With: _with,
    ast.AsyncWith: _with,
    ast.Match: _match,
    ast.FunctionDef: _function,
    ast.AsyncFunctionDef: _function,
    ast.ClassDef: _class,
    ast.Return: _return,
    ast.Break: lambda machine, node, frame: "break",
    ast.Continue: lambda machine, node, frame: "continue",
    ast.Raise: lambda machine, node, frame: "raise",
    ast.Import: _import,
    ast.ImportFrom: _import_from,
    ast.Global: _outer,
    ast.Nonlocal: _outer,
}
