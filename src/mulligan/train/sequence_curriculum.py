"""Sequence-length curriculum: short rows at first, the full ones from a step on.

What it does     Until `until` fires, every row of seq_len tokens is cut into rows of `seq_len` = the curriculum's own: the same
                 tokens in the same order, as many a step, and only the context is shorter.
Why it may help  Early training learns what short contexts tell; attention over short rows costs less.
Touches          train: how far back attention sees, until the full length begins.
Cost             None; attention is cheaper at first. A compiled network is compiled anew for the second length.
Source           Li et al. 2022 (sequence length warmup), arXiv:2108.06084.
"""

from dataclasses import dataclass

from mulligan.train.config import ShorterFirst, TrainConfig
from mulligan.train.schedule import Schedule


@dataclass(frozen=True)
class RowLengths:
    """The tokens of a row at every step: `shorter` before step `full_from`, then `full`."""

    shorter: int
    full: int
    full_from: int

    def at(self, step: int) -> int:
        """Return the tokens of the rows of step number `step` (from 0)."""
        return self.shorter if step < self.full_from else self.full


def row_lengths(config: TrainConfig, schedule: Schedule) -> RowLengths:
    """Return the length of rows at every step; ValueError when the curriculum would be over before the first, or never."""
    curriculum = config.sequence_curriculum
    if not isinstance(curriculum, ShorterFirst):
        return RowLengths(config.seq_len, config.seq_len, 0)
    step = schedule.first_step(curriculum.until)
    if step == 0:
        raise ValueError(
            f"train.sequence_curriculum.until = {curriculum.until.canonical()} fires before the first step, so no row would "
            'be shorter. Give a later one, or kind = "off".'
        )
    return RowLengths(curriculum.seq_len, config.seq_len, step)
