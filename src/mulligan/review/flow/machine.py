"""The interpreter's statements: every function is followed where it is called, both branches are taken, loops run twice."""

from __future__ import annotations

import ast
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from mulligan.review.flow import expression, library, score
from mulligan.review.flow.heap import Cell, Heap
from mulligan.review.flow.value import (
    NONE,
    UNKNOWN,
    Data,
    Fault,
    Fitted,
    Mark,
    Place,
    Split,
    Tags,
    Turn,
    Val,
    dated,
    join,
    settled,
)

MOST_STATEMENTS = 400_000
MOST_SECONDS = 20.0
MOST_DEPTH = 40
MOST_UNROLLED = 6
ADAPTING = frozenset({"backward", "step", "grad", "at", "scatter_add_", "index_add_", "bincount", "scatter_add", "autograd"})


class Exhausted(Exception):
    """The script is longer than what is followed."""


@dataclass(frozen=True, eq=False)
class Function:
    """A function of the script. `frame`: where it was defined; `receiver`: of a bound method; `file`: which text."""

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    frame: Cell
    file: str
    defaults: Mapping[str, Val]
    receiver: Val | None = None
    owner: Class | None = None

    @property
    def name(self) -> str:
        """Its name in the script."""
        return getattr(self.node, "name", "<lambda>")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Function) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        return self.node, self.frame, self.receiver.refs if self.receiver is not None else None

    @property
    def adapts(self) -> bool:
        """Whether it learns from what it is given, by itself."""
        return _adapts(self.node)

    def bound(self, receiver: Val) -> Function:
        """Return it as a method of an object, or of a class where it says so."""
        names = {getattr(d, "id", getattr(d, "attr", "")) for d in getattr(self.node, "decorator_list", [])}
        held = any(cell.kind in ("object", "module", "optimizer") for cell in receiver.refs)
        if self.owner is None or "staticmethod" in names or not (held or "classmethod" in names):
            return self
        return Function(self.node, self.frame, self.file, self.defaults, receiver, self.owner)


@lru_cache(maxsize=8192)
def _adapts(node: ast.AST) -> bool:
    names = {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}
    return bool(names & ADAPTING) or any(isinstance(n, ast.BitXor) for n in ast.walk(node))


@dataclass(frozen=True, eq=False)
class Class:
    """A class of the script. `cell` holds what its body binds; `bases` are classes of the script, `foreign` dotted names."""

    node: ast.ClassDef
    cell: Cell
    bases: tuple[Class, ...]
    foreign: tuple[str, ...]

    def finds(self, name: str) -> Val | None:
        """Return an attribute of the class or of a base."""
        for cls in (self, *self.bases):
            found = cls.cell.names.get(name) if cls is self else cls.finds(name)
            if found is not None:
                return found
        return None

    @cached_property
    def is_module(self) -> bool:
        """Whether its instances are networks or parts of one."""
        return any(base.is_module for base in self.bases) or any(
            name.rsplit(".", 1)[-1].endswith("Module") for name in self.foreign
        )

    @cached_property
    def is_optimizer(self) -> bool:
        """Whether its instances are optimizers."""
        foreign = any("optim" in name.lower() for name in self.foreign)
        return foreign or any(base.is_optimizer for base in self.bases)

    @cached_property
    def changing(self) -> frozenset[str]:
        """Attributes that methods other than __init__ assign: they change from call to call."""
        found: set[str] = set()
        for method in self.node.body:
            if isinstance(method, ast.FunctionDef) and method.name != "__init__":
                for node in ast.walk(method):
                    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
                    found |= {t.attr for t in targets if isinstance(t, ast.Attribute) and isinstance(t.ctx, ast.Store)}
        return frozenset(found).union(*(base.changing for base in self.bases))


@dataclass
class Event:
    """Something that happened, in order: `what` it was, where, on which split, in which loops."""

    what: str
    place: Place
    data: frozenset[Data]
    loops: tuple[int, ...]
    detail: str = ""


@dataclass
class Machine:
    """`modules`: {dotted name: [(file, tree) of each layer]} of the submission. `settings`: environment variables that are given;
    None for one that is given in several ways."""

    modules: Mapping[str, list[tuple[str, ast.Module]]]
    settings: Mapping[str, str | None]
    heap: Heap = field(default_factory=Heap)
    running: list[Turn] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    faults: dict[Fault, str] = field(default_factory=dict)
    pending: Cell = field(default_factory=lambda: Cell("tensor"))
    disk: Cell = field(default_factory=lambda: Cell("tensor"))
    loaded: dict[str, Cell] = field(default_factory=dict)
    choosing: bool = False
    guard: frozenset[str] = frozenset()
    restored: list[Cell] = field(default_factory=list)
    statements: int = 0
    loops: int = 0
    file: str = ""
    line: int = 0
    stack: list[Any] = field(default_factory=list)
    returns: list[list[Val]] = field(default_factory=list)
    yields: list[list[Val]] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)

    @property
    def place(self) -> Place:
        """Where the script is."""
        return self.file, self.line

    @property
    def open_loops(self) -> frozenset[int]:
        """The loops that are running."""
        return frozenset(turn.loop for turn in self.running)

    def note(self, what: str, tags: Tags, detail: str = "") -> None:
        """Note an event."""
        data = frozenset(tag for tag in tags if isinstance(tag, Data))
        self.events.append(Event(what, self.place, data, tuple(turn.loop for turn in self.running), detail))

    def new(self, kind: Any, tags: Tags = NONE, cls: Any = None, element: Val | None = None) -> Val:
        """Return a value that refers to a new cell."""
        cell = Cell(kind, self.place, cls)
        cell.tags, cell.element, cell.loops = tags, element, tuple(turn.loop for turn in self.running)
        return Val(refs=frozenset({cell}))

    def tags(self, value: Val, depth: int = 3) -> Tags:
        """Return all that is known of a value's content, iterations of ended loops left out."""
        return settled(self._tags(value, depth, set()), self.open_loops)

    def _tags(self, value: Val, depth: int, seen: set[int]) -> Tags:
        found = value.tags
        for item in value.items or ():
            found |= self._tags(item, depth, seen)
        for cell in value.refs:
            if cell.number in seen:
                continue
            seen.add(cell.number)
            found |= cell.tags
            if cell.element is not None and depth:
                found |= self._tags(cell.element, depth - 1, seen)
            if cell.kind in ("object", "module", "library", "dict") and depth:
                for held in list(cell.names.values()):
                    found |= self._tags(held, depth - 1, seen)
        return found

    def run(self, module: str) -> None:
        """Run a module of the submission as the program."""
        self.import_module(module, "__main__")

    def import_module(self, module: str, name: str) -> Cell:
        """Run a module once and return its variables."""
        if module not in self.loaded:
            frame = self.loaded[module] = Cell("frame")
            frame.names["__name__"] = Val(const=name)
            before = self.place
            for file, tree in self.modules[module]:
                self.file = file
                self.block(tree.body, frame)
            self.file, self.line = before
        return self.loaded[module]

    def block(self, body: list[ast.stmt], frame: Cell) -> str:
        """Run statements; return `on`, `return`, `break`, `continue` or `raise`."""
        for statement in body:
            self.statements += 1
            if self.statements > MOST_STATEMENTS or (
                self.statements % 256 == 0 and time.monotonic() - self.started > MOST_SECONDS
            ):
                raise Exhausted(f"{self.statements:,} statements followed")
            self.line = statement.lineno
            run = STATEMENTS.get(type(statement))
            status = run(self, statement, frame) if run else "on"
            if status and status != "on":
                return status
        return "on"

    def value(self, node: ast.expr, frame: Cell) -> Val:
        """Evaluate an expression."""
        return expression.evaluate(self, node, frame)

    def lookup(self, name: str, frame: Cell) -> Val:
        """Return a variable, from the inside to the outside."""
        cell: Cell | None = frame
        while cell is not None:
            found = cell.names.get(name)
            if found is not None:
                return found
            cell = cell.parent
        return Val(library=name)

    def assign(self, target: ast.expr, value: Val, frame: Cell) -> None:
        """Bind a target."""
        if self.choosing and Mark.SCORE in self.tags(value):
            value = value.but(tags=value.tags | score.oracle(self))
        if isinstance(target, ast.Name):
            self.bind(target.id, value, frame)
        elif isinstance(target, ast.Starred):
            self.assign(target.value, self.new("list", element=value), frame)
        elif isinstance(target, ast.Tuple | ast.List):
            items = value.items if value.items is not None and len(value.items) == len(target.elts) else None
            starred = any(isinstance(one, ast.Starred) for one in target.elts)
            for i, one in enumerate(target.elts):
                self.assign(one, items[i] if items and not starred else expression.element(self, value), frame)
        elif isinstance(target, ast.Attribute):
            self.set_attribute(self.value(target.value, frame), target.attr, value)
        elif isinstance(target, ast.Subscript):
            base, index = self.value(target.value, frame), self.value(target.slice, frame)
            expression.store(self, base, index, value)
            if not base.refs and not base.library and isinstance(target.value, ast.Name):
                changed = expression.combine(self, [base.but(items=None), value])
                self.bind(target.value.id, base.but(tags=changed.tags, const=UNKNOWN, items=None), frame)

    def bind(self, name: str, value: Val, frame: Cell) -> None:
        """Bind a variable, where `global` or `nonlocal` says so further outside."""
        outer = frame.names.get(("outer", name))
        if outer is not None:
            cell = frame.parent
            while cell is not None and cell.parent is not None and name not in cell.names:
                cell = cell.parent
            frame = cell or frame
        self.heap.set_name(frame, name, value)

    def set_attribute(self, target: Val, name: str, value: Val) -> None:
        """Set an attribute; the tensor of a parameter is replaced by setting `data`."""
        for cell in target.refs:
            if target.part and name == "data":
                self.heap.set_tags(cell, library.learned(self.tags(value)))
            elif cell.kind == "tensor" and name == "data":
                self.heap.set_tags(cell, self.tags(value))
            elif len(target.refs) == 1:
                self.heap.set_name(cell, name, value)
            else:
                old = cell.names.get(name)
                self.heap.set_name(cell, name, value if old is None else join([old, value]))
        for call in target.calls:
            if isinstance(call, Class):
                self.heap.set_name(call.cell, name, value)

    # -- functions

    def define(self, node: Any, frame: Cell, owner: Class | None = None) -> Val:
        """Return the value of a function's definition."""
        arguments = node.args
        positional = [*arguments.posonlyargs, *arguments.args]
        with_default = positional[len(positional) - len(arguments.defaults) :]
        pairs = [*zip(with_default, arguments.defaults, strict=True)]
        pairs += [(a, d) for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if d is not None]
        defaults = {argument.arg: self.value(default, frame) for argument, default in pairs}
        return Val(calls=(Function(node, frame, self.file, defaults, None, owner),))

    def call_function(self, function: Function, given: list[Val], named: dict[str, Val]) -> Val:
        """Run a function of the script with arguments, and return what it returns."""
        if len(self.stack) >= MOST_DEPTH or self.stack.count(function.node) > 1:
            return Val(frozenset().union(*(self.tags(v) for v in [*given, *named.values()])))
        frame = Cell("frame", self.place, parent=function.frame)
        self._bind_arguments(function, given, named, frame)
        before = self.place
        self.stack.append(function.node)
        self.returns.append([])
        self.yields.append([])
        self.file = function.file
        try:
            if isinstance(function.node, ast.Lambda):
                return self.value(function.node.body, frame)
            status = self.block(function.node.body, frame)
            found, yielded = self.returns[-1], self.yields[-1]
            if yielded:
                return self.new("list", element=join(yielded))
            if status == "on":
                found = [*found, Val(const=None)] if not found else found
            return join(found) if found else Val(const=None)
        finally:
            self.stack.pop()
            self.returns.pop()
            self.yields.pop()
            self.file, self.line = before

    def _bind_arguments(self, function: Function, given: list[Val], named: dict[str, Val], frame: Cell) -> None:
        arguments = function.node.args
        positional = [a.arg for a in (*arguments.posonlyargs, *arguments.args)]
        values = ([function.receiver] if function.receiver is not None else []) + given
        for name, default in function.defaults.items():
            frame.names[name] = default
        for name, value in zip(positional, values, strict=False):
            frame.names[name] = value
        if arguments.vararg:
            frame.names[arguments.vararg.arg] = Val(items=tuple(values[len(positional) :]))
        names = {*positional, *(a.arg for a in arguments.kwonlyargs)}
        frame.names.update({name: value for name, value in named.items() if name in names})
        if arguments.kwarg:
            rest = self.new("dict")
            for name, value in named.items():
                if name not in names:
                    next(iter(rest.refs)).names[name] = value
            frame.names[arguments.kwarg.arg] = rest
        for name in names:
            frame.names.setdefault(name, Val())

    # -- loops

    def loop(self, body: Callable[[int], str], times: int) -> str:
        """Run a loop's body for its first iterations, each with its own mark."""
        self.loops += 1
        number = self.loops
        status = "on"
        for turn in range(1, times + 1):
            self.running.append(Turn(number, turn))
            try:
                status = body(turn)
            finally:
                self.running.pop()
            if status in ("break", "return", "raise"):
                break
        return status if status in ("return", "raise") else "on"

    def carry(self, names: frozenset[str], frame: Cell) -> None:
        """Let what a loop's body assigns depend on the iteration."""
        turn = self.running[-1]
        for name in names:
            value = frame.names.get(name)
            if value is not None and not value.refs and not value.calls and value.items is None:
                self.heap.set_name(frame, name, value.but(const=UNKNOWN, tags=dated(value.tags, [turn]) | {turn}))


def _names_assigned(body: list[ast.stmt]) -> frozenset[str]:
    found: set[str] = set()
    for statement in body:
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.id)
    return frozenset(found)


def _for(machine: Machine, node: ast.For, frame: Cell) -> str:
    source = machine.value(node.iter, frame)
    constants = source.items if source.items is not None and len(source.items) <= MOST_UNROLLED else None
    known = expression.length(source)
    if known == 0:
        return machine.block(node.orelse, frame)
    names = _names_assigned([*node.body])

    def body(turn: int) -> str:
        machine.carry(names, frame)
        one = constants[turn - 1] if constants else expression.element(machine, source)
        here = machine.running[-1]
        machine.assign(node.target, expression.at_turn(one, here, keep_constant=bool(constants)), frame)
        return machine.block(node.body, frame)

    status = machine.loop(body, len(constants) if constants else 1 if known == 1 else 2)
    return status if status != "on" else machine.block(node.orelse, frame)


def _while(machine: Machine, node: ast.While, frame: Cell) -> str:
    names = _names_assigned(node.body)

    def body(_turn: int) -> str:
        machine.carry(names, frame)
        machine.line = node.lineno
        truth = expression.truth(machine.value(node.test, frame))
        return "break" if truth is False else machine.block(node.body, frame)

    return machine.loop(body, 2)


def _if(machine: Machine, node: ast.If, frame: Cell) -> str:
    test = machine.value(node.test, frame)
    truth = expression.truth(test)
    if truth is not None:
        taken = node.body if truth else node.orelse
        # what the folder says of settings is less sure than that the script ran
        return "on" if taken and isinstance(taken[-1], ast.Raise) else machine.block(taken, frame)
    before, outer, num_restored = machine.choosing, machine.guard, len(machine.restored)
    machine.choosing = before or Mark.BETTER in test.tags
    parts = node.test.values if isinstance(node.test, ast.BoolOp) and isinstance(node.test.op, ast.And) else [node.test]
    guard = frozenset(ast.unparse(part) for part in parts)

    def then() -> str:
        machine.guard = guard
        return machine.block(node.body, frame)

    def otherwise() -> str:
        machine.guard = outer
        return machine.block(node.orelse, frame)

    one, other = machine.heap.branch(then, otherwise, frame)
    machine.choosing, machine.guard = before, outer
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
    expression.augment(machine, node, frame)


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
                    machine.heap.set_name(frame, name, value)
                continue
            value = found.names.get(alias.name) or module_value(machine, f"{module}.{alias.name}")
        else:
            value = module_value(machine, f"{module}.{alias.name}" if module else alias.name)
        machine.heap.set_name(frame, alias.asname or alias.name, value)


def _outer(machine: Machine, node: ast.Global | ast.Nonlocal, frame: Cell) -> None:
    for name in node.names:
        frame.names[("outer", name)] = Val()


def _delete(machine: Machine, node: ast.Delete, frame: Cell) -> None:
    return None


STATEMENTS: dict[type[ast.stmt], Callable[[Machine, Any, Cell], str | None]] = {
    ast.Assign: _assign,
    ast.AnnAssign: _annotated,
    ast.AugAssign: _augmented,
    ast.Expr: lambda machine, node, frame: "on" if machine.value(node.value, frame) else "on",
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
    ast.Delete: _delete,
}

__all__ = ["Class", "Event", "Exhausted", "Fitted", "Function", "Machine", "Split"]
