"""Batch-size ramp: small steps at first, the whole batch from a step on.

What it does     Trains with `start_tokens` a step at first and with larger batches in stretches of equally many steps, evenly
                 spaced and rounded down to whole rows of every accumulation part, until `batch_tokens` holds from `until` on.
                 Budgets, fractions and warmdowns in tokens count the tokens that were read.
Why it may help  Early gradients agree so well that a small batch points the same way: more steps for the same tokens.
Touches          train: how many tokens a step reads, until the ramp ends. Learning rates are not scaled with it.
Cost             More steps for the same tokens, each less parallel; a compiled network is compiled anew for every size.
Source           McCandlish et al. 2018, arXiv:1812.06162; parameter-golf PR 2046.
"""

from bisect import bisect_right
from dataclasses import dataclass


@dataclass(frozen=True)
class BatchSizes:
    """The tokens of every step: `sizes[i]` from step `starts[i]` on, the last to the end. The first start is 0."""

    starts: tuple[int, ...]
    sizes: tuple[int, ...]

    def at(self, step: int) -> int:
        """Return the tokens of step number `step` (from 0)."""
        return self.sizes[bisect_right(self.starts, step) - 1]

    def tokens(self, num_steps: int) -> int:
        """Return the tokens of the first `num_steps` steps."""
        stops = (*self.starts[1:], num_steps)
        spans = zip(self.starts, stops, self.sizes, strict=True)
        return sum(size * max(0, min(stop, num_steps) - start) for start, stop, size in spans)

    def steps(self, tokens: int) -> int:
        """Return the fewest steps that read `tokens` tokens."""
        i = max(i for i, start in enumerate(self.starts) if i == 0 or self.tokens(start) < tokens)
        return self.starts[i] - (self.tokens(self.starts[i]) - tokens) // self.sizes[i]


def linear_ramp(start_tokens: int, batch_tokens: int, unit: int, num_sizes: int, until_step: int) -> BatchSizes:
    """Return `num_sizes` sizes before step `until_step`, multiples of `unit`, as both ends are, and `batch_tokens` after."""
    first, last = start_tokens // unit, batch_tokens // unit
    sizes = [unit * (first + (last - first) * i // num_sizes) for i in range(num_sizes)]
    return BatchSizes(tuple(until_step * i // num_sizes for i in range(num_sizes + 1)), (*sizes, batch_tokens))
