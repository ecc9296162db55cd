"""What a recipe's code consists of: the definitions that its main function reaches, in the order of our modules.

Methods are reached by their names, and what Python or PyTorch calls by itself always.
"""

import builtins
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import libcst as cst

from mulligan.one_file.facts import INSTEAD, PLAIN, Facts, Seen
from mulligan.one_file.source import Symbol, load_module
from mulligan.one_file.specialise import Specialise, is_of_class, is_validator, methods_of

RECIPE = Symbol("mulligan.recipe", "Recipe")
CALLED_FROM_OUTSIDE = {"forward", "backward", "setup_context"}


@dataclass
class Reached:
    """Definitions, the names of methods by class, and what they use."""

    facts: Facts
    seen: Seen = field(default_factory=Seen)
    definitions: set[Symbol] = field(default_factory=set)
    methods: dict[Symbol, set[str]] = field(default_factory=dict)


def reach(entry: Symbol, facts: Facts) -> Reached:
    """Return what `entry` reaches, given the recipe's facts; classes of configs that the code itself makes are live too."""
    while True:
        found = Reached(facts)
        _reach(found, [entry, *(symbol for symbol, config in facts.configs.items() if config in facts.live)])
        made = {facts.configs[symbol] for symbol in found.seen.called if symbol in facts.configs}
        made_anew: dict[str, set[Any]] = {name: {...} for config in made for name in config.model_fields}
        wider = facts.with_live(made).with_values(found.seen.replaced).with_values(made_anew)
        if wider == facts:
            return found
        facts = wider


def _reach(found: Reached, waiting: list[Symbol]) -> None:
    """Visit definitions and methods until nothing new is named."""
    while waiting:
        for symbol in waiting:
            found.definitions.add(symbol)
            module = load_module(symbol.module)
            Specialise(module, found.facts, found.seen).shell(module.statements[symbol.name])
        for symbol, method in list(_new_methods(found)):
            found.methods.setdefault(symbol, set()).add(method.name.value)
            method.visit(Specialise(load_module(symbol.module), found.facts, found.seen))
        waiting = [symbol for symbol in found.seen.named if symbol not in found.definitions]
        if not waiting and any(_new_methods(found)):
            waiting = [next(iter(found.definitions))]


def _new_methods(found: Reached) -> Iterator[tuple[Symbol, cst.FunctionDef]]:
    """Yield the methods of reached classes that are named by now and were not."""
    for symbol in found.definitions:
        for method in methods_of(load_module(symbol.module).statements[symbol.name]):
            name = method.name.value
            if name in found.methods.get(symbol, ()) or is_validator(method):
                continue
            asked = found.seen.of_classes if is_of_class(method) else found.seen.attributes
            if name.startswith("__") or name in CALLED_FROM_OUTSIDE or name in asked:
                yield symbol, method


def write(found: Reached, entry: Symbol, ending: str) -> str:
    """Return the file: imports, the definitions module by module, `ending` (in which `{entry}` is the main function)."""
    names, seen = _names(found), Seen()
    parts: list[str] = []
    for name in _in_order({symbol.module for symbol in found.definitions}):
        module = load_module(name)
        wanted = {id(module.statements[symbol.name]): symbol for symbol in found.definitions if symbol.module == name}
        writer = Specialise(module, found.facts, seen, names)
        seen.called |= found.seen.called
        body: list[Any] = []
        for statement in module.tree.body:
            symbol = wanted.get(id(statement))
            if symbol is not None:
                body.append(writer.shell(statement, found.methods.get(symbol, set())))
                body += [module.remarks[statement]] if statement in module.remarks else []
        parts.append(f"# {'-' * 20} {name}: {_first_line(module.tree)}\n\n" + cst.Module(body).code.strip("\n"))
    imports = sorted({external.statement for external in seen.externals}, key=lambda line: (line.startswith("from"), line))
    head = "from __future__ import annotations\n\n" + "\n".join(imports)
    told = ending.format(entry=names[entry], recipe=names[RECIPE], parts=_parts(found, names))
    return "\n\n\n".join([head, *parts, told]) + "\n"


def _parts(found: Reached, names: dict[Symbol, str]) -> str:
    """Return the statements that tell plain configs the classes of their parts."""
    from mulligan.core.config import configs_of, kinds_of

    symbol_of = {config: symbol for symbol, config in found.facts.configs.items()}
    lines = []
    for config in sorted(found.facts.live, key=lambda config: symbol_of[config]):
        fields = []
        for name, info in config.model_fields.items():
            classes = [part for part in configs_of(info.annotation) if part in found.facts.live]
            if not classes:
                continue
            by_kind = [f"{word!r}: {names[symbol_of[part]]}" for part in classes for word in kinds_of(part)]
            fields.append(f"{name!r}: " + (f"{{{', '.join(by_kind)}}}" if by_kind else names[symbol_of[classes[0]]]))
        if fields:
            lines.append(f"{names[symbol_of[config]]}.PARTS = {{{', '.join(fields)}}}")
    return "\n".join(lines)


def _names(found: Reached) -> dict[Symbol, str]:
    """Return what each definition is called in the one file: its name, with its module's before it where that clashes."""
    count = Counter(symbol.name for symbol in found.definitions)
    taken = {external.bound for external in found.seen.externals} | set(dir(builtins))
    names: dict[Symbol, str] = {}
    for symbol in found.definitions:
        hidden = symbol in found.seen.asides and symbol.name in found.seen.words
        if count[symbol.name] == 1 and symbol.name not in taken and not hidden:
            names[symbol] = symbol.name
        else:
            path = "_".join(symbol.module.split(".")[1:])
            bare = symbol.name.lstrip("_")
            names[symbol] = symbol.name[: len(symbol.name) - len(bare)] + f"{path}_{bare}"
    assert len(set(names.values())) == len(names), "every definition has a name of its own"
    return names


def _in_order(modules: set[str]) -> list[str]:
    """Return modules so that each stands behind what is imported when it is."""
    order: list[str] = []

    def add(name: str, on_the_way: tuple[str, ...]) -> None:
        if name in order or name in on_the_way:
            return
        needs = load_module(name).needs
        for need in [*needs, *(stand_in.module for original, stand_in in INSTEAD.items() if original.module in needs)]:
            add(need, (*on_the_way, name))
        order.append(name)

    add(PLAIN, ())
    for name in sorted(modules):
        add(name, ())
    return [name for name in order if name in modules]


def _first_line(tree: cst.Module) -> str:
    docstring = tree.get_docstring() or ""
    return docstring.strip().split("\n", 1)[0]
