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
CPU_BATCH_TOKENS = 4096
"""What a CPU takes at once at most: what it adds and scales between two products then stays in its cache."""
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

    def score(self, windows: Windows, what: str, done: int = 0, total: int | None = None) -> Array:
        """Return the nats float32 of the positions that `windows` count, which follow one another; NaN: not counted."""
        begin, stop = int(windows.first[0]), int(windows.stop[-1])
        nats = np.zeros(stop - begin, np.float32)
        for positions, scored in self.each(windows, what, done, total):
            nats[positions - begin] = scored
        found: Array = self.execution.ranks.sum(nats)
        found[windows.times_counted(begin, stop) == 0] = np.nan
        if self.watch is not None:
            self.watch.scored(np.arange(begin, stop))
        return found

    @torch.no_grad()
    def each(self, windows: Windows, what: str, done: int = 0, total: int | None = None) -> Iterator[tuple[IntArray, Array]]:
        """Yield positions and their nats float32, batch by batch, of the batches that are this rank's.

        Windows of one length go in one batch. Shorter ones are padded on the right, which a causal network cannot see.
        `done` of `total` windows were scored before.
        """
        ranks, total = self.execution.ranks, total or len(windows.start)
        limit = min(BATCH_TOKENS, CPU_BATCH_TOKENS) if self.execution.device == "cpu" else BATCH_TOKENS
        for number, batch in enumerate(_batches(windows, self.model.config.vocab_size, limit)):
            if number % ranks.world_size == ranks.rank:
                nats, position, counted = self.run(windows[batch])
                yield position[counted], nats.float().cpu().numpy()[counted]
            done += len(batch)
            self.execution.progress(what, done, total, "windows")

    def run(self, windows: Windows) -> tuple[torch.Tensor, IntArray, Array]:
        """Return the nats (windows, n) of windows that run as one batch, the positions that they are of, and which count.

        All windows are run to the length of the longest, and scored from the first place that any of them counts on.
        """
        start, first, stop = windows.start[:, None], windows.first[:, None], windows.stop[:, None]
        length, scored_from = int((stop - start).max()), int((first - start).min())
        position = start + np.arange(scored_from, length)
        counted = (position >= first) & (position < stop)
        device = torch.device(self.execution.device)
        index = np.minimum(start + np.arange(length + 1), self.passage.num_positions)
        tokens = torch.from_numpy(self.passage.gather(index)).to(device)
        positions = np.where(counted, position, -1)
        with torch.autocast(device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            return self._scored(tokens, scored_from, positions), position, counted

    def _scored(self, tokens: torch.Tensor, scored_from: int, positions: IntArray) -> torch.Tensor:
        """Return the nats (n, T - scored_from) of tokens (n, T + 1) from `scored_from` on; `positions`: see `nats`."""
        logits = self.model.logits(self.model.hidden(tokens[:, :-1], scored_from, self.context_len))
        return self.nats(logits, tokens[:, scored_from + 1 :], positions)

    def nats(self, logits: torch.Tensor, targets: torch.Tensor, positions: IntArray) -> torch.Tensor:
        """Return the nats (...) of targets (...) by logits (..., V); `positions` (...) of the passage, -1 for none."""
        logits = logits.flatten(0, -2)
        if self.temperature != 1.0:
            logits = logits / self.temperature
        if self.watch is not None:
            self.watch.see(positions.ravel(), logits)
        return F.cross_entropy(logits, targets.flatten(), reduction="none").view(targets.shape)


def _batches(windows: Windows, vocab_size: int, batch_tokens: int) -> Iterator[IntArray]:
    """Yield the numbers of windows that run together, longest first: alike in length, and in how many they count."""
    length, counted = windows.stop - windows.start, windows.stop - windows.first
    order = np.lexsort((counted, length))[::-1]
    begin = 0
    while begin < len(order):
        longest, like = length[order[begin]], counted[order[begin]]
        batch = order[begin : begin + max(1, batch_tokens // int(longest))]
        alike = (length[batch] >= 0.8 * longest - 8) & (np.abs(counted[batch] - like) <= 0.25 * like + 8)
        batch = batch[: len(batch) if alike.all() else int(alike.argmin())]
        scored = int(longest - (windows.first - windows.start)[batch].min())
        batch = batch[: max(1, BATCH_LOGITS // (vocab_size * scored))]
        yield batch
        begin += len(batch)
