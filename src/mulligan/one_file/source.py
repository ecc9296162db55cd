"""Our modules as syntax trees in which every use of a name is known: which definition, of which module, it means.

libcst keeps the source as it was written, comments and all, and knows Python's scopes.
"""

import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import libcst as cst
from libcst.metadata import BaseAssignment, GlobalScope, ImportAssignment, MetadataWrapper, ScopeProvider

PACKAGE = Path(__file__).parents[1]
ROOT = PACKAGE.name


@dataclass(frozen=True, order=True)
class Symbol:
    """A top-level definition of one of our modules; with an empty name, the module itself."""

    module: str
    name: str


@dataclass(frozen=True, order=True)
class External:
    """What an import statement binds from outside: `import origin`, or `from origin import name`, as `bound`."""

    origin: str
    name: str
    bound: str

    @property
    def statement(self) -> str:
        """The import statement, on a line of its own."""
        if self.name:
            return f"from {self.origin} import {self.name}" + ("" if self.bound == self.name else f" as {self.bound}")
        return f"import {self.origin}" + ("" if self.bound == self.origin.split(".")[0] else f" as {self.bound}")


Target = Symbol | External


class Module:
    """One module: its top-level statements by the names that they bind, and the meaning of each name that is not local."""

    def __init__(self, name: str, source: str) -> None:
        self.name = name
        self._wrapper = MetadataWrapper(cst.parse_module(source), unsafe_skip_copy=True)
        self.tree = self._wrapper.module
        self.statements: dict[str, cst.BaseStatement] = {}
        self.needs: list[str] = []
        """Our modules that are imported when this one is."""
        self.remarks: dict[cst.BaseStatement, cst.BaseStatement] = {}
        """The string that stands behind a definition and describes it."""
        last: cst.BaseStatement | None = None
        for statement in self.tree.body:
            assert isinstance(statement, cst.BaseStatement)
            self.statements |= {
                target.value: statement for target in _bound_by(statement) if target.value not in self.statements
            }
            if isinstance(statement, cst.SimpleStatementLine):
                self.needs += [target.module for _, target in _imported(statement.body) if isinstance(target, Symbol)]
            if last is not None and is_bare_string(statement):
                self.remarks[last] = statement
            last = statement

    @functools.cached_property
    def meanings(self) -> dict[cst.CSTNode, Target]:
        """What a node that is a name means, where it means something of the top of a module."""
        found: dict[cst.CSTNode, Target] = {}
        for statement in self.statements.values():
            found |= {target: Symbol(self.name, target.value) for target in _bound_by(statement)}
        scopes = self._wrapper.resolve(ScopeProvider).values()
        for scope in {scope for scope in scopes if scope is not None}:
            is_top = isinstance(scope, GlobalScope)
            for assignment in scope.assignments:
                target = self._target_of(assignment, is_top)
                for access in assignment.references if target is not None else ():
                    node: cst.CSTNode = access.node
                    while isinstance(node, cst.Attribute):
                        node = node.value
                    assert target is not None
                    found[node] = target
        return found

    def _target_of(self, assignment: BaseAssignment, is_top: bool) -> Target | None:
        """Return what an assignment binds; nothing for a local, nor for what a function imports from outside by itself."""
        if isinstance(assignment, ImportAssignment):
            assert isinstance(assignment.node, cst.Import | cst.ImportFrom)
            target = dict(_imported([assignment.node])).get(assignment.name)
            return target if is_top or isinstance(target, Symbol) else None
        return Symbol(self.name, assignment.name) if is_top and assignment.name in self.statements else None

    @functools.cached_property
    def imports(self) -> dict[str, Target]:
        """What the import statements at the top bind."""
        parts = [part for one in self.tree.body if isinstance(one, cst.SimpleStatementLine) for part in one.body]
        return dict(_imported(parts))


_lever_files: dict[str, Path] = {}


def add_lever_file(name: str, path: Path) -> None:
    """Count the file of a lever of the user's own, loaded as the module `name`, among our modules."""
    _lever_files[name] = path


def is_ours(name: str) -> bool:
    """Say whether a dotted name lies in this package, or is the file of a lever."""
    return name.split(".")[0] == ROOT or name in _lever_files


def path_of(name: str) -> Path | None:
    """Return the file of one of our modules; None for what is none."""
    if name in _lever_files:
        return _lever_files[name]
    path = PACKAGE.joinpath(*name.split(".")[1:])
    candidates = [path.with_name(f"{path.name}.py"), path / "__init__.py"]
    return next((candidate for candidate in candidates if candidate.is_file()), None)


@functools.cache
def load_module(name: str) -> Module:
    """Return one of our modules."""
    path = path_of(name)
    assert path is not None, f"{name} is no module of ours"
    return Module(name, path.read_text("utf-8"))


def _bound_by(statement: cst.CSTNode) -> Iterator[cst.Name]:
    """Yield the names that a top-level statement binds, imports aside."""
    if isinstance(statement, cst.FunctionDef | cst.ClassDef):
        yield statement.name
    elif isinstance(statement, cst.SimpleStatementLine):
        for part in statement.body:
            targets = [item.target for item in part.targets] if isinstance(part, cst.Assign) else []
            targets += [part.target] if isinstance(part, cst.AnnAssign) else []
            for target in targets:
                parts = [element.value for element in target.elements] if isinstance(target, cst.Tuple) else [target]
                yield from (item for item in parts if isinstance(item, cst.Name))


def is_bare_string(statement: cst.CSTNode) -> bool:
    """Say whether a statement is nothing but a string."""
    return (
        isinstance(statement, cst.SimpleStatementLine)
        and isinstance(statement.body[0], cst.Expr)
        and isinstance(statement.body[0].value, cst.SimpleString | cst.ConcatenatedString)
    )


def _imported(parts: Iterable[cst.CSTNode]) -> Iterator[tuple[str, Target]]:
    """Yield (bound name, what it means) of the import statements among `parts`."""
    for part in parts:
        if isinstance(part, cst.Import):
            for alias in part.names:
                origin = alias.evaluated_name
                bound = alias.evaluated_alias or origin.split(".")[0]
                assert not is_ours(origin), f"import {origin}: ours are imported by `from`"
                yield bound, External(origin, "", bound)
        elif isinstance(part, cst.ImportFrom) and part.module is not None and not isinstance(part.names, cst.ImportStar):
            origin = cst.helpers.get_full_name_for_node(part.module) or ""
            for alias in part.names:
                name, bound = alias.evaluated_name, alias.evaluated_alias or alias.evaluated_name
                if not is_ours(origin):
                    yield bound, External(origin, name, bound)
                elif path_of(f"{origin}.{name}") is not None and f"{origin}.{name}" != origin:
                    yield bound, Symbol(f"{origin}.{name}", "")
                else:
                    yield bound, Symbol(origin, name)


def follow(target: Target) -> Target:
    """Return where a symbol is defined, past the modules that only import it."""
    while isinstance(target, Symbol) and target.name:
        module = load_module(target.module)
        if target.name in module.statements:
            return target
        found = module.imports.get(target.name)
        assert found is not None, f"{target} is not to be found"
        target = found
    return target
