"""The parameters of a script's network by their names, as its classes make them; no class is instantiated."""

import ast
import operator
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from mulligan.review.constants import number
from mulligan.review.syntax import Scope, assigned, last_name

MATRICES = frozenset({"Linear", "Embedding", "EmbeddingBag"})
OTHERS = {"LayerNorm": 1, "RMSNorm": None, "Conv1d": 3, "Conv2d": 4}
"""Layers of the library by the dimensions of their `weight`; None: only some have one, and none is taken for granted."""
LISTS = frozenset({"ModuleList", "Sequential", "ParameterList", "ModuleDict", "ParameterDict"})
MOST_DEPTH = 8
COMPARED: Mapping[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


@dataclass(frozen=True, eq=False)
class Parameter:
    """`ndim`: None where it is not known. `line`: where it is made, in `file`."""

    name: str
    ndim: int | None
    file: str
    line: int


@dataclass(frozen=True, eq=False)
class Module:
    """`parts`: attributes and list entries in the order in which they are made."""

    parts: dict[str, "Module | Parameter"] = field(default_factory=dict)

    def named_parameters(self, before: str = "") -> Iterator[tuple[str, Parameter]]:
        """Yield (name below this module, parameter)."""
        for name, part in self.parts.items():
            if isinstance(part, Parameter):
                yield before + name, part
            else:
                yield from part.named_parameters(f"{before}{name}.")


class Classes:
    """The classes of a script that are modules. `given`: settings that the instructions ask for, {variable: value}."""

    def __init__(self, scopes: tuple[Scope, ...], given: Mapping[str, str]) -> None:
        self.inits = {scope.owner: scope for scope in scopes if scope.name == "__init__" and scope.owner}
        self.bases: dict[str, list[str]] = {}
        self.given = given
        self.settings: dict[str, float | None] = {}
        for scope in scopes:
            for node in scope.nodes:
                if isinstance(node, ast.ClassDef):
                    self.bases[node.name] = [last_name(base) for base in node.bases]
                    for statement in node.body:
                        self._set(statement)
            if isinstance(scope.node, ast.Module):
                for statement in scope.node.body:
                    self._set(statement)

    def _set(self, statement: ast.stmt) -> None:
        """Note the literal that a setting has by itself; one that is set twice has none."""
        for target, value in assigned(statement):
            if isinstance(target, ast.Name):
                texts = [
                    node.value for node in ast.walk(value) if isinstance(node, ast.Constant) and isinstance(node.value, str)
                ]
                asked = [self.given[text] for text in texts if text in self.given]
                worth = float(asked[0]) if asked else setting(value)
                self.settings[target.id] = None if target.id in self.settings else worth

    def holds(self, test: ast.expr) -> bool | None:
        """Return whether a condition on settings holds by itself; None where it is not known."""
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            found = self.holds(test.operand)
            return None if found is None else not found
        if isinstance(test, ast.Compare) and len(test.ops) == 1:
            left, right = self.worth(test.left), self.worth(test.comparators[0])
            known = COMPARED.get(type(test.ops[0]))
            return known(left, right) if known and left is not None and right is not None else None
        if isinstance(test, ast.BoolOp):
            several = [self.holds(one) for one in test.values]
            decided = isinstance(test.op, ast.Or)
            return decided if decided in several else None if None in several else not decided
        worth = self.worth(test)
        return None if worth is None else bool(worth)

    def worth(self, node: ast.expr) -> float | None:
        """Return the number that a setting, by its last name, or a literal is."""
        return self.settings.get(last_name(node)) if isinstance(node, (ast.Name, ast.Attribute)) else setting(node)

    def kind(self, name: str) -> str:
        """Return the library's class that a class comes from: "Module", "Linear", ...; empty where it comes from none."""
        for _ in range(MOST_DEPTH):
            if name not in self.bases:
                return name
            name = self.bases[name][0] if self.bases[name] else ""
        return ""

    def largest(self, most: int) -> list[tuple[str, Module]]:
        """Return the classes with the most parameters, at most so many, and their trees."""
        trees = [(name, self.tree(name, "", 0)) for name in self.inits if self.kind(name) == "Module"]
        sizes = {name: sum(1 for _ in tree.named_parameters()) for name, tree in trees}
        return sorted((one for one in trees if sizes[one[0]]), key=lambda one: -sizes[one[0]])[:most]

    def tree(self, name: str, before: str, depth: int) -> Module:
        """Return the parameters of a class, those of its own base class first."""
        module = Module()
        if depth > MOST_DEPTH:
            return module
        for base in self.bases.get(name, []):
            if base in self.inits:
                module.parts.update(self.tree(base, before, depth + 1).parts)
        scope = self.inits.get(name)
        left_out = self._left_out(scope) if scope else frozenset()
        for node in scope.nodes if scope else ():
            if id(node) in left_out:
                continue
            for target, value in assigned(node):
                if (
                    isinstance(target, ast.Attribute)
                    and isinstance(value, ast.Attribute)
                    and isinstance(target.value, ast.Attribute)
                ):
                    module.parts.pop(target.value.attr, None)  # tied: `self.head.weight = self.words.weight`
                if isinstance(target, ast.Attribute) and ast.unparse(target.value) == "self" and scope:
                    self._put(module, target.attr, self._made(scope, value, before + target.attr, depth))
            if (
                isinstance(node, ast.Call)
                and last_name(node.func) == "append"
                and isinstance(node.func, ast.Attribute)
                and scope
            ):
                held = node.func.value
                known = module.parts.get(held.attr) if isinstance(held, ast.Attribute) else None
                if isinstance(known, Module) and node.args:
                    entry = f"{len(known.parts)}"
                    self._put(known, entry, self._made(scope, node.args[0], f"{before}{last_name(held)}.{entry}", depth))
            if isinstance(node, ast.Call) and last_name(node.func) in self.inits:
                for one in (*node.args, *(keyword.value for keyword in node.keywords)):
                    if isinstance(one, ast.Attribute) and ast.unparse(one.value) == "self":
                        module.parts.pop(one.attr, None)  # shared with the module that is given it
        return module

    def _left_out(self, scope: Scope) -> frozenset[int]:
        """Return the statements under conditions that do not hold by themselves, or of which it is not known."""
        found: set[int] = set()
        for node in scope.nodes:
            if isinstance(node, ast.If):
                holds = self.holds(node.test)
                for block, runs in ((node.body, holds is True), (node.orelse, holds is False)):
                    found |= set() if runs else {id(inner) for one in block for inner in ast.walk(one)}
        return frozenset(found)

    def _put(self, module: Module, name: str, made: "Module | Parameter | None") -> None:
        if made is not None:
            module.parts[name] = made

    def _made(self, scope: Scope, value: ast.expr, name: str, depth: int) -> Module | Parameter | None:
        """Return the module or the parameter that an expression makes; None where it makes none."""
        if isinstance(value, ast.IfExp):
            holds = self.holds(value.test)
            return None if holds is None else self._made(scope, value.body if holds else value.orelse, name, depth)
        if not isinstance(value, ast.Call):
            return None
        called = last_name(value.func)
        if called == "Parameter":
            frozen = any(one.arg == "requires_grad" and getattr(one.value, "value", True) is not True for one in value.keywords)
            return (
                None
                if frozen
                else Parameter(name, _ndim(value.args[0] if value.args else None), scope.source.file, value.lineno)
            )
        kind = self.kind(called)
        if called in LISTS:
            return self._several(scope, value, name, depth)
        if kind in MATRICES or OTHERS.get(kind):
            ndim = 2 if kind in MATRICES else OTHERS[kind]
            return Module({"weight": Parameter(f"{name}.weight", ndim, scope.source.file, value.lineno)})
        if kind == "Module" and called in self.inits:
            return self.tree(called, f"{name}.", depth + 1)
        if isinstance(value.func, ast.Attribute) and isinstance(value.func.value, ast.Call):
            return self._made(scope, value.func.value, name, depth)  # `.to(...)` and the like
        return None

    def _several(self, scope: Scope, value: ast.Call, name: str, depth: int) -> Module:
        module = Module()
        for argument in value.args:
            if isinstance(argument, (ast.ListComp, ast.GeneratorExp)):
                counted = argument.generators[0].iter
                count = self.worth(counted.args[-1]) if isinstance(counted, ast.Call) and counted.args else None
                entries = [] if count == 0 else [argument.elt]
            else:
                entries = list(argument.elts) if isinstance(argument, (ast.List, ast.Tuple)) else [argument]
            for entry in entries:
                self._put(module, str(len(module.parts)), self._made(scope, entry, f"{name}.{len(module.parts)}", depth))
        return module


def setting(node: ast.expr) -> float | None:
    """Return the number that an expression is where nothing is set: `bool(int(settings.get("X", "1")))` is 1."""
    if isinstance(node, ast.Call) and last_name(node.func) == "bool" and len(node.args) == 1:
        return setting(node.args[0])
    if isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq) and isinstance(node.left, ast.Call):
        left, right = number(node.left), number(node.comparators[0])
        return None if left is None or right is None else float(left == right)
    return number(node)


def _ndim(value: ast.expr | None) -> int | None:
    """Return the dimensions of a tensor that is made by `zeros(a, b)`, `ones((a, b))`, `tensor(0.5)` and the like."""
    shapes: Mapping[str, int] = {"zeros": 0, "ones": 0, "empty": 0, "randn": 0, "rand": 0, "full": 0}
    while isinstance(value, ast.BinOp):
        value = value.left if isinstance(value.left, ast.Call) else value.right
    if not isinstance(value, ast.Call):
        return None
    called = last_name(value.func)
    first = value.args[0] if value.args else None
    if called in shapes and first is not None and not any(isinstance(one, ast.Starred) for one in value.args):
        if isinstance(first, (ast.Tuple, ast.List)):
            return len(first.elts)
        return 1 if called == "full" else len(value.args)
    if called == "tensor" and isinstance(first, (ast.Constant, ast.Name, ast.Attribute)):
        return 0 if isinstance(first, ast.Constant) else None
    if isinstance(value.func, ast.Attribute) and isinstance(value.func.value, ast.Call):
        return _ndim(value.func.value)
    return None
