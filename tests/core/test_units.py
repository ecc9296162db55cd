"""Nats become bits per byte in one place."""

import math

import pytest

from mulligan.core.units import bits_per_byte, format_bytes


def test_one_bit_per_byte():
    assert bits_per_byte(math.log(2.0) * 10, 10) == pytest.approx(1.0)


def test_the_challenges_ratio_of_sp1024_is_reproduced():
    """0.4105219 tokens per byte: 0.592259 bits per byte for one nat per token."""
    assert bits_per_byte(1.0, 1 / 0.4105219) == pytest.approx(0.592259, abs=2e-6)


def test_no_bytes_is_an_error():
    with pytest.raises(ValueError, match="at least one byte"):
        bits_per_byte(1.0, 0)


def test_bytes_are_decimal():
    assert format_bytes(16_000_000) == "16,000,000 B"
