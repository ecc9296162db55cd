"""Which parameters a script hands to its optimizers, worked out on the parameters' names: nothing is executed.

Where a condition hangs on a setting both ways are gone, and what is not understood is taken to hold every parameter that went
into it: what is handed over comes out too large rather than too small.
"""

import ast
from collections.abc import Iterator
from typing import Any

from mulligan.review.expressions import OPAQUE, CannotTellError, Opaque, Table
from mulligan.review.network import Classes, Module, Parameter
from mulligan.review.steps import Loop, Returned, Steps
from mulligan.review.syntax import Function, Scope, assigned, last_name

ADDS = frozenset({"append", "extend", "add", "update", "insert"})
WRAPPERS = frozenset({"compile", "DistributedDataParallel", "DDP", "to", "cuda", "bfloat16", "half", "float", "train", "eval"})


class Several(Opaque):
    """Something of which no more is known than which parameters may be in it."""

    def __init__(self, parameters: set[Parameter]) -> None:
        self.parameters = parameters


def inside(value: Any, depth: int = 6) -> Iterator[Parameter]:
    """Yield the parameters in a value."""
    if isinstance(value, Parameter):
        yield value
    elif isinstance(value, Several):
        yield from value.parameters
    elif isinstance(value, Module):
        yield from (parameter for _, parameter in value.named_parameters())
    elif depth and isinstance(value, dict):
        for one in value.values():
            yield from inside(one, depth - 1)
    elif depth and isinstance(value, (list, tuple, set)):
        for one in value:
            yield from inside(one, depth - 1)


class Owners(Steps):
    """`owned`: the parameters that optimizers were given. `made`: how many optimizers were made."""

    def __init__(self, scopes: tuple[Scope, ...], classes: Classes, root: tuple[str, Module]) -> None:
        plain = {scope.name: scope.node for scope in reversed(scopes) if isinstance(scope.node, Function) and not scope.owner}
        super().__init__(plain, {})
        self.root = root
        steppers = {scope.owner for scope in scopes if scope.name == "step" and scope.owner}
        self.optimizers = {name for name in steppers if classes.kind(name) != "Module"}
        self.owned: set[Parameter] = set()
        self.made = 0
        for scope in scopes:
            if isinstance(scope.node, ast.Module):
                for node in scope.node.body:
                    if isinstance(node, (ast.Assign, ast.AnnAssign)):
                        self.statement(node)
        self.names = dict(self.here)

    def run(self, scope: Scope) -> None:
        """Follow a function that makes optimizers; what it is given is opaque, and names of the network are the network."""
        self.here = {}
        for node in scope.nodes:
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and self._of_network(node.attr):
                self.here.setdefault(node.value.id, self.root[1])
        try:
            self.block(scope.node.body)
        except (Returned, Loop, CannotTellError):
            return

    def _of_network(self, name: str) -> bool:
        return name in ("named_parameters", "parameters") or name in self.root[1].parts

    def statement(self, node: ast.stmt) -> None:
        """Follow one statement; what cannot be told leaves its targets with all parameters that it mentions."""
        self.left -= 1
        if self.left < 0:
            raise Returned(None)
        try:
            if isinstance(node, ast.If):
                self._both(node)
            elif isinstance(node, ast.For):
                self._each(node)
            elif isinstance(node, (ast.With, ast.Try)):
                self.block(node.body)
            elif isinstance(node, Function):
                self.functions = {**self.functions, node.name: node}
            elif not isinstance(node, (ast.While, ast.ClassDef)):
                super().statement(node)
        except CannotTellError:
            mentioned = {one for name in ast.walk(node) if isinstance(name, ast.Name) for one in inside(self.here.get(name.id))}
            for part in ast.walk(node):
                for target, _ in assigned(part):
                    self._spoil(target, Several(mentioned) if mentioned else OPAQUE)

    def _spoil(self, target: ast.expr, value: Any) -> None:
        for name in ast.walk(target):
            if isinstance(name, ast.Name) and not isinstance(self.here.get(name.id), Module):
                self.here[name.id] = value

    def _both(self, node: ast.If) -> None:
        test = self.value(node.test)
        known = not isinstance(test, (Opaque, Table))
        for block in (node.body, node.orelse) if not known else (node.body if test else node.orelse,):
            try:
                self.block(block)
            except (Returned, Loop):
                if known:
                    raise

    def _each(self, node: ast.For) -> None:
        value = self.value(node.iter)
        items = [value] if isinstance(value, Opaque) else self.several(value)
        for one in items:
            try:
                self.assign(node.target, one)
            except CannotTellError:
                self._spoil(node.target, one)
            try:
                self.block(node.body)
            except Loop as loop:
                if loop.ends:
                    break

    def truth(self, value: Any) -> bool:
        """Return whether a condition holds; what is not known may."""
        return True if isinstance(value, (Opaque, Table)) else bool(value)

    def several(self, value: Any) -> list[Any]:
        """Return the items of what can be gone through, also those of a list of modules."""
        return list(value.parts.values()) if isinstance(value, Module) else super().several(value)

    def number(self, value: Any) -> Any:
        """Return a value as it is."""
        return value

    def combined(self, op: ast.AST, left: Any, right: Any) -> Any:
        """Return `left op right`, with the parameters of both where one is not known."""
        if isinstance(left, Opaque) or isinstance(right, Opaque):
            found = {*inside(left), *inside(right)}
            return Several(found) if found and isinstance(op, ast.Add) else OPAQUE
        return super().combined(op, left, right)

    def value(self, node: ast.expr) -> Any:
        """Return an expression's value."""
        if isinstance(node, ast.Attribute):
            return self._attribute(node)
        if isinstance(node, ast.IfExp):
            test = self.value(node.test)
            if isinstance(test, Opaque):
                both = [self.value(node.body), self.value(node.orelse)]
                found = {one for part in both for one in inside(part)}
                return Several(found) if found else both[0]
            return self.value(node.body if test else node.orelse)
        if isinstance(node, ast.Call):
            return self._call(node)
        return super().value(node)

    def _attribute(self, node: ast.Attribute) -> Any:
        known = self.here.get(ast.unparse(node))
        owner = self.value(node.value) if known is None else None
        if known is not None:
            return known
        if isinstance(owner, Module):
            return owner if node.attr in ("module", "_orig_mod") else owner.parts.get(node.attr, OPAQUE)
        if isinstance(owner, Parameter):
            return owner.ndim if node.attr == "ndim" and owner.ndim is not None else node.attr == "requires_grad" or OPAQUE
        return OPAQUE

    def _call(self, node: ast.Call) -> Any:
        name = last_name(node.func)
        if isinstance(node.func, ast.Attribute):
            owner = self.value(node.func.value)
            if isinstance(owner, Module) and name == "named_parameters":
                return list(owner.named_parameters())
            if isinstance(owner, Module) and name == "parameters":
                return [parameter for _, parameter in owner.named_parameters()]
            if isinstance(owner, Module) and name in WRAPPERS:
                return owner
            if isinstance(owner, Parameter) and name == "dim":
                return OPAQUE if owner.ndim is None else owner.ndim
            if isinstance(owner, Several) and name in ADDS:
                owner.parameters.update(one for argument in node.args for one in inside(self.value(argument)))
                return None
            if name in ("get", "getenv") and isinstance(owner, Opaque) and len(node.args) == 2:
                return self.value(node.args[1])
        if name == self.root[0]:
            return self.root[1]
        arguments = [self.value(one.value if isinstance(one, ast.Starred) else one) for one in node.args]
        arguments += [self.value(one.value) for one in node.keywords]
        found = {parameter for one in arguments for parameter in inside(one)}
        if found and (self._is_optimizer(node, name) or name == "add_param_group"):
            self.owned |= found
            self.made += 1
            return OPAQUE
        if name in WRAPPERS and arguments and isinstance(arguments[0], Module):
            return arguments[0]
        if name == "getattr" and len(arguments) > 1 and isinstance(arguments[0], Module):
            return arguments[0].parts.get(str(arguments[1]), OPAQUE)
        if name == "id" and arguments and isinstance(arguments[0], Parameter):
            return arguments[0].name
        if name in ("any", "all") and arguments and any(isinstance(one, Opaque) for one in arguments[0]):
            return OPAQUE
        answer = super().value(node)
        return Several(found) if found and isinstance(answer, Opaque) and not isinstance(answer, Several) else answer

    def _is_optimizer(self, node: ast.Call, name: str) -> bool:
        return name in self.optimizers or ".optim." in f".{ast.unparse(node.func)}" or name in LIBRARY


LIBRARY = frozenset({"Adam", "AdamW", "SGD", "Adafactor", "Lion", "RMSprop", "NAdam", "RAdam", "Muon"})


def makes_optimizers(scope: Scope, names: set[str]) -> int:
    """Return how many optimizers the text of a scope makes."""
    calls = [node for node in scope.nodes if isinstance(node, ast.Call)]
    return sum(last_name(one.func) in names | LIBRARY or ".optim." in f".{ast.unparse(one.func)}" for one in calls)
