"""Chunked adaptation: the artifact's weights go on learning from what they have scored.

What it does     Cuts the stream into chunks of `chunk_tokens`. A window belongs to the chunk of the first token that it counts;
                 all windows of a chunk are scored, then the weights are trained on the chunk for some epochs (sgd: momentum;
                 muon: orthogonalised gradients). Nothing is trained on the last chunk, and nothing is reset.
Why it may help  Text resembles the text before it; what has been scored is known to a decoder too, so the rules allow it.
Touches          evaluate: the weights that score a token, by tokens scored before it.
Recipe           evaluate.adaptation=sgd, evaluate.adaptation=muon
Cost             `epochs` training passes beside the scoring; a second copy of the weights, a third with momentum.
Source           Krause et al. 2018, arXiv:1709.07432 (dynamic evaluation); parameter-golf PR 461, 549 (sgd), 999 (muon, epochs
                 by loss), 857 and 995 (rates by layer, loss by byte).
Published        SGD -2.5 mBPB (PR 549), -1.3 (PR 1716); muon with epochs by loss -3.7 (PR 999, not separated).
"""

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase

import numpy as np
import torch
from torch import nn

from mulligan.evaluate.adaptation_config import Chunked, Descent, EpochsByLoss, MuonUpdates, Polyak
from mulligan.evaluate.block import Block
from mulligan.evaluate.scorer import Scorer
from mulligan.evaluate.window import Windows
from mulligan.model.gpt import GPT
from mulligan.numerics.config import IntFormat
from mulligan.numerics.fake_quantize import Swap
from mulligan.numerics.newton_schulz import orthogonalize
from mulligan.values.byte_table import IntArray
from mulligan.values.scores import Array


def adapt_in_chunks(learner: "Learner", windows: Windows, what: str) -> Iterator[Block]:
    """Yield the scores of the chunks, each before the weights learn from it."""
    config, adapted = learner.config, replace(learner.scorer, model=learner.scored)
    num_chunks = -(-adapted.passage.num_positions // config.chunk_tokens)
    edges = np.searchsorted(windows.first // config.chunk_tokens, np.arange(num_chunks + 1))
    for chunk in range(num_chunks):
        part = windows[edges[chunk] : edges[chunk + 1]]
        if len(part.start):
            nats = adapted.score(part, what, int(edges[chunk]), len(windows.start))
            updates = np.full(len(nats), learner.num_updates, np.int32)
            yield Block(int(part.first[0]), nats, part.position_in_window(), updates)
        if chunk + 1 < num_chunks:
            positions = np.arange(chunk * config.chunk_tokens, (chunk + 1) * config.chunk_tokens)
            learner.learn(positions, chunk / (num_chunks - 1), num_epochs(config, nats))


def num_epochs(config: Chunked, nats: Array) -> int:
    """Return how often a chunk that scored `nats` is trained on."""
    by_loss, mean = config.epochs_by_loss, float(nats.mean(dtype=np.float64))
    if isinstance(by_loss, EpochsByLoss) and mean > by_loss.above_nats:
        return by_loss.more_epochs
    if isinstance(by_loss, EpochsByLoss) and mean < by_loss.below_nats:
        return by_loss.fewer_epochs
    return config.epochs


@dataclass
class Learner:
    """A copy of the network that learns, and the one that scores: the same, or an average of it."""

    config: Chunked
    scorer: Scorer
    model: GPT
    scored: GPT
    factors: dict[str, float]
    swap: Swap | None
    momenta: dict[str, torch.Tensor] = field(default_factory=dict)
    num_updates: int = 0

    @classmethod
    def of(cls, config: Chunked, scorer: Scorer, formats: dict[str, IntFormat]) -> "Learner":
        """Return a learner that begins where the scorer's network stands, which is left as it is.

        `formats`: what the grid rounds, for fake quantization. ValueError for globs that name nothing.
        """
        model = copy.deepcopy(scorer.model)
        named = dict(model.named_parameters())
        factors = check_adaptation(config, list(named), formats)
        for name, weight in named.items():
            weight.requires_grad_(factors[name] > 0)
        swap = Swap(named, formats) if config.fake_quantize == "grid" else None
        return cls(config, scorer, model, copy.deepcopy(model) if isinstance(config.polyak, Polyak) else model, factors, swap)

    def learn(self, positions: IntArray, progress: float, epochs: int) -> None:
        """Train on `positions`, which follow one another; `progress` in [0, 1) is the share of the chunks before this one.

        They are cut into sequences of the scorer's context_len; a rest that fills none is left out.
        """
        config, seq_len = self.config, self.scorer.context_len
        lr = config.lr * (0.5 * (1 + math.cos(math.pi * progress)) if config.schedule == "cosine" else 1.0)
        starts = positions[0] + np.arange(len(positions) // seq_len) * seq_len
        for _ in range(epochs):
            for begin in range(0, len(starts), config.batch_sequences):
                batch = starts[begin : begin + config.batch_sequences]
                self._update(batch[:, None] + np.arange(seq_len + 1), lr)

    def _update(self, index: IntArray, lr: float) -> None:
        """Take one step on sequences of tokens at `index` (B, T + 1)."""
        scorer, ranks = self.scorer, self.scorer.execution.ranks
        learning = {name: weight for name, weight in self.model.named_parameters() if weight.requires_grad}
        rounded: AbstractContextManager[None] = self.swap.rounded() if self.swap else nullcontext()
        with rounded, torch.enable_grad():
            loss = self._loss(index, index[ranks.rank :: ranks.world_size])
            gradients = torch.autograd.grad(loss, list(learning.values()), materialize_grads=True)
        if ranks.world_size > 1:
            ranks.average(gradients)
            torch._foreach_mul_(gradients, ranks.world_size)  # each rank's loss is its share of the whole one
        if self.config.clip_norm:
            norm = nn.utils.get_total_norm(gradients)
            torch._foreach_mul_(gradients, (self.config.clip_norm / (norm + 1e-6)).clamp(max=1.0))
        self._step(learning, dict(zip(learning, gradients, strict=True)), lr)
        self.num_updates += 1
        if scorer.watch is not None:
            scorer.watch.updated(index[:, :-1].ravel())

    def _loss(self, batch: IntArray, own: IntArray) -> torch.Tensor:
        """Return this rank's share of the mean loss of `batch`; `own` are its sequences."""
        passage, device = self.scorer.passage, torch.device(self.scorer.execution.device)
        tokens = torch.from_numpy(passage.gather(own)).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=self.scorer.precision == "bf16"):
            nats = self.model(tokens[:, :-1], tokens[:, 1:], 0, self.scorer.context_len)
        if self.config.loss == "per-token":
            mean: torch.Tensor = nats.sum() / batch[:, 1:].size
            return mean
        weights = torch.from_numpy(passage.bytes_of(own[:, :-1])).to(nats)
        weighted: torch.Tensor = (nats * weights).sum() / max(int(passage.bytes_of(batch[:, :-1]).sum()), 1)
        return weighted

    @torch.no_grad()
    def _step(self, learning: dict[str, nn.Parameter], gradients: dict[str, torch.Tensor], lr: float) -> None:
        for name, weight in learning.items():
            weight.add_(self._direction(name, gradients[name]), alpha=-lr * self.factors[name])
        if isinstance(self.config.polyak, Polyak):
            for average, weight in zip(self.scored.parameters(), self.model.parameters(), strict=True):
                average.lerp_(weight, 1.0 - self.config.polyak.decay)

    def _direction(self, name: str, gradient: torch.Tensor) -> torch.Tensor:
        """Return what is subtracted from a weight, at rate 1."""
        if isinstance(self.config, MuonUpdates):
            if gradient.ndim < 2:
                return gradient
            return orthogonalize(gradient[None], self.config.newton_schulz_steps)[0]
        assert isinstance(self.config, Descent)
        if name not in self.momenta:
            self.momenta[name] = torch.zeros_like(gradient)
        return self.momenta[name].mul_(self.config.momentum).add_(gradient)


def check_adaptation(config: Chunked, names: Sequence[str], formats: Mapping[str, IntFormat]) -> dict[str, float]:
    """Return the factor of each tensor's learning rate; ValueError for globs that name nothing, or where nothing learns."""
    for glob in (glob for rule in config.lr_factors for glob in rule.match):
        if not any(fnmatchcase(name, glob) for name in names):
            raise ValueError(
                f"evaluate.adaptation.lr_factors: {glob!r} matches no tensor. There are: {', '.join(names[:4])} and so on. "
                "Correct or remove the glob."
            )
    factors = {name: lr_factor(config, name) for name in names}
    if not any(factors.values()):
        raise ValueError("evaluate.adaptation freezes every tensor; leave some to learn.")
    if config.fake_quantize == "grid" and not formats:
        raise ValueError(
            "evaluate.adaptation.fake_quantize = grid rounds by the recipe's grid, and no tensor has an integer format there. "
            'Give a family one, or fake_quantize = "off".'
        )
    return factors


def lr_factor(config: Chunked, name: str) -> float:
    """Return the factor of a tensor's learning rate: 0 in frozen blocks, else that of the first rule that names it."""
    if any(name.startswith(f"blocks.{block}.") for block in range(config.num_frozen_blocks)):
        return 0.0
    rules = (rule.factor for rule in config.lr_factors if any(fnmatchcase(name, glob) for glob in rule.match))
    return next(rules, 1.0)
