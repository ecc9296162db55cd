"""The sequential loader: one global stream in order, wrapping around for ever.

A cursor counts the tokens taken so far; it and the start offset say which tokens come next, so nothing else of the
loader is state. Each part of a step takes `part_tokens + 1` tokens: inputs and targets are one span shifted by one.
"""

import numpy as np
import torch

from mulligan.core.random_stream import random_stream
from mulligan.train.config import TrainConfig
from mulligan.values.corpus import TokenStream


class SequentialBatches:
    """Batches (rows, seq_len) of inputs and targets; `start` is the offset of token 0 in the stream."""

    def __init__(self, config: TrainConfig, stream: TokenStream, seed: int) -> None:
        self.stream = stream
        self.seq_len = config.seq_len
        self.part_tokens = config.batch_tokens // config.accumulation_steps
        self.cursor = 0
        self.start = 0
        if stream.num_tokens <= self.part_tokens:
            raise ValueError(
                f"The train split has {stream.num_tokens} tokens and one batch takes {self.part_tokens + 1}. "
                "Prepare more text, or lower train.batch_tokens."
            )
        if config.loader.start == "seeded":
            drawn_by = seed if config.data_seed is None else config.data_seed
            self.start = int(random_stream(drawn_by, "data-order").integers(stream.num_tokens))

    def next(self, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the next (inputs, targets), int64, and move the cursor."""
        taken: np.ndarray[tuple[int], np.dtype[np.int64]] = self.stream.take(self.start + self.cursor, self.part_tokens + 1)
        self.cursor += self.part_tokens + 1
        span = torch.from_numpy(taken)
        if device.type == "cuda":
            span = span.pin_memory().to(device, non_blocking=True)
        return span[:-1].view(-1, self.seq_len), span[1:].view(-1, self.seq_len)
