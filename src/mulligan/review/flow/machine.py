"""The interpreter's state: every function is followed where it is called, loops run twice."""

from __future__ import annotations

import ast
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mulligan.review.flow import index, score
from mulligan.review.flow.definition import Class, Function
from mulligan.review.flow.heap import Cell, Heap
from mulligan.review.flow.value import NONE, UNKNOWN, Data, Fault, Place, Tags, Turn, Val, join, learned, settled, viewed

MOST_STATEMENTS = 400_000
MOST_SECONDS = 6.0
MOST_DEPTH = 40


class ExhaustedError(Exception):
    """The script is longer than what is followed."""


@dataclass
class Event:
    """Something that happened, in order: `what` it was, where, on which split, in which loops; `leaving` the innermost?"""

    what: str
    place: Place
    data: frozenset[Data]
    loops: tuple[int, ...]
    detail: str = ""
    leaving: bool = False


@dataclass
class Machine:
    """`modules`: {dotted name: [(file, tree) of each layer]} of the submission. `settings`: environment variables that are
    given; None for one that is given in several ways. `language`, `evaluate`, `call`: how it runs.
    """

    modules: Mapping[str, list[tuple[str, ast.Module]]]
    settings: Mapping[str, str | None]
    language: Mapping[type[ast.stmt], Callable[[Any, Any, Cell], str | None]]
    evaluate: Callable[[Any, ast.expr, Cell], Val]
    call: Callable[..., Val]
    heap: Heap = field(default_factory=Heap)
    running: list[Turn] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    faults: dict[Fault, str] = field(default_factory=dict)
    pending: Cell = field(default_factory=lambda: Cell("tensor"))
    disk: Cell = field(default_factory=lambda: Cell("tensor"))
    loaded: dict[str, Cell] = field(default_factory=dict)
    choosing: bool = False
    gate: Place | None = None
    leaving: bool = False
    guard: frozenset[str] = frozenset()
    restored: list[Cell] = field(default_factory=list)
    statements: int = 0
    loops: int = 0
    file: str = ""
    line: int = 0
    stack: list[Any] = field(default_factory=list)
    returns: list[list[Val]] = field(default_factory=list)
    yields: list[list[Val]] = field(default_factory=list)
    started: float = field(default_factory=time.process_time)

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
        loops = tuple(turn.loop for turn in self.running)
        self.events.append(Event(what, self.place, data, loops, detail, self.leaving))

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
            found |= viewed(cell.tags, value.view)
            if cell.element is not None and depth:
                found |= viewed(self._tags(cell.element, depth - 1, seen), value.view)
            if cell.kind in ("object", "module", "library", "dict") and depth and not value.part:
                for held in list(cell.names.values()):
                    found |= viewed(self._tags(held, depth - 1, seen), value.view)
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
                self.statements % 64 == 0 and time.process_time() - self.started > MOST_SECONDS
            ):
                raise ExhaustedError(f"{self.statements:,} statements followed")
            self.line = statement.lineno
            run = self.language.get(type(statement))
            status = run(self, statement, frame) if run else "on"
            if status and status != "on":
                return status
        return "on"

    def value(self, node: ast.expr, frame: Cell) -> Val:
        """Evaluate an expression."""
        return self.evaluate(self, node, frame)

    def invoke(self, function: Val, given: list[Val]) -> Val:
        """Return the result of calling a value."""
        return self.call(self, function, None, "", given, {})

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
        if self.choosing and score.says_something(self.tags(value)):
            value = value.but(tags=value.tags | score.oracle(self))
        if isinstance(target, ast.Name):
            self.bind(target.id, value, frame)
        elif isinstance(target, ast.Starred):
            self.assign(target.value, self.new("list", element=value), frame)
        elif isinstance(target, ast.Tuple | ast.List):
            items = value.items if value.items is not None and len(value.items) == len(target.elts) else None
            starred = any(isinstance(one, ast.Starred) for one in target.elts)
            for i, one in enumerate(target.elts):
                self.assign(one, items[i] if items and not starred else index.element(self, value), frame)
        elif isinstance(target, ast.Attribute):
            self.set_attribute(self.value(target.value, frame), target.attr, value)
        elif isinstance(target, ast.Subscript):
            base, at = self.value(target.value, frame), self.value(target.slice, frame)
            index.store(self, base, at, value)
            if not base.refs and not base.library and isinstance(target.value, ast.Name):
                changed = index.combine(self, [base.but(items=None), value])
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
                self.heap.set_tags(cell, learned(self.tags(value)))
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
                found = found or [Val(const=None)]
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
                tags = value.tags
                if not any(isinstance(tag, Data) for tag in tags):  # tokens of an earlier round stay those of that round
                    tags = frozenset(t for t in tags if not (isinstance(t, Turn) and t.loop == turn.loop)) | {turn}
                self.heap.set_name(frame, name, value.but(const=UNKNOWN, tags=tags))
