"""The range coder: its lengths, its errors, and its arithmetic, against a plain reader in whole numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mulligan.values.range_coder import CodeLength, Decoder, Encoder

PRECISION = 24


def plain_intervals(counts):
    """Return where each symbol's share of 2^24 begins: its counts in float64, and one part for every symbol before it."""
    scale = float((1 << PRECISION) - len(counts)) / float(sum(counts))
    ends, before = [], 0
    for i, count in enumerate(counts):
        ends.append(int(float(before) * scale) + i)
        before += count
    return [*ends, 1 << PRECISION]


class PlainReader:
    """Range decoding with words of 32 bits and a state of 64, one symbol at a time."""

    def __init__(self, data):
        self.words = iter([int.from_bytes(data[i : i + 4], "little") for i in range(0, len(data), 4)])
        self.low, self.width = 0, (1 << 64) - 1
        self.point = next(self.words, 0) << 32 | next(self.words, 0)

    def symbol(self, counts):
        starts = plain_intervals(counts)
        part = self.width >> PRECISION
        at = ((self.point - self.low) % (1 << 64)) // part
        found = max(i for i in range(len(counts)) if starts[i] <= at)
        self.low = (self.low + starts[found] * part) % (1 << 64)
        self.width = (starts[found + 1] - starts[found]) * part
        if self.width < 1 << 32:
            self.low, self.width = (self.low << 32) % (1 << 64), self.width << 32
            self.point = (self.point << 32 | next(self.words, 0)) % (1 << 64)
        return found


tables = st.lists(st.integers(1, 2**40), min_size=2, max_size=80)


@settings(max_examples=100, deadline=None)
@given(runs=st.lists(st.tuples(tables, st.integers(1, 40), st.integers(0, 2**32 - 1)), min_size=1, max_size=6))
def test_a_plain_reader_finds_what_was_written(runs):
    """So the stream depends on nothing but whole numbers and one float64 quotient and product: not on the machine."""
    encoder, measure, written = Encoder(), CodeLength(), []
    for counts, number, seed in runs:
        symbols = np.random.default_rng(seed).integers(0, len(counts), number)
        for coder in (encoder, measure):
            coder.code(np.array(counts), number, symbols)
        written.append(symbols.tolist())
    data = encoder.finish()
    reader, decoder = PlainReader(data), Decoder(data)
    assert [[reader.symbol(counts) for _ in range(number)] for counts, number, _ in runs] == written
    assert [decoder.code(np.array(counts), number, None).tolist() for counts, number, _ in runs] == written
    decoder.finish()
    assert decoder.bits == measure.bits


def test_the_length_is_that_of_the_counts():
    counts, symbols = np.array([1, 2, 5]), np.array([0, 1, 2, 2])
    measure = CodeLength()
    measure.code(counts, 4, symbols)
    assert measure.bits == pytest.approx(-np.log2([1 / 8, 2 / 8, 5 / 8, 5 / 8]).sum())


def test_damaged_data_are_value_errors():
    with pytest.raises(ValueError, match="whole words"):
        Decoder(b"12345")
    with pytest.raises(ValueError, match="no symbol fits"):
        Decoder(b"\xff" * 8).code(np.array([1, 1]), 1000, None)
    decoder = Decoder(bytes(40))
    decoder.code(np.array([1, 1]), 3, None)
    with pytest.raises(ValueError, match="goes on"):
        decoder.finish()
