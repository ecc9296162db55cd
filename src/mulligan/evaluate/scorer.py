"""Scoring windows in batches on the one forward path of the network."""

from collections.abc import Callable, Iterator

import numpy as np
import torch

from mulligan.core.execution import Execution
from mulligan.evaluate.window import Windows
from mulligan.model.gpt import GPT
from mulligan.values.byte_table import IntArray

BATCH_TOKENS = 16_384
BATCH_LOGITS = 1 << 24


@torch.no_grad()
def score_windows(
    model: GPT,
    gather: Callable[[IntArray], IntArray],
    windows: Windows,
    num_positions: int,
    context_len: int,
    precision: str,
    execution: Execution,
    what: str,
) -> torch.Tensor:
    """Return the nats (num_positions,) float32 of every target; NaN would mean that a position was not counted.

    `gather` returns the tokens at the positions that it is given.
    Windows of one length go in one batch. Shorter ones are padded on the right, which a causal network cannot see; positions
    that depend on the length are those of `context_len` in every window.
    """
    device = torch.device(execution.device)
    nats = torch.full((num_positions,), float("nan"))
    done = 0
    for batch in _batches(windows, model.config.vocab_size):
        start, first, stop = windows.start[batch], windows.first[batch], windows.stop[batch]
        length, scored_from = int((stop - start).max()), int((first - start).min())
        index = np.minimum(start[:, None] + np.arange(length + 1), num_positions)
        tokens = torch.from_numpy(gather(index)).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            scored = model(tokens[:, :-1], tokens[:, 1:], scored_from, context_len).float().cpu()
        position = torch.from_numpy(start[:, None] + np.arange(scored_from, length))
        counted = (position >= torch.from_numpy(first)[:, None]) & (position < torch.from_numpy(stop)[:, None])
        nats[position[counted]] = scored[counted]
        done += len(batch)
        execution.progress(what, done, len(windows.start), "windows")
    return nats


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
