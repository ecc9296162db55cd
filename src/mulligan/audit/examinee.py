"""What is judged: a way of scoring with its network, on a short passage that the judge may change."""

import hashlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from mulligan.audit.case import Case
from mulligan.core.canonical import Json
from mulligan.evaluate.block import Block, Event, Watch, whole
from mulligan.evaluate.passage import Passage
from mulligan.values.byte_table import IntArray
from mulligan.values.corpus import Corpus
from mulligan.values.scores import Array

NUM_ROWS = 64
"""Distributions that are summed; the rule asks for 50."""
NUM_PROBES = 4
TOLERANCE_NATS = 1e-6


@dataclass(frozen=True)
class Observed:
    """What a scoring said: `nats` float32 and `times` int32 by position, whole distributions by position, events."""

    begin: int
    nats: Array
    times: Array | None
    rows: dict[int, Array]
    events: list[Event]

    @property
    def digest(self) -> str:
        """sha256 of the nats' bits."""
        return hashlib.sha256(self.nats.tobytes()).hexdigest()


@dataclass(frozen=True)
class Claim:
    """A stored reading: sums per document by column, and the summary; `corpus` is what it is of."""

    documents: dict[str, Array]
    summary: dict[str, Json]
    corpus: Corpus


@dataclass(frozen=True)
class Examinee:
    """`blocks` scores a passage; `tokens` (N + 1,) and `starts` are the passage that it is judged on.

    `lengths`: those of windows and chunks, at whose edges scoring may go wrong. `state` returns a digest of the weights.
    `claim`, `case`: the stored reading and what another process needs to score; None for what is not from a run.
    """

    name: str
    blocks: Callable[[Passage, Watch | None], Iterator[Block]]
    tokens: IntArray
    starts: IntArray
    vocab_size: int
    lengths: tuple[int, ...]
    state: Callable[[], str]
    claim: Claim | None = None
    case: Case | None = None

    @property
    def num_positions(self) -> int:
        """Targets of the passage."""
        return len(self.tokens) - 1

    def score(
        self, tokens: IntArray | None = None, wanted: frozenset[int] = frozenset(), starts: IntArray | None = None
    ) -> Observed:
        """Score the passage, or other tokens and documents in its place, with whole distributions at the positions `wanted`."""
        watch = Watch(wanted)
        passage = Passage.of_tokens(self.tokens if tokens is None else tokens, self.starts if starts is None else starts)
        block = whole(self.blocks(passage, watch))
        return Observed(block.begin, block.nats, block.times_counted, watch.rows, watch.events)

    @cached_property
    def first(self) -> tuple[str, Observed, str]:
        """The first scoring, with every distribution that a test asks for, between two digests of the weights."""
        before = self.state()
        observed = self.score(wanted=frozenset([*self.rows, *(position for position, _ in self.probes)]))
        return before, observed, self.state()

    @cached_property
    def rows(self) -> list[int]:
        """Positions late in the passage, evenly apart."""
        apart = np.linspace(self.num_positions // 2, self.num_positions - 1, NUM_ROWS)
        return sorted({int(position) for position in apart})

    @cached_property
    def probes(self) -> list[tuple[int, tuple[int, ...]]]:
        """Positions, the last ones in different documents first, and tokens to put in their targets' place.

        One is a token that followed the same token before, which is what a memory of the past would know.
        """
        rng = np.random.default_rng(0)
        inside = ~np.isin(np.arange(1, len(self.tokens)), self.starts)
        inside[-1] = False
        whole_range = np.flatnonzero(inside)
        edges = np.linspace(0, len(whole_range), NUM_PROBES + 1).astype(int)
        found = []
        for low, high in itertools.pairwise(edges):
            part = whole_range[low:high][-max(1, (high - low) // 2) :]
            position = int(part[len(part) // 2])
            earlier = np.flatnonzero(self.tokens[:position] == self.tokens[position])
            seen = [int(v) for v in self.tokens[earlier + 1][::-1] if self.may_replace(int(v), position + 1)]
            drawn = [int(v) for v in rng.permutation(self.vocab_size) if self.may_replace(int(v), position + 1)]
            found.append((position, tuple(dict.fromkeys([*seen[:1], *drawn[:2]]))[:2]))
        return found

    def may_replace(self, token: int, index: int) -> bool:
        """Say whether `token` is another than the one at `index`, and begins no document."""
        return token != self.tokens[index] and token not in self._begins

    @cached_property
    def _begins(self) -> frozenset[int]:
        return frozenset(self.tokens[self.starts].tolist())

    @cached_property
    def substituted(self) -> list[tuple[int, int, Observed]]:
        """Scorings with one target replaced: position, the token that was put there, what was observed."""
        found = []
        for position, candidates in self.probes:
            for token in candidates:
                tokens = self.tokens.copy()
                tokens[position + 1] = token
                found.append((position, token, self.score(tokens, frozenset([position]))))
        return found
