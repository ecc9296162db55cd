"""Calls that change something or that have a meaning of their own: gradients, optimizers, files, containers, tables, text."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mulligan.review.flow import score
from mulligan.review.flow.heap import Cell
from mulligan.review.flow.value import (
    NONE,
    PER_TOKEN,
    UNKNOWN,
    Data,
    Fault,
    Fitted,
    How,
    Looked,
    Mark,
    Tags,
    Val,
    join,
    split_named,
    turns_of,
)

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
REPORTED = re.compile(r"bpb|bits.?per.?byte|val_?loss|val\b.*loss", re.I)
CLOCK = re.compile(r"WALLCLOCK|TIME_?(LIMIT|BUDGET)|MAX_(TRAIN_)?(SECONDS|TIME)|TRAIN_SECONDS|BUDGET_?S", re.I)
NODE = {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "8"}
"""What the challenge's machine sets: eight processes, of which the first reports."""
RESERVE = re.compile(r"RESERVE|MARGIN|BUFFER", re.I)


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


def _backward(machine: Machine, given: Call) -> Val:
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


def _step(machine: Machine, given: Call) -> Val | None:
    cells = {cell for value in given.values for cell in value.refs if cell.kind == "optimizer"}
    if not cells:
        return None
    owners = frozenset[Cell]().union(*(cell.owners for cell in cells))
    pending = machine.pending.tags
    for owner in owners:
        how: How = "tensor" if owner.kind == "tensor" else "gradient"
        machine.heap.add_tags(owner, gradient(machine, pending, how))
    machine.heap.set_name(machine.pending, "stepped", Val(const=True))
    machine.note("step", pending, "tensor" if owners and all(owner.kind == "tensor" for owner in owners) else "")
    return Val()


def _zero_grad(machine: Machine, given: Call) -> Val:
    machine.heap.set_tags(machine.pending, NONE)
    return Val()


def _grad(machine: Machine, given: Call) -> Val | None:
    if not given.given:
        return None
    wanted = given.argument(1, "inputs")
    kinds = {cell.kind for cell in wanted.refs} if wanted is not None else set()
    how: How = "tensor" if kinds == {"tensor"} else "gradient"
    tags = gradient(machine, machine.tags(given.given[0]), how)
    machine.note("grad", machine.tags(given.given[0]))
    return machine.new("list", element=Val(tags))


def _load_state(machine: Machine, given: Call) -> Val | None:
    from mulligan.review.flow.library import learned

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
    from mulligan.review.flow.library import learned

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


def _table(machine: Machine, given: Call) -> Val | None:
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
    new = score.counted(machine, machine.tags(index)) | tags
    for cell in table.refs:
        machine.heap.add_tags(cell, new)
    return table if given.name.endswith("_") else Val(machine.tags(table) | new)


def _counts(machine: Machine, given: Call) -> Val:
    at = frozenset[Any]().union(*(machine.tags(value) for value in given.values))
    return machine.new("tensor", score.counted(machine, at))


def _gather(machine: Machine, given: Call) -> Val | None:
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


def _snapshot(machine: Machine, given: Call) -> Val | None:
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


def _view(machine: Machine, given: Call) -> Val | None:
    base = given.base
    if base is None or given.library:
        return None
    if not base.refs:
        return Val(machine.tags(base), text=base.text)
    return base


def _deepcopy(machine: Machine, given: Call) -> Val | None:
    return _copied(machine, given.given[0]) if given.given else None


def _copied(machine: Machine, value: Val) -> Val:
    cells = []
    for cell in value.refs:
        copied = Cell(cell.kind, machine.place, cell.cls)
        copied.tags, copied.element, copied.names, copied.owners = cell.tags, cell.element, dict(cell.names), cell.owners
        cells.append(copied)
    return value.but(refs=frozenset(cells))


def _parts(machine: Machine, given: Call) -> Val | None:
    if given.base is None:
        return None
    return Val(given.base.tags, given.base.refs, part=True)


def _total(machine: Machine, given: Call) -> Val:
    tags = frozenset[Any]().union(*(machine.tags(value) for value in given.values)) if given.values else NONE
    return Val(frozenset(tag for tag in tags if tag not in PER_TOKEN and not isinstance(tag, Looked)))


def _size(machine: Machine, given: Call) -> Val:
    from mulligan.review.flow.expression import length

    value = given.argument(0) if given.name == "len" else None
    known = length(value) if value is not None else None
    base = given.base if given.base is not None else value
    tags = machine.tags(base) if base is not None else NONE
    lengths = {Mark.LENGTH, Mark.GOLD} & tags if Mark.BYTES in tags else set()
    if lengths or Mark.BYTES in tags:
        lengths = {*lengths, Mark.LENGTH}
    return Val(frozenset({*turns_of(tags), *lengths}), const=known if known is not None else UNKNOWN)


def _print(machine: Machine, given: Call) -> Val | None:
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
    fits = frozenset(replace(tag, packed=True) for tag in tags if isinstance(tag, Fitted))
    if given.name in ("save", "dump", "write", "savez", "save_file", "dumps", "compress", "savez_compressed"):
        machine.heap.add_tags(machine.disk, fits)
        if given.name in ("save", "compress", "savez", "save_file"):
            machine.note("serialize", NONE)
    return Val(tags | fits) if given.name in ("dumps", "compress") else Val()


def _load(machine: Machine, given: Call) -> Val:
    from mulligan.review.flow.library import result

    value = result(machine, given.values)
    if any(isinstance(tag, Data) for tag in value.tags):
        return machine.new("library", value.tags) if given.name == "open" else value
    if given.name in ("read", "read_bytes", "decompress", "load", "fromfile", "memmap"):
        value = value.but(tags=value.tags | {Mark.STORED})
    now = NONE if given.name in ("open", "glob", "rglob", "iglob") else frozenset(machine.running)
    return value.but(tags=value.tags | machine.disk.tags | now)


def _elements(machine: Machine, given: Call) -> Val | None:
    from mulligan.review.flow.expression import element

    if given.name in ("zip", "map", "product") and given.given:
        found = [element(machine, value) for value in given.given]
        if given.name == "map":
            return machine.new("list", element=_called(machine, given.given[0], found[1:]))
        return machine.new("list", element=Val(items=tuple(found)))
    if given.name == "enumerate" and given.given:
        return machine.new("list", element=Val(items=(Val(), element(machine, given.given[0]))))
    value = given.argument(0)
    if value is None:
        return machine.new("list")
    if value.items is not None or (value.known and isinstance(value.const, range)):
        return value
    return machine.new("list", turns_of(machine.tags(value)), element=element(machine, value))


def _called(machine: Machine, function: Val, given: list[Val]) -> Val:
    from mulligan.review.flow.library import call

    return call(machine, function, None, "", given, {})


def _dict_view(machine: Machine, given: Call) -> Val | None:
    base = given.base
    if base is None or given.library:
        return None
    found = values_of(machine, base)
    keys = Val(frozenset[Any]().union(*(cell.tags for cell in base.refs)) if base.refs and not base.part else NONE)
    if base.part:
        return Val(base.tags, base.refs, part=True)
    one = {"items": Val(items=(keys, found)), "keys": keys}.get(given.name, found)
    return machine.new("list", element=one)


def values_of(machine: Machine, base: Val) -> Val:
    """Return what the values of a dict have in common."""
    found = [value for cell in base.refs for value in list(cell.names.values())[:200]]
    found += [cell.element for cell in base.refs if cell.element is not None]
    return join(found) if found else Val(base.tags)


def _put(machine: Machine, given: Call) -> Val | None:
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
                from mulligan.review.flow.expression import element

                machine.heap.add_element(cell, element(machine, value))
                if given.name == "update" and cell.kind == "dict":
                    machine.heap.add_tags(cell, score.counted(machine, tags))
            else:
                machine.heap.add_element(cell, value.but(tags=score.settled_past(machine, value.tags)))
    return Val()


def _take(machine: Machine, given: Call) -> Val | None:
    from mulligan.review.flow.expression import element, subscript

    base = given.base
    if given.name == "next" and given.given:
        return _now(machine, element(machine, given.given[0]))
    if base is None or given.library:
        return _environment(machine, given) if given.library.endswith(("environ.get", "getenv")) else None
    if given.name in ("get", "pop") and given.given and any(cell.kind in ("dict", "module", "object") for cell in base.refs):
        found = [subscript(machine, base, given.given[0])]
        return join([*found, *given.given[1:2]])
    return _now(machine, element(machine, base))


def _now(machine: Machine, value: Val) -> Val:
    """Return what is taken off a queue: another one in each iteration."""
    from mulligan.review.flow.expression import at_turns

    return at_turns(value, frozenset(machine.running))


def _set_default(machine: Machine, given: Call) -> Val | None:
    if given.base is None or len(given.given) < 2:
        return None
    for cell in given.base.refs:
        machine.heap.add_element(cell, given.given[1])
    return values_of(machine, given.base)


def _container(machine: Machine, given: Call) -> Val | None:
    from mulligan.review.flow.expression import element

    kind = "list" if given.name in ("deque", "Queue", "SimpleQueue") else "dict"
    made = machine.new(kind)
    cell = next(iter(made.refs))
    for value in given.given:
        if given.name == "defaultdict" and (value.calls or value.library):
            held = _called(machine, value, []) if value.calls else _fresh(machine, value.library)
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


def _range(machine: Machine, given: Call) -> Val:
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


def _environment(machine: Machine, given: Call) -> Val:
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


def _number(machine: Machine, given: Call) -> Val | None:
    if given.base is not None and not given.library:
        return _snapshot(machine, given)
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


def _path(machine: Machine, given: Call) -> Val:
    values = [*([given.base] if given.base is not None and not given.library else []), *given.given]
    known = all(value.known and isinstance(value.const, str) for value in values)
    text = "/".join(value.string() for value in values)[:400]
    tags = frozenset[Any]().union(*(machine.tags(value) for value in values)) if values else NONE
    return Val(tags | split_named(text), const=text if known and values else UNKNOWN, text=text)


def _text(machine: Machine, given: Call) -> Val | None:
    """Methods of strings, of which the constant ones are folded."""
    base = given.base
    if base is None or given.library:
        return None
    if base.known and isinstance(base.const, str) and all(value.known for value in given.given) and not given.named:
        try:
            const = getattr(base.const, given.name)(*(value.const for value in given.given))
        except Exception:  # whatever the script's own constants would raise
            const = UNKNOWN
        if isinstance(const, list):
            return Val(base.tags, items=tuple(Val(const=one, text=one) for one in const))
        if isinstance(const, str | bool | int) and not (isinstance(const, str) and len(const) > 4096):
            return Val(base.tags, const=const, text=const if isinstance(const, str) else "")
    tags = frozenset[Any]().union(*(machine.tags(value) for value in given.values))
    text = "|".join(value.string() for value in given.values if value.string())[:400]
    return Val(tags, text=text)


def _bytes(machine: Machine, given: Call) -> Val:
    tags = frozenset[Any]().union(*(machine.tags(value) for value in given.values)) if given.values else NONE
    return Val(tags | {Mark.BYTES})


def _getattr(machine: Machine, given: Call) -> Val | None:
    from mulligan.review.flow.expression import attribute

    if len(given.given) >= 2 and given.given[1].known and isinstance(given.given[1].const, str):
        return attribute(machine, given.given[0], given.given[1].const)
    return None


def _setattr(machine: Machine, given: Call) -> Val | None:
    if len(given.given) == 3 and given.given[1].known and isinstance(given.given[1].const, str):
        machine.set_attribute(given.given[0], given.given[1].const, given.given[2])
    return Val()


def _field(machine: Machine, given: Call) -> Val | None:
    """Return the default of a dataclass's field."""
    if "default" in given.named:
        return given.named["default"]
    factory = given.named.get("default_factory")
    if factory is None:
        return None
    return _called(machine, factory, []) if factory.calls else _fresh(machine, factory.library)


def _partial(machine: Machine, given: Call) -> Val | None:
    from mulligan.review.flow.library import Partial

    if not given.given or not given.given[0].calls:
        return None
    named = tuple(given.named.items())
    return Val(calls=tuple(Partial(one, tuple(given.given[1:]), named) for one in given.given[0].calls))


def _start(machine: Machine, given: Call) -> Val | None:
    """Run a function that is handed over: a thread's target, an executor's job."""
    function = given.named.get("target") or given.argument(0)
    if function is None or not function.calls:
        return None
    arguments = given.named.get("args")
    rest = list(arguments.items) if arguments is not None and arguments.items is not None else given.given[1:]
    return _called(machine, function, rest)


def _choose(machine: Machine, given: Call) -> Val | None:
    from mulligan.review.flow.library import result

    values = [*([given.base] if given.base is not None and not given.library else []), *given.given]
    value = result(machine, [*values, *given.named.values()])
    parts = [machine.tags(one) for one in values]
    if given.name in ("minimum", "maximum", "fmin", "fmax") and len(parts) >= 2:
        return value.but(tags=value.tags | score.chosen(machine, NONE, parts[0], parts[1], elementwise=True))
    if given.name == "where" and len(parts) >= 3:
        compared = Mark.SCORE in parts[0] and (any(isinstance(t, Looked) for t in parts[0]))
        if compared:
            value = value.but(tags=value.tags | score.chosen(machine, parts[0], parts[1], parts[2], elementwise=True))
    return value


def _stacked(machine: Machine, given: Call) -> Val | None:
    """Put tensors together, each of which counts on its own."""
    from mulligan.review.flow.expression import PARTS
    from mulligan.review.flow.library import result

    parts = [cell.names[PARTS] for value in given.given[:1] for cell in value.refs if PARTS in cell.names]
    if not parts or not parts[0].items:
        return None
    return result(machine, list(parts[0].items))


def _reset(machine: Machine, given: Call) -> Val:
    return Val()


_GROUPS: list[tuple[str, Callable[[Machine, Call], Val | None]]] = [
    ("backward", _backward),
    ("step", _step),
    ("zero_grad", _zero_grad),
    ("grad", _grad),
    ("load_state_dict", _load_state),
    ("at index_add_ scatter_add_ index_put_ put_ index_copy_ scatter_ scatter_reduce_ index_add scatter_add", _table),
    ("bincount histc unique", _counts),
    ("gather take take_along_axis take_along_dim index_select embedding", _gather),
    ("clone copy cpu to float cuda half bfloat16 double astype type numpy", _snapshot),
    ("detach view reshape flatten unsqueeze squeeze transpose permute expand ravel contiguous", _view),
    ("deepcopy", _deepcopy),
    ("parameters named_parameters state_dict modules named_modules children named_children buffers named_buffers", _parts),
    ("sum mean nansum nanmean average fsum", _total),
    ("len numel size dim nelement element_size stat getsize", _size),
    (
        "print log info write warning dump dumps debug writelines save savez save_file compress savez_compressed echo secho",
        _print,
    ),
    ("load loads read read_bytes load_file decompress fromfile memmap open glob read_text rglob iglob", _load),
    ("enumerate zip list tuple sorted reversed set iter filter map product chain cycle islice", _elements),
    ("items keys values", _dict_view),
    ("append add extend put insert appendleft update put_nowait push", _put),
    ("pop popleft get get_nowait popitem next getenv", _take),
    ("setdefault", _set_default),
    ("deque Queue SimpleQueue defaultdict Counter OrderedDict dict", _container),
    ("range arange", _range),
    ("int float bool str", _number),
    ("Path join joinpath expanduser resolve", _path),
    ("format replace strip rstrip lstrip split startswith endswith lower upper", _text),
    ("encode id_to_piece IdToPiece decode decode_ids bytes bytearray fromhex DecodeIds", _bytes),
    ("getattr", _getattr),
    ("setattr", _setattr),
    ("partial", _partial),
    ("field", _field),
    ("Thread submit spawn Process", _start),
    ("stack cat concatenate concat hstack vstack", _stacked),
    ("where minimum maximum fmin fmax", _choose),
    ("perf_counter time monotonic synchronize barrier manual_seed seed hasattr isinstance callable is_available", _reset),
]
KNOWN = {name: does for names, does in _GROUPS for name in names.split()}
