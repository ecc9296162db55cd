"""What calls do that lead out of the script: of most it is enough that the result depends on what was given."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mulligan.review.flow import gradient, score, table
from mulligan.review.flow.definition import Class, Function, Partial
from mulligan.review.flow.heap import Cell
from mulligan.review.flow.index import combine
from mulligan.review.flow.known import KNOWN
from mulligan.review.flow.value import NONE, Data, Mark, Val, join, learned

if TYPE_CHECKING:
    from mulligan.review.flow.machine import Machine

CREATED = frozenset(
    {
        "zeros",
        "empty",
        "ones",
        "full",
        "zeros_like",
        "empty_like",
        "ones_like",
        "full_like",
        "randn",
        "rand",
        "randn_like",
        "new_zeros",
        "new_empty",
        "new_full",
        "new_ones",
        "eye",
    }
)
COPIED = frozenset({"tensor", "as_tensor", "array", "asarray", "from_numpy", "Parameter", "ascontiguousarray", "frombuffer"})
SAME = frozenset(
    {
        "compile",
        "DistributedDataParallel",
        "DDP",
        "DataParallel",
        "train",
        "eval",
        "requires_grad_",
        "pin_memory",
        "script",
        "contiguous_",
        "wait",
        "result",
        "__enter__",
        "join_thread",
    }
)
OPTIMIZERS = re.compile(r"(Adam|AdamW|SGD|Lion|Adagrad|RMSprop|Muon|LBFGS|Adafactor|NAdam|RAdam|Shampoo|SOAP)$", re.I)
LOSSES = re.compile(r"cross_?entropy|nll_?loss|CrossEntropyLoss|NLLLoss", re.I)


@dataclass(frozen=True)
class Call:
    """A call that leads out of the script: `base` is what a method is called on."""

    name: str
    library: str
    base: Val | None
    given: list[Val]
    named: dict[str, Val]

    @property
    def values(self) -> list[Val]:
        """Everything that the result may depend on."""
        return [*([self.base] if self.base is not None else []), *self.given, *self.named.values()]

    def argument(self, index: int, name: str = "") -> Val | None:
        """Return an argument by position or name."""
        if name in self.named:
            return self.named[name]
        return self.given[index] if 0 <= index < len(self.given) else None


def call(machine: Machine, target: Val, base: Val | None, name: str, given: list[Val], named: dict[str, Val]) -> Val:
    """Return the result of a call, of whatever is called."""
    found = [_followed(machine, one, base, name, given, named) for one in target.calls]
    if not found:
        for cell in target.refs:
            direct = not target.part or base is None
            if cell.kind == "module" and direct and name not in gradient.METHODS and name not in SAME:
                found.append(_network(machine, cell, target, given, named))
            elif cell.kind == "object" and cell.cls is not None and (held := cell.cls.finds("__call__")) is not None:
                found += [_followed(machine, one.bound(target), target, "__call__", given, named) for one in held.calls]
    if found:
        return join(found)
    return outside(machine, Call(name, target.library, base, given, named))


def _followed(machine: Machine, one: Any, base: Val | None, name: str, given: list[Val], named: dict[str, Val]) -> Val:
    if isinstance(one, Partial):
        return _followed(machine, one.call, None, name, [*one.given, *given], {**dict(one.named), **named})
    if isinstance(one, Class):
        return instance(machine, one, given, named)
    assert isinstance(one, Function)
    owner, receiver = one.owner, one.receiver
    if receiver is not None and owner is not None:
        if owner.is_optimizer and any(cell.kind == "optimizer" for cell in receiver.refs):
            return outside(machine, Call(name, "", receiver, given, named))
        network = any(cell.kind == "module" for cell in receiver.refs)
        if network and owner.is_module and not one.adapts and one.name != "__init__":
            return prediction(machine, receiver, given, named)
    return machine.call_function(one, given, named)


def instance(machine: Machine, cls: Class, given: list[Val], named: dict[str, Val]) -> Val:
    """Return a new instance of a class of the script."""
    if cls.is_optimizer:
        return gradient.optimizer(machine, [*given, *named.values()], cls)
    made = machine.new("module" if cls.is_module else "object", cls=cls)
    cell = next(iter(made.refs))
    held = cls.finds("__init__")
    if held is not None and held.calls and not cls.is_module:
        _followed(machine, held.calls[0].bound(made), made, "__init__", given, named)
    elif not cls.is_module:
        fields = [n.target.id for n in cls.node.body if _is_field(n)]  # type: ignore[attr-defined]
        for name, value in [*zip(fields, given, strict=False), *named.items()]:
            cell.names[name] = value
        after = cls.finds("__post_init__")
        if after is not None and after.calls:
            _followed(machine, after.calls[0].bound(made), made, "__post_init__", [], {})
    else:
        cell.names = {name: value for name, value in named.items() if not value.refs and value.known}
    return made


def _is_field(node: Any) -> bool:
    return hasattr(node, "annotation") and hasattr(getattr(node, "target", None), "id")


def _network(machine: Machine, cell: Cell, target: Val, given: list[Val], named: dict[str, Val]) -> Val:
    held = cell.cls.finds("forward") if cell.cls is not None else None
    forward = held.calls[0] if held is not None and held.calls else None
    if isinstance(forward, Function) and forward.adapts:
        return machine.call_function(forward.bound(target), given, named)
    return prediction(machine, target, given, named)


def prediction(machine: Machine, network: Val, given: list[Val], named: dict[str, Val]) -> Val:
    """Return what a network gives: a loss where the targets are among what it gets."""
    if not any(isinstance(tag, Data) for value in (*given, *named.values()) for tag in machine.tags(value)):
        return Val(refs=network.refs, part=True)
    inputs = [machine.tags(value) for value in (*given, *named.values())]
    tags = learned(machine.tags(network)).union(*inputs) - {Mark.NEXT, Mark.GOLD, Mark.MASK}
    gold = frozenset[Any]().union(*(part for part in inputs if Mark.GOLD in part))
    machine.note("predict", tags)
    tags |= {Mark.PREDICTION}
    return Val(score.scored(machine, tags, gold) | tags if gold else tags)


def outside(machine: Machine, given: Call) -> Val:
    """Return the result of a call that the script does not define."""
    if given.base is not None and Mark.NATIVE in machine.tags(given.base) and not given.library:
        return table.called_native(machine, given)
    does = KNOWN.get(given.name)
    if does is not None:
        found = does(machine, given)
        if found is not None:
            return found
    if LOSSES.search(given.name) and (given.given or given.named):
        return loss(machine, given)
    if given.library.startswith("torch.optim") or (OPTIMIZERS.search(given.name) and given.values):
        return gradient.optimizer(machine, given.values, None)
    if given.name in SAME:
        return given.given[0] if given.library and given.given else given.base or Val()
    if given.name in CREATED:
        return machine.new("tensor")
    if given.name in COPIED:
        value = given.given[0] if given.given else Val()
        if value.refs and all(cell.kind == "tensor" for cell in value.refs) and given.name == "Parameter":
            return value
        return machine.new("tensor", machine.tags(value))
    if given.library.startswith("torch.nn.") and given.name[:1].isupper():
        return machine.new("module")
    if given.name.endswith("_") and not given.name.endswith("__") and given.base is not None:
        return gradient.in_place(machine, given)
    return combine(machine, given.values)


def loss(machine: Machine, given: Call) -> Val:
    """Return a loss between predictions and targets."""
    values = given.given or list(given.named.values())
    targets = given.argument(1, "target") or given.argument(1, "targets") or (given.base if len(values) == 1 else None)
    if LOSSES.search(given.name) and given.name[:1].isupper():
        return machine.new("library")
    gold = machine.tags(targets) if targets is not None else NONE
    tags = frozenset[Any]().union(*(machine.tags(value) for value in values))
    return Val(score.scored(machine, tags, gold))
