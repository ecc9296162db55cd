"""Lists, dicts, queues and ranges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mulligan.review.flow import score
from mulligan.review.flow.index import at_turns, element, subscript, values_of
from mulligan.review.flow.text import environment
from mulligan.review.flow.value import NONE, Mark, Tags, Val, join, turns_of

if TYPE_CHECKING:
    from mulligan.review.flow.library import Call
    from mulligan.review.flow.machine import Machine


def elements(machine: Machine, given: Call) -> Val | None:
    """Return what zip, enumerate, list and their like go through."""
    if given.name in ("zip", "map", "product") and given.given:
        found = [element(machine, value) for value in given.given]
        if given.name == "map":
            return machine.new("list", element=machine.invoke(given.given[0], found[1:]))
        return machine.new("list", element=Val(items=tuple(found)))
    if given.name == "enumerate" and given.given:
        start = given.argument(1, "start")
        at = start_tags(machine, start) if start is not None else NONE
        return machine.new("list", element=Val(items=(Val(at), element(machine, given.given[0]))))
    value = given.argument(0)
    if value is None:
        return machine.new("list")
    if value.items is not None or (value.known and isinstance(value.const, range)):
        return value
    return machine.new("list", turns_of(machine.tags(value)), element=element(machine, value))


def start_tags(machine: Machine, first: Val) -> Tags:
    """Return what numbers know that begin at a value: from one on they are indices one further."""
    tags = machine.tags(first)
    return tags | {Mark.NEXT} if first.known and first.const == 1 else tags


def dict_view(machine: Machine, given: Call) -> Val | None:
    """Return keys, values or both of a dict."""
    base = given.base
    if base is None or given.library:
        return None
    found = values_of(machine, base)
    keys = Val(frozenset[Any]().union(*(cell.tags for cell in base.refs)) if base.refs and not base.part else NONE)
    if base.part:
        found, keys = Val(base.tags, base.refs, part=True), Val()
    one = {"items": Val(items=(keys, found)), "keys": keys}.get(given.name, found)
    return machine.new("list", element=one)


def put(machine: Machine, given: Call) -> Val | None:
    """Put something into a container."""
    base = given.base
    if base is None or given.library or not any(cell.kind in ("list", "dict", "library", "object") for cell in base.refs):
        return None
    for value in (*given.given, *given.named.values()):
        many = given.name in ("extend", "update", "union")
        tags = machine.tags(value)
        for cell in base.refs:
            if cell.kind not in ("list", "dict", "library", "object", "tensor"):
                continue
            if many:
                machine.heap.add_element(cell, element(machine, value))
                if given.name == "update" and cell.kind == "dict":
                    machine.heap.add_tags(cell, score.counted(machine, tags))
            else:
                machine.heap.add_element(cell, value.but(tags=score.settled_past(machine, value.tags)))
    return Val()


def taken(machine: Machine, given: Call) -> Val | None:
    """Take something out of a container, or out of the environment."""
    base = given.base
    if given.name == "next" and given.given:
        return _now(machine, element(machine, given.given[0]))
    if base is None or given.library:
        return environment(machine, given) if given.library.endswith(("environ.get", "getenv")) else None
    if given.name in ("get", "pop") and given.given and any(cell.kind in ("dict", "module", "object") for cell in base.refs):
        found = [subscript(machine, base, given.given[0])]
        return join([*found, *given.given[1:2]])
    return _now(machine, element(machine, base))


def _now(machine: Machine, value: Val) -> Val:
    """Return what is taken off a queue: another one in each iteration."""
    return at_turns(value, frozenset(machine.running))


def gathered_from(machine: Machine, given: Call) -> Val:
    """Put what every process has into what takes it up."""
    target, source = given.argument(0), given.argument(1)
    if target is not None and source is not None:
        for cell in target.refs:
            if cell.kind == "list":
                machine.heap.add_element(cell, source)
            else:
                machine.heap.add_tags(cell, machine.tags(source))
    return Val()


def set_default(machine: Machine, given: Call) -> Val | None:
    """Do what setdefault does."""
    if given.base is None or len(given.given) < 2:
        return None
    for cell in given.base.refs:
        machine.heap.add_element(cell, given.given[1])
    return values_of(machine, given.base)


def new_container(machine: Machine, given: Call) -> Val | None:
    """Return a new queue or dict."""
    kind = "list" if given.name in ("deque", "Queue", "SimpleQueue") else "dict"
    made = machine.new(kind)
    cell = next(iter(made.refs))
    for value in given.given:
        if given.name == "defaultdict" and (value.calls or value.library):
            held = machine.invoke(value, []) if value.calls else _fresh(machine, value.library)
            machine.heap.add_element(cell, held)
        elif value.refs or value.items is not None:
            machine.heap.add_element(cell, element(machine, value))
            if given.name == "Counter":
                machine.heap.add_tags(cell, score.counted(machine, machine.tags(value)))
            for source in value.refs:
                cell.names.update(source.names)
    cell.names.update(given.named)
    return made


def _fresh(machine: Machine, name: str) -> Val:
    kinds: dict[str, Any] = {"list": "list", "dict": "dict", "Counter": "dict", "set": "list", "defaultdict": "dict"}
    kind = kinds.get(name.rsplit(".", 1)[-1])
    return machine.new(kind) if kind else Val()


def ranged(machine: Machine, given: Call) -> Val:
    """Return a range: from one on, its numbers are indices one further."""
    values = given.given
    if values and all(value.known and isinstance(value.const, int) for value in values) and given.name == "range":
        try:
            return Val(const=range(*(value.const for value in values)))
        except (TypeError, ValueError):
            return Val()
    tags = frozenset[Any]().union(*(machine.tags(value) for value in values)) - {Mark.NEXT} if values else NONE
    first = values[0] if len(values) > 1 else None
    if first is not None and (Mark.NEXT in first.tags or (first.known and first.const == 1)):
        tags |= {Mark.NEXT}
    return Val(tags)


def default_of(machine: Machine, given: Call) -> Val | None:
    """Return the default of a dataclass's field."""
    if "default" in given.named:
        return given.named["default"]
    factory = given.named.get("default_factory")
    if factory is None:
        return None
    return machine.invoke(factory, []) if factory.calls else _fresh(machine, factory.library)
