"""Text, numbers made of it, files, and what is printed."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mulligan.review.flow.arithmetic import NODE
from mulligan.review.flow.gradient import snapshot
from mulligan.review.flow.index import MOST_FOLDED, combine
from mulligan.review.flow.value import NONE, UNKNOWN, Data, Fault, Fitted, Mark, Val, split_named

if TYPE_CHECKING:
    from mulligan.review.flow.library import Call
    from mulligan.review.flow.machine import Machine

REPORTED = re.compile(r"bpb|bits.?per.?byte|val_?loss|val\b.*loss", re.I)
CLOCK = re.compile(r"WALLCLOCK|TIME_?(LIMIT|BUDGET)|MAX_(TRAIN_)?(SECONDS|TIME)|TRAIN_SECONDS|BUDGET_?S", re.I)
RESERVE = re.compile(r"RESERVE|MARGIN|BUFFER", re.I)


def reported(machine: Machine, given: Call) -> Val | None:
    """Print or write: a fault that is reported counts."""
    if given.name == "log" and (not given.given or given.library.split(".")[0] in ("math", "numpy", "torch", "cmath", "jax")):
        return None
    text = "|".join(value.string() for value in given.values if value.string())
    names = "|".join(str(name) for value in given.values for cell in value.refs for name in cell.names)
    tags = frozenset[Any]().union(*(machine.tags(value) for value in given.values)) if given.values else NONE
    if REPORTED.search(f"{text}|{names}"):
        for tag in tags:
            if isinstance(tag, Fault):
                machine.faults.setdefault(tag, text[:120])
        if Mark.SCORE in tags:
            machine.note("report", tags, text[:200])
        if Mark.NATIVE in tags and Mark.SCORE in tags:
            machine.note("native", tags)
    fits = frozenset(replace(tag, packed=True) for tag in tags if isinstance(tag, Fitted))
    if given.name in ("save", "dump", "write", "savez", "save_file", "dumps", "compress", "savez_compressed"):
        machine.heap.add_tags(machine.disk, fits)
        if given.name in ("save", "compress", "savez", "save_file"):
            machine.note("serialize", NONE)
    return Val(tags | fits) if given.name in ("dumps", "compress") else Val()


def loaded(machine: Machine, given: Call) -> Val:
    """Read a file: tokens of a split, or what was written before."""
    value = combine(machine, given.values)
    if any(isinstance(tag, Data) for tag in value.tags):
        return machine.new("library", value.tags) if given.name == "open" else value
    if given.name in ("read", "read_bytes", "decompress", "load", "fromfile", "memmap"):
        value = value.but(tags=value.tags | {Mark.STORED})
    now = NONE if given.name in ("open", "glob", "rglob", "iglob") else frozenset(machine.running)
    return value.but(tags=value.tags | machine.disk.tags | now)


def environment(machine: Machine, given: Call) -> Val:
    """Return an environment variable."""
    name = given.given[0].const if given.given and given.given[0].known else None
    default = given.argument(1, "default") or Val(const=None)
    value = default
    if isinstance(name, str):
        if name in NODE:
            value = Val(const=NODE[name])
        elif name in machine.settings:
            set_to = machine.settings[name]
            value = Val() if set_to is None else Val(split_named(set_to), const=set_to, text=set_to)
        if RESERVE.search(name):
            value = value.but(tags=value.tags | {Mark.RESERVED})
        if CLOCK.search(name):
            value = value.but(tags=value.tags | {Mark.BUDGET})
    return value


def number(machine: Machine, given: Call) -> Val | None:
    """Return a number or a text made of a value."""
    if given.base is not None and not given.library:
        return snapshot(machine, given)
    if not given.given:
        return Val(const={"int": 0, "float": 0.0, "bool": False, "str": ""}.get(given.name, UNKNOWN))
    value = given.given[0]
    if value.known:
        try:
            const = {"int": int, "float": float, "bool": bool, "str": str}[given.name](value.const)
        except (TypeError, ValueError, OverflowError):
            return Val(value.tags)
        return value.but(const=const, text=const if isinstance(const, str) else "")
    return Val(machine.tags(value), text=value.text if given.name == "str" else "")


def path_of(machine: Machine, given: Call) -> Val:
    """Return a path or joined text."""
    values = [*([given.base] if given.base is not None and not given.library else []), *given.given]
    known = all(value.known and isinstance(value.const, str) for value in values)
    text = "/".join(value.string() for value in values)[:400]
    tags = frozenset[Any]().union(*(machine.tags(value) for value in values)) if values else NONE
    return Val(tags | split_named(text), const=text if known and values else UNKNOWN, text=text)


def string_method(machine: Machine, given: Call) -> Val | None:
    """Methods of strings, of which the constant ones are folded."""
    base = given.base
    if base is None or given.library:
        return None
    small = all(value.known and not (isinstance(value.const, str) and len(value.const) > MOST_FOLDED) for value in given.given)
    folded = base.known and isinstance(base.const, str) and len(base.const) <= MOST_FOLDED and small and not given.named
    if folded and not (given.name == "format" and ":" in base.const):  # a width may ask for any number of characters
        try:
            const = getattr(base.const, given.name)(*(value.const for value in given.given))
        except Exception:  # whatever the script's own constants would raise
            const = UNKNOWN
        if isinstance(const, list):
            return Val(base.tags, items=tuple(Val(const=one, text=one) for one in const))
        if isinstance(const, str | bool | int) and not (isinstance(const, str) and len(const) > MOST_FOLDED):
            tags = split_named(const) if isinstance(const, str) else NONE
            return Val(tags or base.tags, const=const, text=const if isinstance(const, str) else "")
    tags = frozenset[Any]().union(*(machine.tags(value) for value in given.values))
    text = "|".join(value.string() for value in given.values if value.string())[:400]
    return Val(tags, text=text)


def to_bytes(machine: Machine, given: Call) -> Val:
    """Return text or bytes of tokens."""
    tags = frozenset[Any]().union(*(machine.tags(value) for value in given.values)) if given.values else NONE
    return Val(tags | {Mark.BYTES})
