"""Small questions to the syntax of a submission: which functions there are, which are reached, what names stand for."""

import ast
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

from mulligan.review.subject import Subject
from mulligan.script.source import Source

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, eq=False)
class Scope:
    """A function or, where `node` is a module, what stands outside of all functions.

    `owner`: the class of a method. `outer`: the scope that it stands in.
    """

    source: Source
    node: Function | ast.Module
    owner: str | None
    outer: "Scope | None"

    @property
    def name(self) -> str:
        """The function's name; empty for a module."""
        return "" if isinstance(self.node, ast.Module) else self.node.name

    @property
    def parameters(self) -> list[ast.arg]:
        """The function's parameters in order, those by keyword last."""
        if isinstance(self.node, ast.Module):
            return []
        arguments = self.node.args
        return [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]

    @cached_property
    def nodes(self) -> tuple[ast.AST, ...]:
        """The scope's nodes in the order of its text, without those of functions inside of it; bodies of classes count."""
        found: list[ast.AST] = []
        waiting: list[ast.AST] = list(reversed(self.node.body))
        while waiting:
            node = waiting.pop()
            found.append(node)
            if not isinstance(node, Function):
                waiting.extend(reversed(list(ast.iter_child_nodes(node))))
        return tuple(found)


def scopes(subject: Subject) -> tuple[Scope, ...]:
    """Return every module and every function of the submission, also those inside of classes and functions."""
    return tuple(scope for source in subject.sources for scope in _scopes(source))


@lru_cache(maxsize=64)
def _scopes(source: Source) -> tuple[Scope, ...]:
    found = [Scope(source, source.tree, None, None)]

    def visit(node: ast.AST, owner: str | None, outer: Scope) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, Function):
                inner = Scope(source, child, owner, outer)
                found.append(inner)
                visit(child, None, inner)
            else:
                visit(child, child.name if isinstance(child, ast.ClassDef) else owner, outer)

    visit(source.tree, None, found[0])
    return tuple(found)


def last_name(node: ast.AST) -> str:
    """Return the last part of a dotted name: `c` of `a.b.c`; empty where it is none."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


@lru_cache(maxsize=2)
def reached(subject: Subject) -> tuple[Scope, ...]:
    """Return the modules and those functions whose name a reached scope uses: an upper bound on what runs."""
    every = scopes(subject)
    by_name: dict[str, list[Scope]] = {}
    for scope in every:
        by_name.setdefault(scope.name, []).append(scope)
    done: dict[int, Scope] = {}
    waiting = [scope for scope in every if isinstance(scope.node, ast.Module)]
    while waiting:
        scope = waiting.pop()
        if id(scope) in done:
            continue
        done[id(scope)] = scope
        for node in scope.nodes:
            if isinstance(node, (ast.Name, ast.Attribute)):
                waiting += [other for other in by_name.get(last_name(node), ()) if id(other) not in done]
            elif isinstance(node, ast.ClassDef):
                waiting += [other for other in every if other.owner == node.name and other.name.startswith("__")]
            elif isinstance(node, Function):  # `forward` and hooks are called by the library
                waiting += [other for other in by_name[node.name] if other.owner or node.decorator_list]
    return tuple(scope for scope in every if id(scope) in done)


def assigned(node: ast.AST) -> list[tuple[ast.expr, ast.expr]]:
    """Return (target, value) of an assignment of any form but `+=`; names of a tuple apart where the value is a tuple."""
    if isinstance(node, ast.Assign):
        return [pair for target in node.targets for pair in _apart(target, node.value)]
    if isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
        return [(node.target, node.value)]
    return []


def _apart(target: ast.expr, value: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    several = (ast.Tuple, ast.List)
    if not isinstance(target, several) or not isinstance(value, several) or len(target.elts) != len(value.elts):
        return [(target, value)]
    if any(isinstance(one, ast.Starred) for one in (*target.elts, *value.elts)):
        return [(target, value)]
    return [pair for one, other in zip(target.elts, value.elts, strict=True) for pair in _apart(one, other)]


def constants(source: Source) -> dict[str, Any]:
    """Return {name: literal} of the names that a module binds exactly once, to a literal, outside of its functions."""
    found: dict[str, list[ast.expr]] = {}
    for statement in source.tree.body:
        for target, value in assigned(statement):
            if isinstance(target, ast.Name):
                found.setdefault(target.id, []).append(value)
    single = {name: values[0] for name, values in found.items() if len(values) == 1}
    return {name: value.value for name, value in single.items() if isinstance(value, ast.Constant)}
