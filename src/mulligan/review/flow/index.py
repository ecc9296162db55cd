"""What lies at an index, and what is put there; what the elements of a value have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mulligan.review.flow import score
from mulligan.review.flow.heap import Cell
from mulligan.review.flow.value import (
    MOST_TEXT,
    NONE,
    UNKNOWN,
    Cut,
    Data,
    Looked,
    Mark,
    Turn,
    Val,
    cut,
    dated,
    join,
    turns_of,
)

if TYPE_CHECKING:
    from mulligan.review.flow.machine import Machine

MOST_FOLDED = 4096
PARTS = "its parts"
"""Under this name a list remembers what it was written with."""


def truth(value: Val) -> bool | None:
    """Return whether a condition holds, None where that is not known."""
    if value.known:
        return bool(value.const)
    if value.items is not None:
        return bool(value.items)
    return None


def length(value: Val) -> int | None:
    """Return how many elements there are, None where that is not known."""
    if value.items is not None:
        return len(value.items)
    if value.known and isinstance(value.const, range):
        return 0 if not value.const else 2 if value.const[0] != value.const[-1] else 1  # as many as matter, of any number
    return len(value.const) if value.known and isinstance(value.const, str | tuple) else None


def element(machine: Machine, value: Val) -> Val:
    """Return what the elements of a value have in common."""
    if value.items is not None:
        return join(value.items).but(const=UNKNOWN) if value.items else Val()
    found = []
    for cell in value.refs:
        if cell.element is not None:
            found.append(cell.element)
        elif cell.kind == "dict":
            found += [Val(const=name) for name in cell.names][:MOST_FOLDED]
        elif cell.kind in ("module", "optimizer"):
            found.append(Val(refs=frozenset({cell}), part=True))
        elif cell.kind in ("tensor", "library"):
            found.append(Val(cell.tags))
    if value.known and isinstance(value.const, range):
        return Val(tags=frozenset({Mark.NEXT}) if value.const.start == 1 else NONE)
    if not found:
        return Val(machine.tags(value), text=value.text)
    one = join(found)
    turns = frozenset(turn for turn in value.view if isinstance(turn, Turn))
    one = at_turns(one, turns) if turns else one
    return one.but(const=UNKNOWN, tags=one.tags | value.tags)


def at_turn(value: Val, turn: Turn, keep_constant: bool = False) -> Val:
    """Return an element as one iteration sees it."""
    return at_turns(value, frozenset({turn}), keep_constant)


def at_turns(value: Val, turns: frozenset[Turn], keep_constant: bool = False) -> Val:
    """Return an element that depends on iterations, with all that it holds."""
    items = None if value.items is None else tuple(at_turns(item, turns, keep_constant) for item in value.items)
    const = value.const if keep_constant else UNKNOWN
    held = any(cell.kind in ("list", "dict", "tensor") for cell in value.refs) and not value.part
    view = value.view | turns if held else value.view
    return value.but(tags=dated(value.tags, turns) | turns, items=items, const=const, view=view)


def combine(machine: Machine, values: list[Val], keep_refs: bool = False) -> Val:
    """Return a new value that is made of several: what is known of any of them, checked for mixtures of scores."""
    tags = frozenset[Any]().union(*(machine.tags(value) for value in values)) if values else NONE
    refs = frozenset[Cell]().union(*(value.refs for value in values)) if keep_refs else frozenset()
    text = "|".join(v.string() for v in values if v.string())[:MOST_TEXT]
    return Val(score.checked(machine, tags, [machine.tags(v) for v in values]), refs, text=text)


def subscript(machine: Machine, base: Val, index: Val) -> Val:
    """Return what lies at an index: data is dated by it, a table that learned is looked up with it."""
    if (
        base.items is not None
        and index.known
        and isinstance(index.const, int)
        and -len(base.items) <= index.const < len(base.items)
    ):
        return base.items[index.const]
    at = machine.tags(index)
    named = _named(base, index)
    if named is not None:
        return named
    content = machine.tags(base)
    turns = turns_of(at)
    cuts = frozenset(tag for tag in at if isinstance(tag, Cut))
    tags = cut(dated(content, turns), cuts)
    if Mark.NEXT in at and any(isinstance(tag, Data) for tag in content) and Mark.PREDICTION not in content:
        tags |= {Mark.GOLD}
    elif Mark.EARLIER in at and Mark.SCORE not in content:
        tags -= {Mark.GOLD}
    tags = score.looked_up(machine, tags, content, at) | turns
    if all(cell.kind in ("list", "dict", "object") for cell in base.refs) and base.refs:
        found = values_of(machine, base) if any(cell.kind == "dict" for cell in base.refs) else element(machine, base)
        held = at_turns(found, turns)
        if index.text == ":" and not any(cell.kind == "dict" for cell in base.refs):
            return machine.new("list", tags, element=held)
        return held.but(tags=held.tags | tags)
    refs = base.refs if base.part or any(cell.kind in ("tensor", "library", "module") for cell in base.refs) else frozenset()
    if refs and (Mark.GOLD in at or any(isinstance(tag, Data) for tag in at)):
        refs = frozenset()
    return Val(tags, refs, part=base.part, text=base.text, view=base.view | turns | cuts)


def _named(base: Val, index: Val) -> Val | None:
    if not index.known or not base.refs:
        return None
    try:
        found = [cell.names[index.const] for cell in base.refs if cell.kind == "dict" and index.const in cell.names]
    except TypeError:
        return None
    return join(found) if found else None


def store(machine: Machine, base: Val, index: Val, value: Val) -> None:
    """Put a value at an index of a container or a tensor."""
    at = machine.tags(index)
    if Mark.ANSWER in at:
        value = value.but(tags=value.tags | score.checked(machine, NONE, [machine.tags(base), at]))
    counts = score.counted(machine, at)
    content = machine.tags(value)
    value = value.but(tags=value.tags | score.gated(machine, content))
    if Mark.BETTER in at and score.says_something(content):
        value = value.but(tags=value.tags | score.oracle(machine))
    if counts:  # what is counted is no answer any more
        value = value.but(tags=frozenset(tag for tag in value.tags if not isinstance(tag, Looked)))
    for cell in base.refs:
        if cell.kind == "dict" and index.known and isinstance(index.const, str | int) and len(base.refs) == 1:
            old = cell.names.get(index.const)
            fresh = old is None or not machine.running
            machine.heap.set_name(cell, index.const, value if fresh or old is None else join([old, value]))
        elif cell.kind in ("list", "dict", "object"):
            held = value.but(tags=score.settled_past(machine, value.tags) | turns_of(at))
            machine.heap.add_element(cell, held)
            machine.heap.add_tags(cell, counts)
        else:
            settled = score.settled_past(machine, machine.tags(value))
            machine.heap.add_tags(cell, score.checked(machine, settled, [cell.tags, settled]) | counts)


def values_of(machine: Machine, base: Val) -> Val:
    """Return what the values of a dict have in common."""
    found = [value for cell in base.refs for value in list(cell.names.values())[:200]]
    found += [cell.element for cell in base.refs if cell.element is not None]
    return join(found) if found else Val(base.tags)
