"""Blocks of scores in stream order, and the watch that sees how they came about."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch

from mulligan.values.byte_table import IntArray
from mulligan.values.scores import Array


@dataclass(frozen=True)
class Block:
    """Scores of the positions from `begin` on: `nats` float32 and `position_in_window` int32, one of each a position.

    `updates` int32: how often the weights had been updated when a position was scored (None: they never are).
    `times_counted` int32: None says once each, as every legal way of scoring does; else `nats` is the mean of all times.
    """

    begin: int
    nats: Array
    position_in_window: Array
    updates: Array | None = None
    times_counted: Array | None = None


@dataclass(frozen=True)
class Event:
    """`kind`: "scored", the nats of these positions are fixed; "updated", the weights moved by a loss on these targets."""

    kind: str
    positions: IntArray


@dataclass
class Watch:
    """What a judge asks to see of a scoring: every event, and the whole distribution at the positions `wanted`.

    `rows`: position -> log-probabilities (V,) float64 of all tokens, the ones by which the position was scored. What
    changes a score (a temperature, a mixture) changes its row too.
    """

    wanted: frozenset[int] = frozenset()
    rows: dict[int, Array] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    def scored(self, positions: IntArray) -> None:
        """Note that the nats of `positions` will not change any more."""
        self.events.append(Event("scored", positions.copy()))

    def updated(self, positions: IntArray) -> None:
        """Note that the weights were moved by the losses of `positions`."""
        self.events.append(Event("updated", positions.copy()))

    def see(self, positions: IntArray, logits: torch.Tensor) -> None:
        """Keep the distributions of the wanted ones among `positions` (n,); `logits` (n, V)."""
        for i in np.flatnonzero(np.isin(positions, list(self.wanted))):
            self.rows[int(positions[i])] = torch.log_softmax(logits[int(i)].detach().double(), -1).cpu().numpy()


def whole(blocks: Iterator[Block]) -> Block:
    """Return blocks that follow one another as one."""
    found = list(blocks)

    def joined(name: str) -> Array | None:
        parts = [getattr(block, name) for block in found]
        return None if parts[0] is None else np.concatenate(parts)

    nats, position = joined("nats"), joined("position_in_window")
    assert nats is not None
    assert position is not None
    return Block(found[0].begin, nats, position, joined("updates"), joined("times_counted"))
