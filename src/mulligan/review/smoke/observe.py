"""What a scoring function does, seen from outside: which targets it scores, in which order, and what it learns."""

import hashlib
import itertools
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from mulligan.review.smoke.standins import OnCPU
from mulligan.review.smoke.toy_data import NUM_TARGETS

LOSS_TOLERANCE = 1e-3
"""Nats of one token: sums in another order are rounded otherwise."""
FEWEST = 64
SECONDS = 40.0


@dataclass
class Run:
    """One scoring. `nats`: of each position of the stream, as scored first without gradients. `steps`: of optimizers."""

    nats: dict[int, float] = field(default_factory=dict)
    steps: int = 0
    on_parameters: bool = False
    loss: float | None = None
    changed: bool = False


@contextmanager
def bounded(seconds: float) -> Iterator[None]:
    """Raise TimeoutError in what takes longer."""

    def late(*_: Any) -> None:
        raise TimeoutError(f"more than {seconds:g} s for {NUM_TARGETS} tokens")

    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


@contextmanager
def observed(tokens: np.ndarray[Any, Any], device: OnCPU, run: Run) -> Iterator[None]:
    """Keep in `run` what is scored of a stream, and which steps are taken."""
    pairs = list(itertools.pairwise(tokens.tolist()))
    times = Counter(pairs)
    place: dict[tuple[int, ...], int] = {pair: i for i, pair in enumerate(pairs) if times[pair] == 1}

    def seen(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        if torch.is_grad_enabled():
            return
        for targets, nats in scored(getattr(function, "__name__", ""), args, kwargs, result):
            for i, value in enumerate(nats):  # a target is known by the one before it, the first by the one after it
                known = place.get((targets[i - 1], targets[i])) if i else _before(place.get(tuple(targets[:2])))
                if known is not None:
                    run.nats.setdefault(known, value)

    def stepped(optimizer: Any, *_: Any) -> None:
        run.steps += 1
        run.on_parameters |= any(isinstance(one, nn.Parameter) for group in optimizer.param_groups for one in group["params"])

    handle, device.seen = register_optimizer_step_pre_hook(stepped), seen
    try:
        yield
    finally:
        device.seen = None
        handle.remove()


def _before(position: int | None) -> int | None:
    return position - 1 if position else None


def scored(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> Iterator[tuple[list[int], list[float]]]:
    """Yield targets and their nats, where a call looks up the probability of targets."""
    if name in ("cross_entropy", "nll_loss"):
        scores = args[0] if args else kwargs["input"]
        targets = args[1] if len(args) > 1 else kwargs["target"]
        if scores.ndim == 2 and not targets.is_floating_point():
            loss = F.cross_entropy if name == "cross_entropy" else F.nll_loss
            yield targets.tolist(), loss(scores.float(), targets, reduction="none").tolist()
    elif name == "gather" and isinstance(result, torch.Tensor) and result.is_floating_point() and result.shape[-1] == 1:
        index = args[2] if len(args) > 2 else kwargs["index"]
        for row, values in zip(_rows(index), _rows(result), strict=True):
            yield [int(value) for value in row], [-value for value in values]


def _rows(tensor: torch.Tensor) -> list[list[float]]:
    flat = tensor[..., 0]
    found: list[list[float]] = flat.reshape(-1, flat.shape[-1] if flat.ndim else 1).tolist()
    return found


def score(
    prepare: Callable[[nn.Module], Callable[[], Any]], network: nn.Module, tokens: np.ndarray[Any, Any], device: OnCPU
) -> Run:
    """Let a function score a stream with a network; what it raises comes through, TimeoutError after SECONDS."""
    torch.manual_seed(0)
    call, run, before = prepare(network), Run(), digest(network)
    with bounded(SECONDS), observed(tokens, device, run):
        result = call()
    run.loss = next(numbers(result), None)
    run.changed = digest(network) != before
    return run


def numbers(result: Any) -> Iterator[float]:
    """Yield the numbers of a result."""
    values = result.values() if isinstance(result, dict) else result if isinstance(result, (tuple, list)) else [result]
    for value in values:
        if isinstance(value, (int, float)) or (isinstance(value, torch.Tensor) and value.numel() == 1):
            yield float(value)


def digest(network: nn.Module) -> str:
    """Return the sha256 of a network's parameters."""
    found = hashlib.sha256()
    for tensor in network.parameters():
        found.update(tensor.detach().float().contiguous().numpy().tobytes())
    return found.hexdigest()


def moved(first: Run, other: Run, cut: int) -> tuple[int, int, float]:
    """Return of the positions before `cut` how many moved, how many both scored, and by how many nats at most."""
    both = [position for position in first.nats.keys() & other.nats.keys() if position < cut]
    apart = [abs(first.nats[position] - other.nats[position]) for position in both]
    return sum(value > LOSS_TOLERANCE for value in apart), len(both), max(apart, default=0.0)
