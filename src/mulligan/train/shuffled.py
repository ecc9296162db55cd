"""Shuffled loader: blocks of seq_len tokens in a random order, anew in every epoch.

What it does     Cuts the stream into blocks of seq_len tokens from a random phase on and reads them in a random permutation;
                 each epoch draws its phase and its permutation. A row is one block and the token after it in the stream.
Why it may help  The rows of a batch come from all over the corpus: gradients of neighbouring steps are less alike.
Touches          train: which tokens a step reads.
Cost             8 bytes of memory a block (8 MB at 10^9 tokens, seq_len 1,024); an epoch leaves out less than 2 seq_len tokens.
Source           parameter-golf PR 1394, whose order no seed moves; here `train.data_seed` does, or the run's seed.
"""

import numpy as np

from mulligan.core.random_stream import random_stream
from mulligan.train.batch import Batches, too_small
from mulligan.train.config import TrainConfig
from mulligan.values.byte_table import IntArray
from mulligan.values.corpus import TokenStream


class ShuffledBatches(Batches):
    """Every epoch has as many blocks as fit whatever the phase, so that the cursor alone says epoch and block."""

    def __init__(self, config: TrainConfig, stream: TokenStream, seed: int) -> None:
        super().__init__(config, stream)
        self.seed = seed
        self.num_blocks = stream.num_tokens // self.seq_len - 1  # phase + blocks + 1 target, and the phase is below seq_len
        if self.num_blocks * self.seq_len < self.part_tokens:
            raise too_small(stream.num_tokens, self.part_tokens + self.seq_len)
        self._epoch, self._begins = -1, np.zeros(0, np.int64)
        self.start = int(self._blocks(0)[0])

    def _blocks(self, epoch: int) -> IntArray:
        """Return where the blocks of an epoch begin in the stream, in the order in which they are read."""
        if epoch != self._epoch:
            drawn = random_stream(self.seed, "data-order", "shuffled", str(epoch))
            phase = int(drawn.integers(self.seq_len))
            self._epoch, self._begins = epoch, phase + self.seq_len * drawn.permutation(self.num_blocks)
        return self._begins

    def _take(self, count: int) -> IntArray:
        first = self.cursor // self.seq_len
        self.cursor += count
        numbers = np.arange(first, self.cursor // self.seq_len)
        epochs = numbers // self.num_blocks
        begins = [self._blocks(epoch)[numbers[epochs == epoch] % self.num_blocks] for epoch in np.unique(epochs).tolist()]
        return np.stack([self.stream.read(begin, begin + self.seq_len + 1) for begin in np.concatenate(begins).tolist()])
