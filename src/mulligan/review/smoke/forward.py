"""One forward on random tokens, and what it shows of a network."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mulligan.review.smoke.standins import OnCPU

LENGTHS = (64, 1024)
FEWEST_TOKENS = 256
"""No vocabulary of the challenge is smaller: tokens are drawn below it."""


@dataclass(frozen=True)
class Seen:
    """What a forward showed; None where it did not. `layers`: members of the longest list of parts. `applied`: their calls."""

    positions: int
    vocabulary: int | None
    width: int | None
    layers: int | None
    applied: int | None
    output: list[int]
    finite: bool


def look(network: nn.Module, device: OnCPU) -> Seen:
    """Run the network once; the last error comes through where no form of call works."""
    blocks = max((part for part in network.modules() if isinstance(part, nn.ModuleList)), key=len, default=None)
    applied, tables = [0], list[tuple[int, ...]]()
    handles = [block.register_forward_hook(lambda *_: applied.__setitem__(0, applied[0] + 1)) for block in blocks or ()]
    tokens = torch.zeros(0)

    def seen(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], _result: Any) -> None:
        table = _table(function, args, kwargs, tokens)
        if table is not None:
            tables.append(tuple(table.shape))

    problem: Exception | None = None
    for length in LENGTHS:
        tokens = torch.randint(FEWEST_TOKENS, (1, length), generator=torch.Generator().manual_seed(length))
        for arguments in ((tokens, tokens.roll(-1, 1)), (tokens,)):
            applied[0] = 0
            tables.clear()
            device.seen = seen
            try:
                with torch.no_grad():
                    output = _tensor(network(*arguments))
            except Exception as error:
                problem = problem or error
                continue
            finally:
                device.seen = None
            for handle in handles:
                handle.remove()
            rows, width = tables[0] if tables else (None, None)
            layers = len(blocks) if blocks is not None else None
            finite = bool(torch.isfinite(output).all())
            return Seen(length, rows, width, layers, applied[0] or None, list(output.shape), finite)
    assert problem is not None
    raise problem


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
    if isinstance(output, torch.Tensor):
        return output
    values = output.values() if isinstance(output, dict) else output if isinstance(output, (tuple, list)) else ()
    found = next((value for value in values if isinstance(value, torch.Tensor)), None)
    if found is None:
        raise TypeError(f"the forward returns {type(output).__name__}, which holds no tensor")
    return found
