"""What every loader is: a cursor into an endless order of tokens, drawn from a seed, and batches taken from there.

The cursor and the seed say which tokens come next, so nothing else of a loader is state.
"""

from abc import ABC, abstractmethod

import torch

from mulligan.train.config import TrainConfig
from mulligan.values.byte_table import IntArray
from mulligan.values.corpus import TokenStream


class Batches(ABC):
    """Batches of inputs and targets. `start`: the token of the stream where the order begins; `cursor`: tokens taken since.

    `share`: rank and world size; of every batch that is taken, a process keeps the rows that are its own.
    """

    start = 0
    share = (0, 1)

    def __init__(self, config: TrainConfig, stream: TokenStream) -> None:
        self.stream = stream
        self.seq_len = config.seq_len
        self.part_tokens = config.batch_tokens // config.accumulation_steps
        self.cursor = 0

    @abstractmethod
    def _take(self, count: int) -> IntArray:
        """Return the next `count` inputs, and one token after each span of them (..., span + 1); move the cursor."""

    def next(
        self, device: torch.device, num_tokens: int | None = None, seq_len: int | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the next (inputs, targets), both (rows, seq_len) int64, and move the cursor.

        `num_tokens`: the inputs of this part, a multiple of the config's seq_len; `seq_len`: divides it, and cuts rows into
        shorter ones. Without them, a part of the whole batch in whole rows. With a `share`, the rows of this rank alone.
        """
        tokens, seq_len = torch.from_numpy(self._own(self._take(num_tokens or self.part_tokens))), seq_len or self.seq_len
        if device.type == "cuda":
            tokens = tokens.pin_memory().to(device, non_blocking=True)
        return tokens[..., :-1].reshape(-1, seq_len), tokens[..., 1:].reshape(-1, seq_len)

    def _own(self, taken: IntArray) -> IntArray:
        """Return this rank's part of what `_take` gave: rows, or, of one long span, a span and the token after it."""
        rank, world_size = self.share
        after = int(taken.ndim == 1)
        own = (len(taken) - after) // world_size
        return taken[rank * own : (rank + 1) * own + after]


def too_small(num_tokens: int, needed: int) -> ValueError:
    """Return the error of a train split that does not hold one batch."""
    return ValueError(
        f"The train split has {num_tokens} tokens and one batch takes {needed}. Prepare more text, or lower train.batch_tokens."
    )
