"""The size that a code is expected to have, in eighths of an octave, and the table of counts that it starts from.

Size k stands for a standard deviation of 2^(k/8 - 3) codes, k from 0 to 80. All in integers and in single IEEE operations,
which round alike on every machine. Torch-free.
"""

import math

import numpy as np

from mulligan.values.range_coder import Ints

NUM_SIZES = 81
UNIT_SIZE = 24
"""The size of a standard deviation of 1."""
FRACTION_BITS = 16
"""A symbol that was seen counts 2^16, so that tables can start from less than one."""
PRIOR_SYMBOLS = 16
"""The bell that a table starts from counts as so many symbols for each value that a code may have."""
POWERS: Ints = np.array([math.isqrt(math.isqrt(math.isqrt(1 << eighths))) for eighths in range(8 * 44)], dtype=np.int64)
"""floor(2^(j/8))."""


def log2_eighths(values: Ints) -> Ints:
    """Return the largest j with 2^(j/8) < v + 1 of integers v, those below 1 taken as 1: 8 log2 v, but for small v."""
    found: Ints = np.searchsorted(POWERS, np.maximum(values, 1), side="right") - 1
    return found


def size_of_energy(energy: Ints, unit_bits: int) -> Ints:
    """Return 8 log2 of the root of energy / 2^unit_bits, rounded: a size relative to 1."""
    return (log2_eighths(energy) - 8 * unit_bits + 1) >> 1


def bell_counts(bits: int, size: int, phase: int) -> Ints:
    """Return counts of the differences -2^bits to 2^bits of codes of `bits` bits from a mean that lies `phase` quarters up.

    A Student distribution of 31 degrees of freedom (a bell with tails), summed over eight points of each code's interval.
    """
    quarters = np.arange(-(2**bits), 2**bits + 1, dtype=np.float64) * 4.0 - phase
    variance = float(POWERS[2 * size + 144]) / 2.0**20  # 16 sigma^2, in quarters: 2^(size/4 - 2)
    total = np.zeros_like(quarters)
    for offset in (-1.75, -1.25, -0.75, -0.25, 0.25, 0.75, 1.25, 1.75):
        power = 1.0 + (quarters + offset) * (quarters + offset) / (32.0 * variance)
        for _ in range(4):
            power = power * power
        total = total + 1.0 / power
    weights = np.floor(total * 2.0**20).astype(np.int64) + 1
    return weights * (PRIOR_SYMBOLS << (bits + FRACTION_BITS)) // int(weights.sum()) + 1
