"""Scoring windows in batches on the one forward path of the network."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from mulligan.core.execution import Execution
from mulligan.evaluate.block import Block, Watch
from mulligan.evaluate.passage import Passage
from mulligan.evaluate.window import Windows
from mulligan.model.gpt import GPT
from mulligan.values.byte_table import IntArray
from mulligan.values.scores import Array

BATCH_TOKENS = 16_384
BATCH_LOGITS = 1 << 24
BLOCK_POSITIONS = 1 << 20
"""Positions that are held in memory before they are written."""


@dataclass(frozen=True)
class Scorer:
    """Scores a passage with a network. `context_len`: the length on which positions that depend on one are to depend.

    Logits are divided by `temperature`.
    """

    model: GPT
    passage: Passage
    context_len: int
    precision: str
    execution: Execution
    temperature: float = 1.0
    watch: Watch | None = None

    def blocks(self, windows: Windows, what: str) -> Iterator[Block]:
        """Yield the scores of windows that follow one another, as many at a time as memory should hold."""
        done = 0
        for part in windows.cut(BLOCK_POSITIONS):
            nats = self.score(part, what, done, len(windows.start))
            yield Block(int(part.first[0]), nats, part.position_in_window())
            done += len(part.start)

    @torch.no_grad()
    def score(self, windows: Windows, what: str, done: int = 0, total: int | None = None) -> Array:
        """Return the nats float32 of the positions that `windows` count, which follow one another; NaN: not counted.

        Windows of one length go in one batch. Shorter ones are padded on the right, which a causal network cannot see.
        `done` of `total` windows were scored before.
        """
        begin, total = int(windows.first[0]), total or len(windows.start)
        nats = torch.full((int(windows.stop[-1]) - begin,), float("nan"))
        for batch in _batches(windows, self.model.config.vocab_size):
            start, first, stop = windows.start[batch], windows.first[batch], windows.stop[batch]
            length, scored_from = int((stop - start).max()), int((first - start).min())
            position = start[:, None] + np.arange(scored_from, length)
            counted = (position >= first[:, None]) & (position < stop[:, None])
            scored = self._run(start, length, scored_from, position, counted)
            nats[torch.from_numpy(position[counted] - begin)] = scored[torch.from_numpy(counted)]
            done += len(batch)
            self.execution.progress(what, done, total, "windows")
        if self.watch is not None:
            self.watch.scored(np.arange(begin, begin + len(nats)))
        return nats.numpy()

    def _run(self, start: IntArray, length: int, scored_from: int, position: IntArray, counted: Array) -> torch.Tensor:
        """Return the nats (windows, length - scored_from), on the CPU, of equally long windows that begin at `start`."""
        device = torch.device(self.execution.device)
        index = np.minimum(start[:, None] + np.arange(length + 1), self.passage.num_positions)
        tokens = torch.from_numpy(self.passage.gather(index)).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            logits = self.model.logits(self.model.hidden(tokens[:, :-1], scored_from, self.context_len))
        return self.nats(logits, tokens[:, scored_from + 1 :], np.where(counted, position, -1)).float().cpu()

    def nats(self, logits: torch.Tensor, targets: torch.Tensor, positions: IntArray) -> torch.Tensor:
        """Return the nats (...) of targets (...) by logits (..., V); `positions` (...) of the passage, -1 for none."""
        logits = logits.flatten(0, -2)
        if self.temperature != 1.0:
            logits = logits / self.temperature
        if self.watch is not None:
            self.watch.see(positions.ravel(), logits)
        return F.cross_entropy(logits, targets.flatten(), reduction="none").view(targets.shape)


def _batches(windows: Windows, vocab_size: int) -> Iterator[IntArray]:
    """Yield the numbers of windows that run together, longest first: alike in length, and in how many they count."""
    length, counted = windows.stop - windows.start, windows.stop - windows.first
    order = np.lexsort((counted, length))[::-1]
    begin = 0
    while begin < len(order):
        longest, like = length[order[begin]], counted[order[begin]]
        batch = order[begin : begin + max(1, BATCH_TOKENS // int(longest))]
        alike = (length[batch] >= 0.8 * longest - 8) & (np.abs(counted[batch] - like) <= 0.25 * like + 8)
        batch = batch[: len(batch) if alike.all() else int(alike.argmin())]
        scored = int(longest - (windows.first - windows.start)[batch].min())
        batch = batch[: max(1, BATCH_LOGITS // (vocab_size * scored))]
        yield batch
        begin += len(batch)
