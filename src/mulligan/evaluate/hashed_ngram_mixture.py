"""A hashed n-gram cache blended on the gold token alone: illegal, kept to reproduce what was published with it.

What it does     Counts contexts and (context, token) pairs in hashed buckets, and blends min(pairs, contexts) / contexts of the
                 gold token with the network's probability of it, without a sum over the vocabulary.
Why it may help  It cannot: where buckets collide every token has a ratio near 1, so that the "probabilities" of all tokens sum
                 to far more than 1. No text can be coded in the bits that it claims.
Touches          evaluate: the number that is reported for a token, which is no probability.
Recipe           evaluate.mixture=hashed-ngram
Cost             Two sorts of each block.
Source           parameter-golf PR 779, 886 and 27 others, closed by the organisers on 2026-03-27; against rule C2.
Published        0.3922 bits per byte, and 1.5134 once normalised (PR 978).
"""

import numpy as np

from mulligan.evaluate.config import HashedNgramMixture
from mulligan.evaluate.ngram_mixture import Counts
from mulligan.evaluate.passage import Passage
from mulligan.values.byte_table import IntArray
from mulligan.values.scores import Array

PRIMES = (36_313, 27_191, 51_647, 81_929, 131_071, 174_763, 233_017)


class HashedNgram:
    """The ratios of counts in buckets."""

    def __init__(self, config: HashedNgramMixture, passage: Passage, vocab_size: int) -> None:
        self.config, self.passage, self.vocab_size = config, passage, vocab_size
        self._contexts, self._pairs = Counts(), Counts()

    def of_targets(self, begin: int, stop: int) -> tuple[Array, Array]:
        """Return the weights and the ratios (stop - begin,) float64 of the targets of positions [begin, stop).

        `begin` is where the last call stopped. The weight is 0 where a context's bucket was seen less than `min_count` times.
        """
        position = np.arange(begin, stop)
        context = self._context(position)
        pair = self._pair(context, self.passage.read(begin + 1, stop + 1))
        contexts, pairs = self._contexts.add(context, position)[0], self._pairs.add(pair, position)[0]
        return self._ratio(contexts, pairs)

    def of_all(self, position: int) -> tuple[Array, Array]:
        """Return the weight and the ratios (V,) of all tokens at `position`: the rule applied to each; counted anew."""
        before = np.arange(position)
        contexts, here = self._context(before), self._context(np.array([position]))
        pairs = self._pair(contexts, self.passage.read(1, position + 1))
        counts = np.bincount(pairs, minlength=self.config.num_buckets)
        every = counts[self._pair(here, np.arange(self.vocab_size))]
        return self._ratio(np.full(self.vocab_size, (contexts == here).sum()), every)

    def _ratio(self, contexts: IntArray, pairs: IntArray) -> tuple[Array, Array]:
        enough = contexts >= self.config.min_count
        return np.where(enough, self.config.weight, 0.0), np.minimum(pairs, contexts) / np.maximum(contexts, 1)

    def _context(self, position: IntArray) -> IntArray:
        """Return the bucket of the last `order` - 1 tokens read at each position; before the stream there are zeros."""
        mixed = np.zeros_like(position)
        for back in range(self.config.order - 1):
            token = self.passage.gather(np.maximum(position - back, 0))
            mixed ^= np.where(position >= back, token + 1, 0) * PRIMES[back % len(PRIMES)] << back // len(PRIMES)
        found: IntArray = mixed % self.config.num_buckets
        return found

    def _pair(self, context: IntArray, token: IntArray) -> IntArray:
        found: IntArray = (context * 48_271 + (token + 1) * 69_621) % self.config.num_buckets
        return found
