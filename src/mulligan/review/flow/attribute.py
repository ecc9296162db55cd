"""Attributes of values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mulligan.review.flow.definition import Class, Function
from mulligan.review.flow.gradient import gradient
from mulligan.review.flow.value import UNKNOWN, Val, dated, join

if TYPE_CHECKING:
    from mulligan.review.flow.machine import Machine

SIZES = frozenset(
    {"shape", "ndim", "dtype", "device", "itemsize", "nbytes", "__name__", "is_cuda", "requires_grad", "training"}
)


def attribute(machine: Machine, base: Val, name: str) -> Val:
    """Return an attribute of a value."""
    found: list[Val] = []
    for call in base.calls:
        held = call.finds(name) if isinstance(call, Class) else None
        if held is not None:
            held = held.but(calls=tuple(one.bound(base) if isinstance(one, Function) else one for one in held.calls))
            found.append(held)
    for cell in base.refs:
        held = cell.names.get(name)
        if held is None and cell.cls is not None and cell.kind in ("object", "module", "optimizer") and not base.part:
            held = cell.cls.finds(name)
            if held is not None and held.calls:
                here = Val(refs=frozenset({cell}))
                held = held.but(calls=tuple(one.bound(here) if isinstance(one, Function) else one for one in held.calls))
                if any(isinstance(one, Function) and one.is_property for one in held.calls):
                    held = machine.invoke(held, [])
        if held is not None:
            changing = cell.cls is not None and cell.kind == "object" and name in cell.cls.changing and not held.refs
            if changing and machine.running:
                held = held.but(const=UNKNOWN, tags=dated(held.tags, machine.running) | set(machine.running))
            found.append(held)
    if found:
        return join(found)
    if base.library and not base.tags:
        return Val(library=f"{base.library}.{name}")
    return unknown_attribute(machine, base, name)


def unknown_attribute(machine: Machine, base: Val, name: str) -> Val:
    """Return an attribute that the script does not define."""
    if name in SIZES:
        return Val()
    if name == "grad":
        return Val(gradient(machine, machine.pending.tags, "gradient"), base.refs and frozenset())
    modules = any(cell.kind == "module" for cell in base.refs)
    refs = frozenset(cell for cell in base.refs if cell.kind not in ("frame", "class"))
    return Val(base.tags, refs, library="", text=base.text, part=base.part or modules)
