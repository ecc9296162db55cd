"""Where the tables of bytes per token go: through names, attributes, keys, arguments and returns, whatever they are called."""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mulligan.review.piece_table import Count, Made
from mulligan.review.syntax import Scope, assigned, last_name

MOST_ROUNDS = 8
SPACE, BOUNDARY = "space", "boundary"
SIZES = frozenset({"len", "range", "size", "numel", "dim", "nelement", "isinstance", "print", "type", "id", "hash", "torch"})
"""Calls whose answer says nothing of the entries."""


@dataclass(frozen=True)
class Role:
    """`labels`: the number of a table of counts, "space" or "boundary". `parts`: those of a tuple's parts, where it is one."""

    labels: frozenset[int | str] = frozenset()
    parts: "tuple[Role, ...] | None" = None

    def __or__(self, other: "Role") -> "Role":
        if not other.labels or other == self:
            return self
        if not self.labels:
            return other
        if self.parts and other.parts and len(self.parts) == len(other.parts):
            return Role(self.labels | other.labels, tuple(one | two for one, two in zip(self.parts, other.parts, strict=True)))
        return Role(self.labels | other.labels)

    @property
    def tables(self) -> frozenset[int]:
        """The numbers of the tables of counts."""
        return frozenset(label for label in self.labels if isinstance(label, int))


NONE = Role()


def together(roles: Sequence[Role]) -> Role:
    """Return the role of a tuple."""
    return Role(frozenset().union(*(role.labels for role in roles)), tuple(roles)) if roles else NONE


class Roles:
    """`counts`: {number of a table: (its count, where it is made)}."""

    def __init__(self, scopes: Sequence[Scope], made: Sequence[Made]) -> None:
        self.scopes = scopes
        self.counts: dict[int, tuple[Count, Made]] = {}
        self.names: dict[tuple[int, str], Role] = {}
        self.attributes: dict[str, Role] = {}
        self.keys: dict[str, Role] = {}
        self.returns: dict[str, Role] = {}
        self.functions: dict[str, list[Scope]] = {}
        for scope in scopes:
            name = scope.owner if scope.name == "__init__" and scope.owner else scope.name
            self.functions.setdefault(name, []).append(scope)
        self.given: set[int] = set()
        self.worked_out: set[tuple[int, str]] = set()
        for one in made:
            self._begin(one)
        self._nodes = [(scope, self._relevant(scope)) for scope in scopes]
        for _ in range(MOST_ROUNDS if self.counts else 0):
            before = self._size()
            for scope, nodes in self._nodes:
                for node in nodes:
                    self._flow(scope, node)
            if self._size() == before:
                break

    def _begin(self, made: Made) -> None:
        for name, what in made.names.items():
            self.put(made.scope, name, self._role_of(what, made))
            self.worked_out.add((id(made.scope), name))
        if made.returned:
            self.returns[made.scope.name] = self._role_of(made.returned, made)
            self.given.add(id(made.scope))

    def _role_of(self, what: Any, made: Made) -> Role:
        if isinstance(what, Count):
            known = next((i for i, (count, where) in self.counts.items() if count == what and where is made), None)
            number = len(self.counts) if known is None else known
            self.counts[number] = (what, made)
            return Role(frozenset({number}))
        if isinstance(what, tuple):
            return together([self._role_of(one, made) for one in what])
        if isinstance(what, dict):
            for key, one in what.items():
                self.keys[key] = self.keys.get(key, NONE) | self._role_of(one, made)
            return NONE
        return Role(frozenset({what})) if what else NONE

    def _relevant(self, scope: Scope) -> list[ast.AST]:
        kinds = (ast.Assign, ast.AnnAssign, ast.NamedExpr, ast.Call, ast.Return, ast.For, ast.Dict)
        return [node for node in scope.nodes if isinstance(node, kinds)]

    def _size(self) -> int:
        held = (self.names, self.attributes, self.keys, self.returns)
        return sum(len(role.labels) + len(role.parts or ()) for table in held for role in table.values())

    def put(self, scope: Scope, name: str, role: Role) -> None:
        """Add to what a name of a scope is."""
        if role.labels and (id(scope), name) not in self.worked_out:
            self.names[id(scope), name] = self.names.get((id(scope), name), NONE) | role

    def name(self, scope: Scope | None, name: str) -> Role:
        """Return what a name is, in its scope or in one around it."""
        while scope is not None:
            found = self.names.get((id(scope), name))
            if found is not None:
                return found
            scope = scope.outer
        return NONE

    def _flow(self, scope: Scope, node: ast.AST) -> None:
        for target, value in assigned(node):
            if not _adds_to_itself(target, value):
                self._bind(scope, target, self.of(scope, value))
        if isinstance(node, ast.Return) and node.value is not None and id(scope) not in self.given:
            role = self.of(scope, node.value)
            if role.labels:
                self.returns[scope.name] = self.returns.get(scope.name, NONE) | role
        elif isinstance(node, ast.Call):
            self._pass(scope, node)
        elif isinstance(node, ast.For):
            self._bind(scope, node.target, Role(self.of(scope, node.iter).labels))
        elif isinstance(node, ast.Dict):
            for key, one in zip(node.keys, node.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(key.value, str) and (role := self.of(scope, one)).labels:
                    self.keys[key.value] = self.keys.get(key.value, NONE) | role

    def _bind(self, scope: Scope, target: ast.expr, role: Role) -> None:
        if not role.labels:
            return
        if isinstance(target, ast.Name):
            self.put(scope, target.id, role)
        elif isinstance(target, ast.Attribute):
            self.attributes[target.attr] = self.attributes.get(target.attr, NONE) | role
        elif isinstance(target, ast.Subscript):
            if isinstance(target.slice, ast.Constant) and isinstance(target.slice.value, str):
                self.keys[target.slice.value] = self.keys.get(target.slice.value, NONE) | role
            else:
                self._bind(scope, target.value, Role(role.labels))
        elif isinstance(target, (ast.Tuple, ast.List)):
            parts = role.parts if role.parts and len(role.parts) == len(target.elts) else [Role(role.labels)] * len(target.elts)
            for one, part in zip(target.elts, parts, strict=True):
                self._bind(scope, one, part)

    def _pass(self, scope: Scope, node: ast.Call) -> None:
        """Give a call's arguments to the parameters of the functions that have its name."""
        for called in self.functions.get(last_name(node.func), ()):
            names = [one.arg for one in called.parameters]
            names = names[1:] if called.owner and names[:1] in (["self"], ["cls"]) else names
            position = 0
            for argument in node.args:
                role = self.of(scope, argument.value if isinstance(argument, ast.Starred) else argument)
                several = role.parts or (Role(role.labels),) if isinstance(argument, ast.Starred) else (role,)
                for one in several:
                    if position < len(names):
                        self.put(called, names[position], one)
                    position += 1
            for keyword in node.keywords:
                if keyword.arg in names:
                    self.put(called, str(keyword.arg), self.of(scope, keyword.value))

    def of(self, scope: Scope, node: ast.expr) -> Role:
        """Return what an expression is made of."""
        match node:
            case ast.Name(id=name):
                return self.name(scope, name)
            case ast.Attribute(attr=attr):
                return self.attributes.get(attr, NONE)
            case ast.Tuple(elts=parts) | ast.List(elts=parts):
                return together([self.of(scope, part) for part in parts])
            case ast.Subscript(value=held, slice=index):
                return self._entry(scope, held, index)
            case ast.Call():
                return self._answer(scope, node)
            case ast.GeneratorExp() | ast.ListComp():
                return self._each(scope, node)
            case ast.Lambda() | ast.Constant() | ast.JoinedStr():
                return NONE
            case _:
                return _mixed([self.of(scope, one) for one in ast.iter_child_nodes(node) if isinstance(one, ast.expr)])

    def _entry(self, scope: Scope, held: ast.expr, index: ast.expr) -> Role:
        if isinstance(index, ast.Constant) and isinstance(index.value, str):
            return self.keys.get(index.value, NONE)
        role = self.of(scope, held)
        if role.parts and isinstance(index, ast.Constant) and isinstance(index.value, int):
            return role.parts[index.value] if -len(role.parts) <= index.value < len(role.parts) else NONE
        return role if isinstance(index, ast.Slice) and index.lower is None and index.upper is None else Role(role.labels)

    def _answer(self, scope: Scope, node: ast.Call) -> Role:
        name = last_name(node.func)
        if name in SIZES:
            return NONE
        if name in self.functions:
            return self.returns.get(name, NONE)
        parts = [self.of(scope, one.value if isinstance(one, ast.Starred) else one) for one in node.args]
        parts += [self.of(scope, one.value) for one in node.keywords]
        if isinstance(node.func, ast.Attribute):
            parts.append(self.of(scope, node.func.value))
        roles = [part for part in parts if part.labels]
        return roles[0] if len(roles) == 1 else _mixed(roles)

    def _each(self, scope: Scope, node: ast.GeneratorExp | ast.ListComp) -> Role:
        generator = node.generators[0]
        several = self.of(scope, generator.iter)
        if len(node.generators) > 1 or not several.labels or not isinstance(generator.target, ast.Name):
            return self.of(scope, node.elt)
        key, before = (id(scope), generator.target.id), self.names.get((id(scope), generator.target.id))
        found = []
        for part in several.parts or (Role(several.labels),):
            self.names[key] = part
            found.append(self.of(scope, node.elt))
        if before is None:
            del self.names[key]
        else:
            self.names[key] = before
        return together(found) if several.parts else found[0]


def _mixed(roles: Sequence[Role]) -> Role:
    return Role(frozenset().union(*(role.labels for role in roles))) if roles else NONE


def _adds_to_itself(target: ast.expr, value: ast.expr) -> bool:
    """Say whether it is `x = x + ...` or `x = where(..., x + 1, x)`: what x was is then told apart from what is added."""
    adds = isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add)
    picks = isinstance(value, ast.Call) and last_name(value.func) == "where"
    name = ast.unparse(target)
    return (adds or picks) and any(isinstance(node, type(target)) and ast.unparse(node) == name for node in ast.walk(value))


def sums(roles: Roles) -> Iterator[tuple[Scope, ast.AST, Role, Role]]:
    """Yield (scope, node, what is there, what is added) of every addition in which a count of bytes takes part."""
    for scope in roles.scopes:
        for node in scope.nodes:
            for there, added in _terms(roles, scope, node):
                if there.tables or added.tables:
                    yield scope, node, there, added


def _terms(roles: Roles, scope: Scope, node: ast.AST) -> Iterator[tuple[Role, Role]]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        yield roles.of(scope, node.left), roles.of(scope, node.right)
    elif isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add):
        yield roles.of(scope, node.target), roles.of(scope, node.value)
    elif isinstance(node, ast.Call) and last_name(node.func) in ("add", "add_"):
        terms = [*([node.func.value] if isinstance(node.func, ast.Attribute) else []), *node.args]
        found = [role for term in terms if (role := roles.of(scope, term)).labels]
        if len(found) == 2:
            yield found[0], found[1]
    elif isinstance(node, ast.Call) and last_name(node.func) == "where" and len(node.args) == 3:
        if any(isinstance(one, ast.BinOp) and isinstance(one.op, ast.Add) for one in node.args[1:]):
            yield roles.of(scope, node.args[1]), roles.of(scope, node.args[0])
    elif isinstance(node, ast.If):
        test = roles.of(scope, node.test)
        for inner in node.body:
            if isinstance(inner, ast.AugAssign) and isinstance(inner.op, ast.Add) and isinstance(inner.value, ast.Constant):
                yield roles.of(scope, inner.target), test
