"""The network's probabilities mixed with an expert's, block by block."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from mulligan.evaluate.block import Block, Watch
from mulligan.evaluate.config import HashedNgramMixture, NgramMixture
from mulligan.evaluate.hashed_ngram_mixture import HashedNgram
from mulligan.evaluate.ngram_mixture import Ngram
from mulligan.evaluate.passage import Passage
from mulligan.model.kind import Off
from mulligan.values.scores import Array


def mixed(
    config: Off | NgramMixture | HashedNgramMixture,
    blocks: Iterator[Block],
    passage: Passage,
    vocab_size: int,
    watch: Watch | None,
) -> Iterator[Block]:
    """Return the blocks, their nats and the watch's rows those of the mixture."""
    if isinstance(config, Off):
        return blocks
    expert = (
        Ngram(config, passage, vocab_size) if isinstance(config, NgramMixture) else HashedNgram(config, passage, vocab_size)
    )
    return _mixed(expert, blocks, watch)


def _mixed(expert: Ngram | HashedNgram, blocks: Iterator[Block], watch: Watch | None) -> Iterator[Block]:
    for block in blocks:
        stop = block.begin + len(block.nats)
        weight, gold = expert.of_targets(block.begin, stop)
        for position in watch.wanted & watch.rows.keys() if watch else ():
            if watch and block.begin <= position < stop:
                watch.rows[position] = _log_mean(watch.rows[position], *expert.of_all(position))
        yield replace(block, nats=-_log_mean(-block.nats.astype(np.float64), weight, gold).astype(np.float32))


def _log_mean(log_probability: Array, weight: Array | float, other: Array) -> Array:
    """Return log((1 - weight) p + weight other) in float64; `weight` may be 0, and `other` too."""
    with np.errstate(divide="ignore"):
        found: Array = np.logaddexp(np.log1p(-np.asarray(weight)) + log_probability, np.log(weight) + np.log(other))
    return found
