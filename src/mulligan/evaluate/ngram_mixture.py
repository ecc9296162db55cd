"""A causal n-gram mixed with the network, over the whole vocabulary.

What it does     Scores (1 - w) p_network + w p_ngram. Order k is (c(context, v) + b p_{k-1}(v)) / (c(context) + b), down to the
                 uniform distribution, with counts of the targets scored before, in the stream or in the document.
Why it may help  Names and phrases of a document return; counts learn them at their first sight, a frozen network does not.
Touches          evaluate: the distribution that is scored, by tokens that were scored before alone.
Recipe           evaluate.mixture=ngram
Cost             A sort of each block per order, and 20 bytes for each distinct k-gram that was seen.
Source           MacKay and Peto 1995, "A hierarchical Dirichlet language model"; Kuhn and De Mori 1990 (cache models).
Published        Normalised n-grams gain 1 to 3 mBPB at 1.11 bits per byte; Kneser-Ney of order 7 hurts at any weight (PR 1272).
"""

from dataclasses import dataclass, field

import numpy as np

from mulligan.evaluate.config import NgramMixture
from mulligan.evaluate.passage import Passage
from mulligan.values.byte_table import IntArray
from mulligan.values.scores import Array


@dataclass
class Counts:
    """How often keys were seen, over blocks that follow one another: sorted keys, their counts, where each was seen first."""

    keys: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))
    counts: IntArray = field(default_factory=lambda: np.zeros(0, np.int32))
    firsts: IntArray = field(default_factory=lambda: np.zeros(0, np.int64))

    def add(self, keys: IntArray, positions: IntArray) -> tuple[IntArray, IntArray]:
        """Count `keys` (n,) at `positions` (n,), ascending; return how often each had been seen before it, and where first."""
        order = np.argsort(keys, kind="stable")
        begins = np.flatnonzero(np.diff(keys[order], prepend=-1))
        sizes = np.diff(begins, append=len(keys))
        distinct = keys[order][begins]
        place = np.searchsorted(self.keys, distinct)
        known = np.zeros(len(distinct), bool)
        inside = place < len(self.keys)
        known[inside] = self.keys[place[inside]] == distinct[inside]
        seen, first = np.zeros(len(distinct), np.int64), positions[order[begins]]
        seen[known], first[known] = self.counts[place[known]], self.firsts[place[known]]
        earlier, identity = np.empty(len(keys), np.int64), np.empty(len(keys), np.int64)
        earlier[order] = np.arange(len(keys)) + np.repeat(seen - begins, sizes)
        identity[order] = np.repeat(first, sizes)
        self.counts[place[known]] += sizes[known].astype(np.int32)
        new = ~known
        self.keys = np.insert(self.keys, place[new], distinct[new])
        self.counts = np.insert(self.counts, place[new], sizes[new])
        self.firsts = np.insert(self.firsts, place[new], first[new])
        return earlier, identity

    def forget(self, before: int) -> None:
        """Drop what was first seen before a position."""
        kept = self.firsts >= before
        self.keys, self.counts, self.firsts = self.keys[kept], self.counts[kept], self.firsts[kept]


class Ngram:
    """The n-gram's probabilities. A k-gram is named by where it was seen first, so that keys are exact and no hash collides."""

    def __init__(self, config: NgramMixture, passage: Passage, vocab_size: int) -> None:
        self.config, self.passage, self.vocab_size = config, passage, vocab_size
        self._counts = [Counts() for _ in range(config.order)]
        self._last = [(0, 0)] * config.order
        """Of each order's k-gram at the position before the block: how often it had been seen, and where first."""

    def of_targets(self, begin: int, stop: int) -> tuple[float, Array]:
        """Return the weight, and the probabilities (stop - begin,) float64 of the targets of positions [begin, stop).

        `begin` is where the last call stopped. The context of order k is the k-gram of order k - 1 at the position before: its
        count there is how often that context had been seen.
        """
        position, token = np.arange(begin, stop), self.passage.read(begin + 1, stop + 1)
        scope = self._scope(position)
        probability = np.full(len(position), 1.0 / self.vocab_size)
        context_count, key = position - scope, scope * self.vocab_size + token
        for k, counts in enumerate(self._counts):
            whole = position - k >= scope
            count, name = np.zeros(len(position), np.int64), np.zeros(len(position), np.int64)
            count[whole], name[whole] = counts.add(key[whole], position[whole])
            probability = self._smoothed(np.where(whole, count, 0), np.where(whole, context_count, 0), probability)
            last_count, last_name = self._last[k]
            context_count = np.concatenate(([last_count], count[:-1]))
            key = np.concatenate(([last_name], name[:-1])) * self.vocab_size + token
            self._last[k] = int(count[-1]), int(name[-1])
            if self.config.within == "document":
                counts.forget(int(scope[-1]))
        return self.config.weight, probability

    def of_all(self, position: int) -> tuple[float, Array]:
        """Return the weight, and the probabilities (V,) float64 of all tokens at `position`: counted anew, from the text."""
        scope = int(self._scope(np.array([position]))[0])
        seen = self.passage.read(scope + 1, position + 1)
        probability = np.full(self.vocab_size, 1.0 / self.vocab_size)
        for k in range(min(self.config.order, len(seen) + 1)):
            matches = np.ones(len(seen) - k, bool)
            for back in range(1, k + 1):
                matches &= seen[k - back : len(seen) - back] == seen[len(seen) - back]
            counts = np.bincount(seen[k:][matches], minlength=self.vocab_size)
            probability = self._smoothed(counts, counts.sum(), probability)
        return self.config.weight, probability

    def _scope(self, position: IntArray) -> IntArray:
        """Return for each position the first one whose target it may count."""
        if self.config.within == "stream":
            return np.zeros_like(position)
        starts: IntArray = self.passage.starts[np.searchsorted(self.passage.starts, position, side="right") - 1]
        return starts

    def _smoothed(self, count: IntArray, context_count: IntArray, lower: Array) -> Array:
        """Return one order's probabilities from those of the order below it."""
        b = self.config.concentration
        found: Array = (count + b * lower) / (context_count + b)
        return found
