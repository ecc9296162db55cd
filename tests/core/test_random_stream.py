"""Streams are apart by name and seed, equal for equal arguments, and the same on every machine."""

import pytest

from mulligan.core.random_stream import random_stream, stream_seed


def test_equal_arguments_give_equal_numbers():
    assert (random_stream(7, "init", "a").random(5) == random_stream(7, "init", "a").random(5)).all()


def test_names_and_seeds_are_apart():
    seeds = {stream_seed(seed, *names) for seed in (0, 1, 10) for names in (("a",), ("b",), ("a", "b"), ("ab",), ("0", "a"))}
    assert len(seeds) == 15


def test_the_numbers_are_pinned():
    assert stream_seed(0, "init") == 6215489726534702988
    assert random_stream(0, "init").integers(1000, size=3).tolist() == [570, 333, 305]


def test_a_stream_needs_a_name():
    with pytest.raises(ValueError, match="name"):
        stream_seed(0)
