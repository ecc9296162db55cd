"""What is known of a recipe while its code is collected, and what was seen of its code."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import libcst as cst

from mulligan.core.config import FrozenConfig, kinds_of
from mulligan.one_file.source import External, Module, Symbol, Target, follow

PLAIN = "mulligan.submit.plain_config"
INSTEAD = {
    Symbol("mulligan.core.config", "FrozenConfig"): Symbol(PLAIN, "PlainConfig"),
    Symbol("mulligan.core.config", "parse_config"): Symbol(PLAIN, "parse_config"),
}
"""What stands in the one file in place of what needs a library for configs."""


@dataclass(frozen=True)
class Facts:
    """What is known of a recipe: all classes of configs there are, and which of them it has."""

    configs: Mapping[Symbol, type[FrozenConfig]]
    live: frozenset[type[FrozenConfig]]
    kinds: frozenset[str]
    """The words behind `kind` in it."""
    fields: Mapping[str, frozenset[Any]]
    """What every field of that name holds anywhere in it: classes of configs, or plain values."""

    absent: frozenset[Symbol]
    """Words at the top of a module that nothing in it ever equals."""
    entries: Mapping[Symbol, frozenset[str]]
    """Of a table at the top of a module, the keys that are ever asked for."""

    def with_live(self, more: set[type[FrozenConfig]]) -> Self:
        """Return the facts where classes of these may exist as well."""
        words = {word for config in more for word in kinds_of(config)}
        return replace(self, live=self.live | more, kinds=self.kinds | words)

    def with_values(self, more: Mapping[str, set[Any]]) -> Self:
        """Return the facts where fields may hold these values too; nothing is known of one that may hold the ellipsis."""
        fields = {name: values | more.get(name, set()) for name, values in self.fields.items()}
        return replace(self, fields={name: values for name, values in fields.items() if ... not in values})

    def may_exist(self, config: type[FrozenConfig]) -> bool:
        """Say whether something in the recipe is a config of this class, or of one that extends it."""
        return any(issubclass(one, config) for one in self.live)

    @property
    def dead_kinds(self) -> set[str]:
        """The words behind `kind` that the recipe has not."""
        return {word for config in self.configs.values() for word in kinds_of(config)} - self.kinds


@dataclass
class Seen:
    """What definitions use: ours by symbol, imports, attributes by name, classes that are called, words of their own."""

    named: dict[Symbol, None] = field(default_factory=dict)
    externals: set[External] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    called: set[Symbol] = field(default_factory=set)
    of_classes: set[str] = field(default_factory=set)
    """Attributes by name that are asked of a class."""
    replaced: dict[str, set[Any]] = field(default_factory=dict)
    """Fields that `replace` changes, and to what; the ellipsis stands for anything."""
    asides: set[Symbol] = field(default_factory=set)
    words: set[str] = field(default_factory=set)


def meaning_of(module: Module, node: cst.CSTNode) -> Target | None:
    """Return what a name means in a module, with what stands in for it in the one file; None for what is local."""
    target = module.meanings.get(node)
    if target is None or (isinstance(target, Symbol) and not target.name):
        return target
    target = follow(target)
    return INSTEAD.get(target, target) if isinstance(target, Symbol) else target


def value_of(statement: cst.CSTNode) -> cst.BaseExpression | None:
    """Return what a top-level statement assigns."""
    part = statement.body[0] if isinstance(statement, cst.SimpleStatementLine) else None
    return part.value if isinstance(part, cst.Assign | cst.AnnAssign) else None
