"""Codecs: what goes in comes out, damage is a ValueError, and a bomb costs no more than the declared size."""

import contextlib
import lzma
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mulligan.values.codec import CODECS, compress, decompress, shuffle_bytes, unshuffle_bytes
from mulligan.values.tensor_table import CODEC_NAMES, RANGE_CODER
from random_quantized import LEVELS, codecs

TEXT = b"the quick brown fox jumps over the lazy dog " * 40


def test_the_container_knows_every_codec():
    assert set(CODEC_NAMES) == {*CODECS, RANGE_CODER}
    assert set(CODECS) == set(LEVELS)


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=300), codec=codecs, repeat=st.integers(1, 50))
def test_what_goes_in_comes_out(data, codec, repeat):
    packed = compress(codec[0], data * repeat, codec[1])
    assert decompress(codec[0], packed, len(data) * repeat) == data * repeat
    assert packed == compress(codec[0], data * repeat, codec[1])


@pytest.mark.parametrize("codec", sorted(CODECS))
@pytest.mark.parametrize("declared", [0, 1, len(TEXT) - 1, len(TEXT) + 1, 10 * len(TEXT)])
def test_any_other_size_than_the_declared_one_is_refused(codec, declared):
    with pytest.raises(ValueError, match=codec):
        decompress(codec, compress(codec, TEXT, LEVELS[codec][1]), declared)


@pytest.mark.parametrize("codec", sorted(CODECS))
def test_data_cut_anywhere_is_refused(codec):
    packed = compress(codec, TEXT, LEVELS[codec][1])
    for stop in range(len(packed)):
        with pytest.raises(ValueError, match=codec):
            decompress(codec, packed[:stop], len(TEXT))


@pytest.mark.parametrize("codec", sorted(CODECS))
def test_bytes_after_the_end_are_refused(codec):
    packed = compress(codec, TEXT, LEVELS[codec][1])
    for more in (b"\0\0\0\0", packed):
        with pytest.raises(ValueError, match=codec):
            decompress(codec, packed + more, len(TEXT))


@pytest.mark.parametrize("codec", sorted(CODECS))
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damage_raises_nothing_but_a_value_error(codec, data):
    packed = bytearray(compress(codec, TEXT, LEVELS[codec][1]))
    at = data.draw(st.integers(0, len(packed) - 1))
    packed[at] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(ValueError):
        assert len(decompress(codec, bytes(packed), len(TEXT))) == len(TEXT)


@pytest.mark.parametrize("codec", sorted(CODECS))
@settings(max_examples=30, deadline=None)
@given(noise=st.binary(max_size=60), declared=st.integers(0, 1000))
def test_noise_raises_nothing_but_a_value_error(codec, noise, declared):
    with contextlib.suppress(ValueError):
        assert len(decompress(codec, noise, declared)) == declared


@pytest.mark.parametrize("codec", sorted(CODECS))
def test_a_bomb_costs_no_more_than_the_declared_size(codec):
    bomb = compress(codec, bytes(50_000_000), 5)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=codec):
            decompress(codec, bomb, 1000)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_an_extreme_preset_of_lzma_gives_other_bytes_that_come_back():
    data = bytes(np.random.default_rng(0).integers(0, 4, 5000).astype(np.uint8))
    plain, extreme = (compress("lzma", data, level) for level in (6, 6 | lzma.PRESET_EXTREME))
    assert plain != extreme
    assert decompress("lzma", extreme, len(data)) == data


def test_an_xz_stream_that_asks_for_a_huge_dictionary_is_refused():
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 20}]
    packed = bytearray(lzma.compress(TEXT, lzma.FORMAT_XZ, check=lzma.CHECK_NONE, filters=filters))
    # Byte 16 of an .xz holds the dictionary's size, the last 4 of the block header's 12 bytes its CRC32.
    assert packed[16] == 2 * (20 - 12)
    packed[16] = 40
    packed[20:24] = zlib.crc32(bytes(packed[12:20])).to_bytes(4, "little")
    with pytest.raises(ValueError, match=r"[Mm]emory"):
        decompress("lzma", bytes(packed), len(TEXT))


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=60), stride=st.integers(1, 7))
def test_shuffled_bytes_lie_by_their_offset_and_come_back(data, stride):
    shuffled = shuffle_bytes(data, stride)
    assert shuffled == b"".join(data[first::stride] for first in range(stride))
    assert unshuffle_bytes(shuffled, stride) == data
