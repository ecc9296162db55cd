"""Names that nothing binds: whoever comes by them ends in a NameError."""

import ast
import builtins
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mulligan.review.imports import is_main
from mulligan.review.subject import Subject
from mulligan.review.syntax import Function, Scope, reached, scopes
from mulligan.script.source import Source

OF_MODULES = frozenset(
    {"__file__", "__name__", "__doc__", "__builtins__", "__spec__", "__loader__", "__package__", "__class__"}
)
GIVEN = frozenset(dir(builtins)) | OF_MODULES
INJECTS = frozenset({"exec", "eval", "globals", "locals", "vars"})
"""Names by which a text may bind others that it does not write down."""
MOST_DEPTH = 12


@dataclass(frozen=True)
class Unbound:
    """A name that is read and never bound. `certain`: the script comes by it whatever its settings and data are."""

    source: Source
    line: int
    name: str
    certain: bool


def unbound(subject: Subject) -> Iterator[Unbound]:
    """Yield every name of the reached functions that neither they, what is around them, nor Python binds; each once."""
    files: dict[str, list[Scope]] = {}
    for scope in scopes(subject):
        files.setdefault(scope.source.file, []).append(scope)
    running = {id(scope) for scope in reached(subject)}
    for several in files.values():
        names = {id(scope): bound(scope) for scope in several}
        if any(_injects(scope) for scope in several):
            continue
        modules = frozenset().union(*(names[id(scope)] for scope in several if isinstance(scope.node, ast.Module)))
        certain = _Certain(several)
        met: set[str] = set()
        for scope in several:
            seen = modules | GIVEN | _around(scope, names)
            for node in _read(scope) if id(scope) in running else ():
                if node.id not in seen and node.id not in met:
                    met.add(node.id)
                    yield Unbound(scope.source, node.lineno, node.id, id(node) in certain.nodes)


def _around(scope: Scope, names: dict[int, frozenset[str]]) -> frozenset[str]:
    found: frozenset[str] = frozenset()
    while True:
        found |= names[id(scope)]
        if scope.outer is None:
            return found
        scope = scope.outer


def bound(scope: Scope) -> frozenset[str]:
    """Return every name that a scope binds somewhere."""
    found: set[str] = set()
    if isinstance(scope.node, Function):
        found = {one.arg for one in ast.walk(scope.node.args) if isinstance(one, ast.arg)}
    for node in scope.nodes:
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            found.add(node.id)
        elif isinstance(node, (Function, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            found |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, (ast.ExceptHandler, ast.MatchAs, ast.MatchStar)) and node.name:
            found.add(node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            found.add(node.rest)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            found |= set(node.names)
    return frozenset(found)


def _injects(scope: Scope) -> bool:
    for node in scope.nodes:
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            return True
        if isinstance(node, ast.Name) and node.id in INJECTS:
            return True
        if isinstance(node, ast.Attribute) and node.attr == "__dict__" and "modules" in ast.unparse(node.value):
            return True
    return False


def _read(scope: Scope) -> Iterator[ast.Name]:
    stated = {id(inner) for node in scope.nodes if isinstance(node, ast.AnnAssign) for inner in ast.walk(node.annotation)}
    for node in scope.nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and id(node) not in stated:
            yield node


class _Certain:
    """`nodes`: the names that are read whatever settings and data are, from the module through plain calls."""

    def __init__(self, several: Sequence[Scope]) -> None:
        self.nodes: set[int] = set()
        plain = [scope for scope in several if not scope.owner and isinstance(scope.outer and scope.outer.node, ast.Module)]
        names = [scope.name for scope in plain]
        single = [scope.node for scope in plain if names.count(scope.name) == 1]
        self.functions = {node.name: node for node in single if isinstance(node, Function) and not node.decorator_list}
        self.done: set[str] = set()
        for scope in several:
            if isinstance(scope.node, ast.Module):
                self.block(scope.node.body, 0)

    def block(self, statements: Sequence[ast.stmt], depth: int) -> bool:
        """Follow statements; return whether what comes after them is certain too."""
        return all(self.statement(statement, depth) for statement in statements)

    def statement(self, node: ast.stmt, depth: int) -> bool:
        """Follow one statement; False where nothing after it is certain."""
        if isinstance(node, (Function, ast.ClassDef)):
            return True
        if isinstance(node, (ast.If, ast.While)):
            self.expression(node.test, depth)
            if isinstance(node, ast.If) and is_main(node.test):
                return self.block(node.body, depth)
        elif isinstance(node, (ast.For, ast.AsyncFor)):
            self.expression(node.iter, depth)
        elif isinstance(node, (ast.With, ast.AsyncWith)):
            for item in node.items:
                self.expression(item.context_expr, depth)
            if not any("suppress" in ast.unparse(item) for item in node.items):
                return self.block(node.body, depth)
        elif isinstance(node, ast.Try) and not node.handlers:
            return self.block([*node.body, *node.finalbody], depth)
        elif not isinstance(node, (ast.Try, ast.Match)):
            for part in ast.iter_child_nodes(node):
                if isinstance(part, ast.expr) and not (isinstance(node, ast.AnnAssign) and part is node.annotation):
                    self.expression(part, depth)
        return not _leaves(node)

    def expression(self, node: ast.AST, depth: int) -> None:
        """Follow what of an expression is worked out in any case, and the functions that it calls."""
        if isinstance(node, (ast.Lambda, ast.GeneratorExp, ast.ListComp, ast.SetComp, ast.DictComp)):
            if not isinstance(node, ast.Lambda):
                self.expression(node.generators[0].iter, depth)
            return
        if isinstance(node, ast.BoolOp):
            node = node.values[0]
        elif isinstance(node, ast.IfExp):
            node = node.test
        if isinstance(node, ast.Name):
            self.nodes.add(id(node))
        for part in ast.iter_child_nodes(node):
            self.expression(part, depth)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and depth < MOST_DEPTH:
            function = self.functions.get(node.func.id)
            if function is not None and node.func.id not in self.done:
                self.done.add(node.func.id)
                self.block(function.body, depth + 1)


def _leaves(node: ast.stmt) -> bool:
    """Say whether a statement may be the last one that is carried out."""
    for inner in ast.walk(node):
        if isinstance(inner, (ast.Return, ast.Raise, ast.Continue, ast.Break)):
            return True
        if isinstance(inner, ast.Call) and ast.unparse(inner.func).rsplit(".", 1)[-1] in ("exit", "_exit", "quit", "abort"):
            return True
    return False
