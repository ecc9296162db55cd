"""Functions and classes of the script."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mulligan.review.flow.heap import Cell
from mulligan.review.flow.value import Val

KNOWN = "_adapts_by_itself"
ADAPTING = frozenset({"backward", "step", "grad", "at", "scatter_add_", "index_add_", "bincount", "scatter_add", "autograd"})


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

    @property
    def is_property(self) -> bool:
        """Whether it is called where it is read."""
        names = {getattr(d, "id", getattr(d, "attr", "")) for d in getattr(self.node, "decorator_list", [])}
        return bool(names & {"property", "cached_property"})

    def bound(self, receiver: Val) -> Function:
        """Return it as a method of an object, or of a class where it says so."""
        names = {getattr(d, "id", getattr(d, "attr", "")) for d in getattr(self.node, "decorator_list", [])}
        held = any(cell.kind in ("object", "module", "optimizer") for cell in receiver.refs)
        if self.owner is None or "staticmethod" in names or not (held or "classmethod" in names):
            return self
        return Function(self.node, self.frame, self.file, self.defaults, receiver, self.owner)


def _adapts(node: ast.AST) -> bool:
    known = getattr(node, KNOWN, None)
    if known is None:
        known = _looks_adaptive(node)
        setattr(node, KNOWN, known)  # for as long as the tree lives, and no longer
    return bool(known)


def _looks_adaptive(node: ast.AST) -> bool:
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


@dataclass(frozen=True)
class Partial:
    """A function with some of its arguments."""

    call: Any
    given: tuple[Val, ...]
    named: tuple[tuple[str, Val], ...]
