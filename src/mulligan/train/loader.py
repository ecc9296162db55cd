"""The sequential loader: one global stream in order, wrapping around for ever; and which loader a config asks for.

Each part of a step takes `part_tokens + 1` tokens: inputs and targets are one span shifted by one.
"""

from collections.abc import Callable

from mulligan.core.random_stream import random_stream
from mulligan.train.batch import Batches, too_small
from mulligan.train.config import SequentialLoader, TrainConfig, UserLoader
from mulligan.train.document_packing import DocumentPackedBatches
from mulligan.train.shuffled import ShuffledBatches
from mulligan.values.byte_table import IntArray
from mulligan.values.corpus import TokenStream


class SequentialBatches(Batches):
    """Spans of the stream in order, from `start` on."""

    def __init__(self, config: TrainConfig, stream: TokenStream, seed: int) -> None:
        super().__init__(config, stream)
        if stream.num_tokens <= self.part_tokens:
            raise too_small(stream.num_tokens, self.part_tokens + 1)
        if isinstance(config.loader, SequentialLoader) and config.loader.start == "seeded":
            self.start = int(random_stream(seed, "data-order").integers(stream.num_tokens))

    def _take(self, count: int) -> IntArray:
        taken = self.stream.take(self.start + self.cursor, count + 1)
        self.cursor += count + 1
        return taken


KINDS: dict[str, Callable[[TrainConfig, TokenStream, int], Batches]] = {
    "sequential": SequentialBatches,
    "shuffled": ShuffledBatches,
    "document-packing": DocumentPackedBatches,
}


def make_batches(config: TrainConfig, stream: TokenStream, seed: int) -> Batches:
    """Return the loader of `config`; its order is drawn from `train.data_seed`, or from the run's `seed` without one."""
    seed = seed if config.data_seed is None else config.data_seed
    if isinstance(config.loader, UserLoader):
        return config.loader.batches(config, stream, seed)
    return KINDS[config.loader.kind](config, stream, seed)
