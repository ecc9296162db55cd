"""Gradients, optimizers, and the weights that they change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mulligan.review.flow import score
from mulligan.review.flow.heap import Cell
from mulligan.review.flow.value import NONE, Data, Fitted, How, Tags, Val, learned

if TYPE_CHECKING:
    from mulligan.review.flow.library import Call
    from mulligan.review.flow.machine import Machine

METHODS = frozenset(
    {
        "parameters",
        "named_parameters",
        "state_dict",
        "modules",
        "named_modules",
        "children",
        "load_state_dict",
        "to",
        "float",
        "half",
        "bfloat16",
        "double",
        "cuda",
        "cpu",
        "zero_grad",
        "register_buffer",
        "apply",
        "reset_parameters",
    }
)


def gradient(machine: Machine, tags: Tags, how: How) -> Tags:
    """Return what a gradient of a loss on data carries into what it changes."""
    loops = frozenset(turn.loop for turn in machine.running)
    return frozenset(Fitted(tag, how, machine.place, loops, False, machine.guard) for tag in tags if isinstance(tag, Data))


def optimizer(machine: Machine, values: list[Val], cls: Any) -> Val:
    """Return an optimizer of the parameters that are among what it is given."""
    made = machine.new("optimizer", cls=cls)
    owners: set[Cell] = set()
    for value in values:
        _owners(value, owners, 5)
    machine.heap.set_owners(next(iter(made.refs)), frozenset(owners))
    return made


def _owners(value: Val, found: set[Cell], depth: int) -> None:
    for item in value.items or ():
        _owners(item, found, depth)
    for cell in value.refs:
        if cell.kind in ("module", "tensor"):
            found.add(cell)
        elif depth and cell.kind in ("list", "dict", "object"):
            for held in [*cell.names.values(), *([cell.element] if cell.element is not None else [])]:
                _owners(held, found, depth - 1)


def backward(machine: Machine, given: Call) -> Val:
    """Take the gradient of a loss."""
    value = given.base if given.base is not None and not given.library else given.argument(0)
    tags = machine.tags(value) if value is not None else NONE
    fresh = frozenset(tag for tag in tags if isinstance(tag, Data))
    kept = machine.pending.tags if "stepped" not in machine.pending.names else NONE
    machine.heap.set_tags(machine.pending, kept | fresh)
    if "stepped" in machine.pending.names:
        machine.heap.set_name(machine.pending, "stepped", None)  # type: ignore[arg-type]
        machine.pending.names.pop("stepped", None)
    machine.note("backward", fresh)
    return Val()


def step(machine: Machine, given: Call) -> Val | None:
    """Change what an optimizer owns by the gradients taken."""
    cells = {cell for value in given.values for cell in value.refs if cell.kind == "optimizer"}
    if not cells:
        return None
    for value in given.given:
        if value.calls:  # an optimizer may be handed what takes the gradient
            machine.invoke(value, [])
    owners = frozenset[Cell]().union(*(cell.owners for cell in cells))
    pending = machine.pending.tags
    for owner in owners:
        how: How = "tensor" if owner.kind == "tensor" else "gradient"
        machine.heap.add_tags(owner, gradient(machine, pending, how))
    machine.heap.set_name(machine.pending, "stepped", Val(const=True))
    machine.note("step", pending, "tensor" if owners and all(owner.kind == "tensor" for owner in owners) else "")
    return Val()


def zero_grad(machine: Machine, given: Call) -> Val:
    """Forget the gradients taken."""
    machine.heap.set_tags(machine.pending, NONE)
    return Val()


def taken_gradient(machine: Machine, given: Call) -> Val | None:
    """Return the gradient of a loss."""
    if not given.given:
        return None
    wanted = given.argument(1, "inputs")
    kinds = {cell.kind for cell in wanted.refs} if wanted is not None else set()
    how: How = "tensor" if kinds == {"tensor"} else "gradient"
    tags = gradient(machine, machine.tags(given.given[0]), how)
    machine.note("grad", machine.tags(given.given[0]))
    return machine.new("list", element=Val(tags))


def load_state(machine: Machine, given: Call) -> Val | None:
    """Replace weights."""
    if given.base is None or not given.given:
        return None
    tags = learned(machine.tags(given.given[0]))
    for cell in given.base.refs:
        if cell.kind == "module":
            machine.heap.set_tags(cell, tags)
            machine.restored.append(cell)
    return Val()


def in_place(machine: Machine, given: Call) -> Val:
    """Change a tensor by a method that ends in `_`."""
    base = given.base or Val()
    parts = [machine.tags(value) for value in (*given.given, *given.named.values())]
    tags = frozenset[Any]().union(*parts)
    if given.name in ("zero_", "fill_", "normal_", "uniform_", "zeros_", "ones_", "constant_", "reset_") and base.part is False:
        return base
    before = machine.tags(base)
    checked = score.checked(machine, before | tags, [before, *parts])
    for cell in base.refs:
        if base.part or cell.kind == "module":
            fits = learned(checked)
            replaced = given.name in ("copy_", "set_")
            machine.heap.set_tags(cell, learned(tags)) if replaced else machine.heap.add_tags(cell, fits)
        elif given.name == "copy_" and cell.kind == "tensor":
            machine.heap.set_tags(cell, tags)
        else:
            machine.heap.add_tags(cell, checked)
    return base if base.refs else Val(checked)


def snapshot(machine: Machine, given: Call) -> Val | None:
    """Return a copy of a tensor, or the same module elsewhere."""
    base = given.base
    if base is None or given.library:
        return None
    if any(cell.kind == "module" for cell in base.refs) and not base.part:
        return base
    if any(cell.kind in ("tensor", "module") for cell in base.refs):
        return machine.new("tensor", machine.tags(base))
    if base.refs and given.name == "copy":
        return _copied(machine, base)
    return Val(machine.tags(base), text=base.text)


def view(machine: Machine, given: Call) -> Val | None:
    """Return the same content in another shape."""
    base = given.base
    if base is None or given.library:
        return None
    if not base.refs:
        return Val(machine.tags(base), text=base.text)
    return base


def deepcopy(machine: Machine, given: Call) -> Val | None:
    """Return a deep copy."""
    return _copied(machine, given.given[0]) if given.given else None


def _copied(machine: Machine, value: Val) -> Val:
    cells = []
    for cell in value.refs:
        copied = Cell(cell.kind, machine.place, cell.cls)
        copied.tags, copied.element, copied.names, copied.owners = cell.tags, cell.element, dict(cell.names), cell.owners
        cells.append(copied)
    return value.but(refs=frozenset(cells))


def parts(machine: Machine, given: Call) -> Val | None:
    """Return parameters or parts of a module, with their names where these are asked for."""
    if given.base is None:
        return None
    part = Val(given.base.tags, given.base.refs, part=True)
    return machine.new("list", element=Val(items=(Val(), part))) if given.name.startswith("named_") else part
