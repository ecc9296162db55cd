"""Low-rank updates of a network's linear maps, one set per row of a batch, added by forward hooks and moved by AdamW."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from mulligan.core.random_stream import stream_seed
from mulligan.evaluate.adaptation_config import Lora
from mulligan.model.config import ModelConfig
from mulligan.model.gpt import GPT, Head
from mulligan.values.byte_table import IntArray


@dataclass
class LinearMap:
    """A linear map of the network, and how many times it runs in a forward pass."""

    name: str
    module: nn.Module
    inputs: int
    outputs: int
    num_calls: int = 0


@contextmanager
def adapted(model: GPT, config: Lora, device: str) -> Iterator["Adapters"]:
    """Let low-rank updates act in `model` inside the block; its own weights ask for no gradient there."""
    maps = chosen_maps(model, config.match)
    asked = [parameter.requires_grad for parameter in model.parameters()]
    model.requires_grad_(False)
    adapters = Adapters(config, maps, torch.device(device))
    handles = [found.module.register_forward_hook(adapters.hook(i)) for i, found in enumerate(maps)]
    try:
        yield adapters
    finally:
        for handle in handles:
            handle.remove()
        for parameter, ask in zip(model.parameters(), asked, strict=True):
            parameter.requires_grad_(ask)


class Adapters:
    """For each map (rows, calls, inputs, rank) and (rows, calls, rank, outputs): A and B, and AdamW's moments of both."""

    def __init__(self, config: Lora, maps: Sequence[LinearMap], device: torch.device) -> None:
        self.config, self.maps, self.device = config, maps, device
        self.carried = [first_a(found, config.rank).to(device).expand(config.batch_documents, -1, -1, -1) for found in maps]
        if config.a == "warm":
            self.carried = [a.clone() for a in self.carried]
        self.used: tuple[torch.Tensor, ...] = ()
        self.calls = [0] * len(maps)

    def begin(self, places: IntArray) -> None:
        """Begin a batch whose rows are documents at `places` of the batch."""
        chosen = torch.from_numpy(places).to(self.device)
        a = [carried[chosen] for carried in self.carried]
        sizes = [(len(places), found.num_calls, self.config.rank, found.outputs) for found in self.maps]
        self.updates = (*a, *(torch.zeros(size, device=self.device) for size in sizes))
        self.first_moments = [torch.zeros_like(update) for update in self.updates]
        self.second_moments = [torch.zeros_like(update) for update in self.updates]

    def end(self, places: IntArray) -> None:
        """Let the next batch go on from the A of this one, where they are warm."""
        if self.config.a == "warm":
            chosen = torch.from_numpy(places).to(self.device)
            for carried, a in zip(self.carried, self.updates[: len(self.maps)], strict=True):
                carried[chosen] = a

    def use(self, rows: slice) -> tuple[torch.Tensor, ...]:
        """Let the updates of some rows of the batch act in the next forward pass; return them, for its gradients."""
        self.calls = [0] * len(self.maps)
        self.used = tuple(update[rows].detach().requires_grad_() for update in self.updates)
        return self.used

    def hook(self, i: int) -> Callable[[nn.Module, Any, torch.Tensor], torch.Tensor]:
        """Return the hook that adds what the update of map `i` makes of its inputs (B, T, inputs)."""
        scale = self.config.alpha / self.config.rank

        def add(_: nn.Module, inputs: Any, output: torch.Tensor) -> torch.Tensor:
            call, self.calls[i] = self.calls[i], self.calls[i] + 1
            a, b = self.used[i][:, call], self.used[len(self.maps) + i][:, call]
            changed: torch.Tensor = output + scale * (inputs[0] @ a @ b)
            return changed

        return add

    @torch.no_grad()
    def step(self, rows: slice, gradients: Sequence[torch.Tensor], count: int, step: int) -> None:
        """Take step number `step` (from 1) of AdamW with the first `count` of `rows`, of which `gradients` are."""
        config, chosen = self.config, slice(rows.start, rows.start + count)
        lr = config.lr / (1.0 - config.beta1**step)
        for update, gradient, first, second in zip(
            self.updates, gradients, self.first_moments, self.second_moments, strict=True
        ):
            g, m, v = gradient[:count], first[chosen], second[chosen]
            m.lerp_(g, 1.0 - config.beta1)
            v.mul_(config.beta2).addcmul_(g, g, value=1.0 - config.beta2)
            size = v.sqrt().div_(math.sqrt(1.0 - config.beta2**step)).add_(config.eps)
            update[chosen].mul_(1.0 - config.lr * config.weight_decay).addcdiv_(m, size, value=-lr)


def first_a(found: LinearMap, rank: int) -> torch.Tensor:
    """Return A (calls, inputs, rank) float32 as every document begins with it, uniform within 1 / sqrt(inputs)."""
    generator = torch.Generator().manual_seed(stream_seed(0, "lora", found.name))
    bound = 1.0 / math.sqrt(found.inputs)
    return torch.empty(found.num_calls, found.inputs, rank).uniform_(-bound, bound, generator=generator)


def chosen_maps(model: GPT, match: Sequence[str]) -> list[LinearMap]:
    """Return the linear maps that one of `match` names; ValueError for a glob that names none."""
    maps = linear_maps(model)
    for glob in match:
        if not any(fnmatchcase(found.name, glob) for found in maps):
            raise ValueError(
                f"evaluate.adaptation.match: {glob!r} matches no linear map. There are: "
                f"{', '.join(found.name for found in maps)}. Correct or remove the glob."
            )
    return [found for found in maps if any(fnmatchcase(found.name, glob) for glob in match)]


def check_lora(config: Lora, model: ModelConfig) -> None:
    """Raise ValueError when a glob matches no linear map of a network; none is allocated."""
    with torch.device("meta"):
        chosen_maps(GPT(model, seed=0), config.match)


@torch.no_grad()
def linear_maps(model: GPT) -> list[LinearMap]:
    """Return the linear modules that a forward pass calls with a stream (B, T, inputs), and the head, in order of running."""
    found: dict[str, LinearMap] = {}

    def note(name: str) -> Callable[[nn.Module, Any, torch.Tensor], None]:
        def hook(module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
            if inputs[0].ndim == 3:
                here = LinearMap(name, module, inputs[0].size(-1), output.size(-1))
                found.setdefault(name, here).num_calls += 1

        return hook

    linear = {name: module for name, module in model.named_modules() if isinstance(module, nn.Linear | Head)}
    handles = [module.register_forward_hook(note(name)) for name, module in linear.items()]
    try:
        model.logits(model.hidden(torch.zeros((1, 2), dtype=torch.int64, device=model.tok_emb.weight.device)))
    finally:
        for handle in handles:
            handle.remove()
    return list(found.values())
