"""The range coder's stream: what goes in comes out, its length is that of its model, its model sees what is there."""

import contextlib
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mulligan.values import code_stream
from mulligan.values.code_stream import CodeMatrix, check_stream, code_lengths, decode_codes, encode_codes

SIGMA = 2.41
"""What int6 with a scale of 12.85 standard deviations makes of a matrix, in codes."""


def rounded(values, bits=6):
    limit = 2 ** (bits - 1)
    return np.clip(np.rint(values), -limit, limit - 1).astype(np.int8)


def bits_per_code(*matrices, scales=None, bits=6):
    given = [CodeMatrix(codes.shape, bits, None if scales is None else scales[i]) for i, codes in enumerate(matrices)]
    return [length / codes.size for length, codes in zip(code_lengths(given, matrices), matrices, strict=True)]


def entropy(codes):
    counts = np.unique(codes, return_counts=True)[1] / codes.size
    return -(counts * np.log2(counts)).sum()


@st.composite
def streams(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    matrices, codes = [], []
    for shape in draw(st.lists(st.sampled_from([(0, 9), (1, 2500), (16, 130), (130, 16), (260, 64)]), min_size=1, max_size=3)):
        bits = draw(st.integers(2, 8))
        values = rng.normal(0, 2.0 ** draw(st.integers(-1, bits)), shape) * rng.uniform(0.1, 2, shape[1])
        kind = draw(st.sampled_from(["noise", "zeros", "alike", "extreme"]))
        if kind == "alike" and shape[0]:
            values = values * 0.05 + values[:1]
        if kind in ("zeros", "extreme"):
            values = values * 0 if kind == "zeros" else np.sign(values) * 1e9
        scale = rng.uniform(1e-7, 60000, shape[0]).astype(np.float16) if draw(st.booleans()) else None
        matrices.append(CodeMatrix(shape, bits, scale))
        codes.append(rounded(values, bits))
    return matrices, codes


@settings(max_examples=20, deadline=None)
@given(stream=streams())
def test_what_goes_in_comes_out_and_is_as_long_as_its_model_says(stream):
    matrices, codes = stream
    if sum(array.size for array in codes) < 1024 * len(codes):
        with pytest.raises(ValueError, match="on average"):
            encode_codes(matrices, codes)
        return
    data = encode_codes(matrices, codes)
    found, bits = decode_codes(data, matrices)
    assert all(np.array_equal(a, b) and a.dtype == np.int8 for a, b in zip(found, codes, strict=True))
    assert bits == code_lengths(matrices, codes)
    assert sum(bits) / 8 - 4 <= len(data) <= sum(bits) / 8 * 1.001 + 8


@settings(max_examples=60, deadline=None)
@given(words=st.lists(st.integers(0, 2**32 - 1), max_size=40), more=st.binary(max_size=3))
def test_noise_gives_codes_in_range_or_a_value_error(words, more):
    data = np.array(words, dtype="<u4").tobytes() + more
    with contextlib.suppress(ValueError):
        codes, _ = decode_codes(data, [CodeMatrix((40, 64), 4), CodeMatrix((260, 64), 3)])
        assert all(-8 <= array.min() <= array.max() < 8 for array in codes)


def test_a_stream_that_goes_on_or_is_cut_within_a_word_is_refused():
    matrix, codes = CodeMatrix((32, 64), 6), rounded(np.random.default_rng(0).normal(0, SIGMA, (32, 64)))
    data = encode_codes([matrix], [codes])
    for damaged, told in ((data + bytes(8), "goes on"), (data[:-1], "whole words"), (b"", "fits|range of")):
        with contextlib.suppress(AssertionError), pytest.raises(ValueError, match=told):
            decode_codes(damaged, [matrix])
    with pytest.raises(ValueError, match="no matrix"):
        decode_codes(b"1234", [])
    assert decode_codes(b"", []) == ([], [])


def test_limits_on_what_a_stream_may_ask_for():
    check_stream([CodeMatrix((1 << 11, 1 << 11), 8)], 0)
    for matrices in (
        [CodeMatrix((1 << 11, 33 + (1 << 11)), 8)],
        [CodeMatrix((31, 33), 8)],
        [CodeMatrix((70_000, 70_000), 8)],
        [CodeMatrix((32, 32), 8)] * 2049,
    ):
        with pytest.raises(ValueError, match="may hold"):
            check_stream(matrices, 1)


def test_noise_of_one_size_takes_little_more_than_its_entropy():
    codes = rounded(np.random.default_rng(0).normal(0, SIGMA, (1024, 256)))
    assert bits_per_code(codes)[0] < entropy(codes) * 1.002


def test_rows_and_columns_of_many_sizes_take_little_more_than_the_mean_entropy():
    """256 x 512 codes: the bound is the entropy given every row's and column's size."""
    rng = np.random.default_rng(0)
    sizes = 4 * 2 ** rng.normal(0, 0.6, (256, 1)) * 2 ** rng.normal(0, 0.6, (1, 512))
    codes = rounded(rng.normal(0, 1, sizes.shape) * sizes, 8)
    bound = np.log2(sizes * math.sqrt(2 * math.pi * math.e)).mean()
    assert bound < entropy(codes) - 0.2
    assert bits_per_code(codes, bits=8)[0] < bound + 0.06


def test_columns_begin_where_the_scales_of_another_matrix_say():
    """Hidden units that are written large are read large: the second matrix's columns follow the first one's scales."""
    rng = np.random.default_rng(0)
    unit = 2 ** rng.normal(0, 1, 400)
    first, second = rounded(rng.normal(0, SIGMA, (400, 64))), rounded(rng.normal(0, 2, (48, 400)) * unit)
    scale = (0.01 * unit).astype(np.float16)
    knows = bits_per_code(first, second, scales=[scale, np.ones(48, np.float16)])[1]
    knows_not = bits_per_code(first, second, scales=[np.ones(400, np.float16), np.ones(48, np.float16)])[1]
    assert knows < knows_not - 0.05


def test_columns_begin_where_those_of_an_earlier_matrix_ended():
    rng = np.random.default_rng(0)
    unit = 2 ** rng.normal(0, 1, 400)
    first, second = (rounded(rng.normal(0, 2, (48, 400)) * unit) for _ in range(2))
    alone = bits_per_code(second)[0]
    assert bits_per_code(first, second)[1] < alone - 0.05


def test_rows_that_resemble_one_another_are_predicted():
    rng = np.random.default_rng(0)
    alike = np.where(
        rng.random((300, 1)) < 0.4, rng.normal(0, 6, 128) + rng.normal(0, 1, (300, 128)), rng.normal(0, 6, (300, 128))
    )
    codes = rounded(alike)
    parts = 0.4 * math.log2(1) + 0.6 * math.log2(6) + math.log2(math.sqrt(2 * math.pi * math.e))
    assert bits_per_code(codes)[0] < parts + 0.3 < entropy(codes) - 0.5


def test_rows_of_shared_directions_are_predicted():
    """64 columns of 4 directions and noise: what is left to say of most columns is the noise."""
    rng = np.random.default_rng(0)
    values = rng.normal(0, 4, (1000, 4)) @ rng.normal(0, 1, (4, 64)) + rng.normal(0, 1.5, (1000, 64))
    codes = rounded(values)
    assert bits_per_code(codes)[0] < entropy(codes) - 0.7


@pytest.mark.parametrize("transpose", [False, True])
def test_a_narrow_matrix_is_walked_along_its_longer_side(transpose):
    codes = rounded(np.random.default_rng(0).normal(0, SIGMA, (2048, 16)))
    codes = np.ascontiguousarray(codes.T) if transpose else codes
    assert bits_per_code(codes)[0] < entropy(codes) * 1.01


def test_who_reads_is_told_nothing_but_the_stream(monkeypatch):
    """The plan is in the stream: reading without the planner gives the same codes."""
    rng = np.random.default_rng(0)
    matrices = [CodeMatrix((300, 64), 6), CodeMatrix((40, 64), 6)]
    codes = [rounded(rng.normal(0, 6, 64) + rng.normal(0, 1, (300, 64))), rounded(rng.normal(0, 3, (40, 64)))]
    data = encode_codes(matrices, codes)
    monkeypatch.delattr(code_stream, "plan_matrix")
    assert all(np.array_equal(a, b) for a, b in zip(decode_codes(data, matrices)[0], codes, strict=True))
