"""What an expression of a script stands for: only the statements before it that it depends on are run.

An argument of a function is what its caller gives, found in the same way.
"""

import ast
import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import CodeType, FunctionType
from typing import Any

DEEPEST = 8
PROBLEM, PROBLEMS = "_mulligan_problem", "_mulligan_problems"
Function = ast.FunctionDef | ast.AsyncFunctionDef
Frame = dict[str, Any]


class NotFoundError(ValueError):
    """What an expression needs is nowhere to be had."""


@dataclass
class Script:
    """A script's syntax with the module that it became. `given`: values that are not worked out but taken."""

    tree: ast.Module
    globals: dict[str, Any]
    given: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.parents = {child: node for node in ast.walk(self.tree) for child in ast.iter_child_nodes(node)}
        self.calls: dict[str, list[ast.Call]] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                self.calls.setdefault(last_name(node.func), []).append(node)

    def function_of(self, node: ast.AST) -> Function | None:
        """Return the function that a node stands in, None at the top level."""
        while node in self.parents:
            node = self.parents[node]
            if isinstance(node, Function):
                return node
        return None

    def class_of(self, node: ast.AST) -> ast.ClassDef | None:
        """Return the class that a node stands in, if any."""
        while node in self.parents:
            node = self.parents[node]
            if isinstance(node, ast.ClassDef):
                return node
        return None

    def settle_globals(self) -> None:
        """Bind what functions bind by `global`, where it is None or not there: a run would have bound it by then."""
        for statement in (node for node in ast.walk(self.tree) if isinstance(node, ast.Global)):
            function = self.function_of(statement)
            for one in ast.walk(function) if function else ():
                if isinstance(one, ast.Assign) and len(one.targets) == 1 and isinstance(one.targets[0], ast.Name):
                    name = one.targets[0].id
                    if name in statement.names and self.globals.get(name) is None:
                        with contextlib.suppress(Exception):
                            self.globals[name] = self.value(one.value)

    def value(self, node: ast.expr, depth: int = 0) -> Any:
        """Return what an expression comes to where it stands; whatever the code raises comes through."""
        function = self.function_of(node)
        statements, needed = self.slice_before(node, function)
        frame: Frame = {name: self.given[name] for name in needed if name in self.given}
        for name in needed - frame.keys():
            if function is not None and name in parameters(function):
                frame[name] = self.argument(function, name, depth + 1)
        frame |= self.closure(function, needed - frame.keys(), depth) if function else {}
        return self.run(statements, node, frame)

    def slice_before(self, node: ast.AST, function: Function | None) -> tuple[list[ast.stmt], set[str]]:
        """Return the statements before a node, in its function, that bind what it needs; and all the names needed."""
        needed, found, at = loaded(node), list[ast.stmt](), node
        while at in self.parents and at is not function:
            parent = self.parents[at]
            if function is None and isinstance(parent, ast.Module):
                break  # these have run
            for block in blocks(parent):
                if at in block:
                    for statement in reversed(block[: block.index(at)]):
                        if (stored(statement) | touched(statement)) & needed - self.given.keys():
                            found.insert(0, statement)
                            needed |= loaded(statement)
            at = parent
        return found, needed

    def argument(self, function: Function, name: str, depth: int) -> Any:
        """Return what a function is called with: by the first caller whose argument can be worked out, else the default."""
        problem: Exception = NotFoundError(f"nothing says what `{name}` of {function.name} is")
        if depth > DEEPEST:
            raise problem
        for call in self.calls.get(function.name, []):
            given = passed(call, function, name)
            if given is None or self.function_of(call) is function:
                continue
            try:
                return self.value(given, depth)
            except Exception as error:
                problem = error
        default = default_of(function, name)
        if default is not None:
            return self.value(default, depth)
        raise problem

    def closure(self, function: Function, names: set[str], depth: int) -> Frame:
        """Return what a function within another one reads of that one's names."""
        outer = self.function_of(function)
        if outer is None or depth > DEEPEST:
            return {}
        own = {name for statement in outer.body for name in stored(statement)} | set(parameters(outer))
        frame: Frame = {}
        for name in (names & own) - loaded_names_of(function):
            place = ast.copy_location(ast.Name(name, ast.Load()), function)
            self.parents[place] = self.parents[function]
            frame[name] = self.run(self.slice_before(function, outer)[0], place, {})
        return frame

    def run(self, statements: list[ast.stmt], result: ast.expr, frame: Frame) -> Any:
        """Run statements, passing over those that fail, and return the value of an expression."""
        guarded: list[ast.stmt] = [_guarded(statement) for statement in statements]
        problems = list[Exception]()
        frame = {**frame, PROBLEMS: problems}
        names = [ast.arg(name) for name in sorted(frame)]
        arguments = ast.arguments(posonlyargs=[], args=names, kwonlyargs=[], kw_defaults=[], defaults=[])
        body = [*guarded, ast.Return(result)]
        whole = ast.FunctionDef("sliced", arguments, body, [], None, None)
        if hasattr(whole, "type_params"):
            whole.type_params = []
        tree = ast.fix_missing_locations(ast.Module([whole], []))
        code = next(const for const in compile(tree, "<slice>", "exec").co_consts if isinstance(const, CodeType))
        try:
            return FunctionType(code, self.globals)(**frame)
        except NameError:
            if problems:
                raise problems[0] from None  # why a name is not bound says more than that it is not
            raise


def _guarded(statement: ast.stmt) -> ast.stmt:
    if isinstance(statement, (ast.Global, ast.Nonlocal, ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom)):
        return statement
    keep = ast.Call(ast.Attribute(ast.Name(PROBLEMS, ast.Load()), "append", ast.Load()), [ast.Name(PROBLEM, ast.Load())], [])
    handler = ast.ExceptHandler(ast.Name("Exception", ast.Load()), PROBLEM, [ast.Expr(keep)])
    return ast.Try([statement], [handler], [], [])


def blocks(node: ast.AST) -> Iterator[list[ast.stmt]]:
    """Yield the lists of statements of a node."""
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if isinstance(block, list):
            yield block


def loaded(node: ast.AST) -> set[str]:
    """Return the names that a node reads."""
    return {one.id for one in ast.walk(node) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)}


def loaded_names_of(function: Function) -> set[str]:
    """Return the names that a function binds itself."""
    return {name for statement in function.body for name in stored(statement)}


def stored(statement: ast.stmt) -> set[str]:
    """Return the names that a statement binds."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {statement.name}
    found = {one.id for one in ast.walk(statement) if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    for one in ast.walk(statement):
        if isinstance(one, (ast.Import, ast.ImportFrom)):
            found |= {(alias.asname or alias.name).split(".")[0] for alias in one.names}
    return found


def touched(statement: ast.stmt) -> set[str]:
    """Return the names whose object a statement changes: `name.x = ...`, `name[i] = ...`, or calls for its own sake."""
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, (ast.AugAssign, ast.AnnAssign)):
        targets = [statement.target]
    elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        targets = [statement.value.func] if isinstance(statement.value.func, ast.Attribute) else []
    found = set()
    for target in targets:
        at: ast.expr = target
        while isinstance(at, (ast.Attribute, ast.Subscript)):
            at = at.value
        if isinstance(at, ast.Name) and at is not target:
            found.add(at.id)
    return found


def last_name(node: ast.expr) -> str:
    """Return the last part of a dotted name, empty for another expression."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def parameters(function: Function) -> list[str]:
    """Return the names of a function's parameters, those by position first."""
    arguments = function.args
    return [one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]


def passed(call: ast.Call, function: Function, name: str) -> ast.expr | None:
    """Return the expression that a call gives for a parameter."""
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    place = parameters(function).index(name)
    if place < len(call.args) and not any(isinstance(one, ast.Starred) for one in call.args[: place + 1]):
        return call.args[place]
    return None


def default_of(function: Function, name: str) -> ast.expr | None:
    """Return the default of a parameter."""
    arguments = function.args
    plain = [*arguments.posonlyargs, *arguments.args]
    pairs = [*zip(plain[len(plain) - len(arguments.defaults) :], arguments.defaults, strict=True)]
    pairs += [(one, value) for one, value in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if value]
    return next((value for one, value in pairs if one.arg == name), None)
