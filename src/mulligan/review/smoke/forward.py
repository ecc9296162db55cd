"""One forward on random tokens, and what it shows of a network."""

import functools
import inspect
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mulligan.review.smoke.standins import OnCPU

LENGTHS = (64, 1024)
FEWEST_TOKENS = 256
"""No vocabulary of the challenge is smaller: tokens are drawn below it."""

NEEDED = ("self", "tokens")
PRECISIONS = ("fp32", "bf16")


@dataclass(frozen=True)
class Seen:
    """What a forward showed; None where it did not.

    `called`: the method. `layers`: members of the longest list of parts. `applied`: their calls.
    """

    called: str
    positions: int
    vocabulary: int | None
    width: int | None
    layers: int | None
    applied: int | None
    output: list[int]
    finite: bool


def look(network: nn.Module, device: OnCPU) -> Seen:
    """Run the network once; the first error comes through where no way to call it works."""
    blocks = max((part for part in network.modules() if isinstance(part, nn.ModuleList)), key=len, default=None)
    applied = [0]
    handles = [block.register_forward_hook(lambda *_: applied.__setitem__(0, applied[0] + 1)) for block in blocks or ()]
    problem: Exception | None = None
    for length in LENGTHS:
        tokens = torch.randint(FEWEST_TOKENS, (1, length), generator=torch.Generator().manual_seed(length))
        tables = list[tuple[int, ...]]()
        for name, precision, call in ways_to_call(network, tokens):
            applied[0] = 0
            tables.clear()
            device.seen = _keep_table(tokens, tables)
            try:
                with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                    output = _tensor(call())
            except Exception as error:
                problem = problem or error
                continue
            finally:
                device.seen = None
            if name != "forward" and (not tables or output.shape[-1] != tables[0][0]):
                continue  # it works on something else than tokens, or comes to something else than their scores
            for handle in handles:
                handle.remove()
            rows, width = tables[0] if tables else (None, None)
            layers = len(blocks) if blocks is not None else None
            finite = bool(torch.isfinite(output).all())
            return Seen(name, length, rows, width, layers, applied[0] or None, list(output.shape), finite)
    assert problem is not None
    raise problem


def ways_to_call(network: nn.Module, tokens: torch.Tensor) -> Iterator[tuple[str, str, Callable[[], Any]]]:
    """Yield the forward with targets and without, then the other methods that need tokens alone: name, precision, call."""
    for precision in PRECISIONS:
        yield "forward", precision, lambda: network(tokens, tokens.roll(-1, 1))
        yield "forward", precision, lambda: network(tokens)
    for precision, (name, method) in itertools.product(PRECISIONS, inspect.getmembers(type(network), inspect.isfunction)):
        needed = [one for one in inspect.signature(method).parameters.values() if one.default is one.empty]
        if len(needed) == len(NEEDED) and name not in vars(nn.Module) and not name.startswith("__"):
            yield name, precision, functools.partial(method, network, tokens)


def _keep_table(tokens: torch.Tensor, tables: list[tuple[int, ...]]) -> Callable[..., None]:
    """Return what keeps the shape of each table that the tokens are looked up in."""

    def seen(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], _result: Any) -> None:
        table = _table(function, args, kwargs, tokens)
        if table is not None:
            tables.append(tuple(table.shape))

    return seen


def _table(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tokens: torch.Tensor) -> torch.Tensor | None:
    """Return the table that the tokens themselves are looked up in, by a call of this function."""
    name = getattr(function, "__name__", "")
    if name == "embedding":
        given = [*args, kwargs.get("input"), kwargs.get("weight")]
        index, table = [one for one in given if isinstance(one, torch.Tensor)][:2]
    elif name == "__getitem__" and isinstance(args[1], torch.Tensor):
        table, index = args[:2]
    else:
        return None
    same = index.shape == tokens.shape and not index.is_floating_point() and bool((index == tokens).all())
    return table if same and table.ndim == 2 else None


def _tensor(output: Any) -> torch.Tensor:
    """Return the first tensor of an output."""
    if isinstance(output, torch.Tensor) and output.is_floating_point():
        return output
    values = output.values() if isinstance(output, dict) else output if isinstance(output, (tuple, list)) else ()
    found = next((value for value in values if isinstance(value, torch.Tensor) and value.is_floating_point()), None)
    if found is None:
        raise TypeError(f"the forward returns {type(output).__name__}, which holds no tensor of numbers")
    return found
