"""Tables that are changed at indices and looked up, and what becomes of values per token."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mulligan.review.flow import score
from mulligan.review.flow.index import PARTS, combine, length
from mulligan.review.flow.value import NONE, PER_TOKEN, UNKNOWN, Data, Fitted, Looked, Mark, Tag, Val, turns_of

if TYPE_CHECKING:
    from mulligan.review.flow.library import Call
    from mulligan.review.flow.machine import Machine


def changed_at(machine: Machine, given: Call) -> Val | None:
    """Change a table at indices: index_add_, scatter_add_, np.add.at."""
    if given.name in ("at",) and given.library:
        table, index = given.argument(0), given.argument(1)
    elif given.base is not None:
        table, index = given.base, given.argument(1, "index") or given.argument(0)
    else:
        return None
    if table is None or index is None:
        return None
    rest = [value for value in given.values if value is not table and value is not index]
    tags = frozenset[Any]().union(*(machine.tags(value) for value in rest)) if rest else NONE
    at = machine.tags(index)
    new = score.counted(machine, at) | tags
    for cell in table.refs:
        passing = bool(machine.running) and machine.running[-1].loop in cell.loops and Mark.GOLD not in at
        machine.heap.add_tags(cell, tags | at if passing else new)  # what is made anew in each round learns nothing
    return table if given.name.endswith("_") else Val(machine.tags(table) | new)


def native(machine: Machine, given: Call) -> Val:
    """Return a library of compiled code."""
    return machine.new("library", frozenset({Mark.NATIVE}))


def called_native(machine: Machine, given: Call) -> Val:
    """Call compiled code: whatever it is given may hold what it makes of all that it is given."""
    value = combine(machine, given.values)
    for one in [*given.given, *given.named.values()]:
        for cell in one.refs:
            if cell.kind == "tensor":
                machine.heap.add_tags(cell, value.tags)
    return value


def counted_up(machine: Machine, given: Call) -> Val:
    """Return counts of what is given."""
    at = frozenset[Any]().union(*(machine.tags(value) for value in given.values))
    return machine.new("tensor", score.counted(machine, at))


def gathered(machine: Machine, given: Call) -> Val | None:
    """Look something up at indices."""
    values = [*given.given, *given.named.values()]
    if given.base is not None and not given.library:
        content, rest = given.base, values
    elif values:
        content, rest = values[0], values[1:]
    else:
        return None
    at = frozenset[Any]().union(*(machine.tags(value) for value in rest)) if rest else NONE
    held = machine.tags(content)
    tags = held
    if Mark.NEXT in at and any(isinstance(tag, Data) for tag in held) and Mark.PREDICTION not in held:
        tags |= {Mark.GOLD}
    return Val(score.looked_up(machine, tags, held, at))


def total(machine: Machine, given: Call) -> Val:
    """Return a sum, in which single tokens are lost."""
    tags = frozenset[Any]().union(*(machine.tags(value) for value in given.values)) if given.values else NONE
    return Val(frozenset(tag for tag in tags if tag not in PER_TOKEN and not _of_one_token(tag)))


def _of_one_token(tag: Tag) -> bool:
    return isinstance(tag, Looked) or (isinstance(tag, Fitted) and tag.how == "counts")


def extreme(machine: Machine, given: Call) -> Val | None:
    """Return the largest of a tensor's tokens, which is a size; of what a network gives, and of two things, it is none."""
    if len(given.given) + (given.base is not None and not given.library) != 1 or given.named:
        return None
    value = combine(machine, given.values)
    if value.tags & {Mark.PREDICTION, Mark.SCORE} or not any(isinstance(tag, Data) for tag in value.tags):
        return None
    return Val(frozenset(tag for tag in value.tags if not isinstance(tag, Data) and tag is not Mark.GOLD))


def size(machine: Machine, given: Call) -> Val:
    """Return a size: of text, how many bytes a token has."""
    value = given.argument(0) if given.name == "len" else None
    known = length(value) if value is not None and not isinstance(value.const, range) else None
    base = given.base if given.base is not None else value
    tags = machine.tags(base) if base is not None else NONE
    lengths = {Mark.LENGTH, Mark.GOLD} & tags if Mark.BYTES in tags else set()
    if lengths or Mark.BYTES in tags:
        lengths = {*lengths, Mark.LENGTH}
    return Val(frozenset({*turns_of(tags), *lengths}), const=known if known is not None else UNKNOWN)


def chosen(machine: Machine, given: Call) -> Val | None:
    """Return elements of one or another."""
    values = [*([given.base] if given.base is not None and not given.library else []), *given.given]
    value = combine(machine, [*values, *given.named.values()])
    parts = [machine.tags(one) for one in values]
    if given.name in ("minimum", "maximum", "fmin", "fmax") and len(parts) >= 2:
        return value.but(tags=value.tags | score.chosen(machine, NONE, parts[0], parts[1], elementwise=True))
    if given.name == "where" and len(parts) >= 3:
        value = value.but(tags=value.tags | score.chosen(machine, parts[0], parts[1], parts[2], elementwise=True))
    return value


def stacked(machine: Machine, given: Call) -> Val | None:
    """Put tensors together, each of which counts on its own."""

    parts = [cell.names[PARTS] for value in given.given[:1] for cell in value.refs if PARTS in cell.names]
    if not parts or not parts[0].items:
        return None
    return combine(machine, list(parts[0].items))
