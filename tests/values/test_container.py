"""The container: bit-exact round trips; cut, flipped and forged files raise ValueError and allocate nothing absurd."""

import contextlib
import hashlib
import struct
import tracemalloc

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mulligan.values.codec import compress, shuffle_bytes
from mulligan.values.container import (
    CODEC_NAMES,
    DATA_SECTIONS,
    HEADER,
    MAGIC,
    MAX_TABLE_BYTES,
    SEAL_BYTES,
    pack_container,
    read_container,
    read_header,
    unpacked_limit_bytes,
)
from mulligan.values.quantized import Quantized
from mulligan.values.tensor_table import TensorEntry, table_bytes
from random_quantized import LEVELS, assert_same, codecs, float_tensor, int_tensor, quantized

EXAMPLE = Quantized(
    {
        "blocks.0.fc": int_tensor((6, 5), 6, 1),
        "blocks.1.fc": int_tensor((6, 5), 6, 2),
        "gain": float_tensor((7,), 32, 3),
        "tok_emb": float_tensor((4, 3), 16, 4),
    },
    {"num_layers": 2},
    {},
)


def sealed(body: bytes) -> bytes:
    return body + hashlib.sha256(body).digest()


def forged(codec="zlib", model=None, entries=(), sections=(b"", b"", b"", b""), **header) -> bytes:
    """Return a container with the right seal around whatever is given."""
    table = table_bytes(model or {}, entries)
    stored = [compress(codec, table, 1), *(compress(codec, section, 1) for section in sections)]
    fields = {"version": 1, "codec": CODEC_NAMES.index(codec), "reserved": 0, "table": len(table), **header}
    return sealed(HEADER.pack(MAGIC, *fields.values(), *map(len, stored)) + b"".join(stored))


@settings(max_examples=100, deadline=None)
@given(value=quantized, codec=codecs)
def test_what_is_packed_comes_back_bit_for_bit(value, codec):
    packed = pack_container(value, *codec)
    assert_same(read_container(packed), value)
    assert packed == pack_container(Quantized(dict(reversed(value.tensors.items())), value.model, {"a": 1}), *codec)


def test_every_field_lies_where_the_document_says():
    packed = pack_container(EXAMPLE, "zlib", 9)
    assert packed[:12] == b"MULLIGAN" + struct.pack("<HBB", 1, 0, 0)
    table_num_bytes, *stored = struct.unpack("<II4Q", packed[12:52])
    assert 52 + sum(stored) + 32 == len(packed)
    model = b'{"num_layers":2}'
    table = struct.pack("<I", len(model)) + model + struct.pack("<I", 4)
    for name, kind, bits, shape in (
        (b"blocks.0.fc", 0, 6, (6, 5)),
        (b"blocks.1.fc", 0, 6, (6, 5)),
        (b"gain", 2, 32, (7,)),
        (b"tok_emb", 1, 16, (4, 3)),
    ):
        table += struct.pack("<H", len(name)) + name + struct.pack(f"<BBB{len(shape)}Q", kind, bits, len(shape), *shape)
    assert table_num_bytes == len(table)
    codes = [EXAMPLE.tensors[f"blocks.{i}.fc"] for i in range(2)]
    sections = (
        table,
        b"".join(tensor.codes.numpy().tobytes() for tensor in codes),
        shuffle_bytes(b"".join(tensor.scale.numpy().tobytes() for tensor in codes), 2),
        shuffle_bytes(EXAMPLE.tensors["tok_emb"].numpy().tobytes(), 2),
        shuffle_bytes(EXAMPLE.tensors["gain"].numpy().tobytes(), 4),
    )
    assert packed[52:-32] == b"".join(compress("zlib", section, 9) for section in sections)
    assert packed[-32:] == hashlib.sha256(packed[:-32]).digest()


def test_the_header_tells_the_codec_and_the_sections():
    header = read_header(pack_container(EXAMPLE, "zstd", 3))
    assert header.codec == "zstd"
    assert list(header.stored_bytes) == ["table", *DATA_SECTIONS]


@pytest.mark.parametrize("codec", CODEC_NAMES)
def test_a_file_cut_anywhere_is_refused(codec):
    packed = pack_container(EXAMPLE, codec, LEVELS[codec][0])
    for stop in range(len(packed)):
        with pytest.raises(ValueError, match="artifact"):
            read_container(packed[:stop])


def test_every_changed_byte_is_found():
    packed = pack_container(EXAMPLE, "zlib", 9)
    for at in range(len(packed)):
        damaged = bytearray(packed)
        damaged[at] ^= 1 << (at % 8)
        with pytest.raises(ValueError, match="artifact"):
            read_container(bytes(damaged))


@settings(max_examples=300, deadline=None)
@given(codec=st.sampled_from(CODEC_NAMES), data=st.data())
def test_a_changed_byte_under_a_forged_seal_raises_nothing_but_a_value_error(codec, data):
    body = bytearray(pack_container(EXAMPLE, codec, LEVELS[codec][0])[:-SEAL_BYTES])
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(ValueError):
        read_container(sealed(bytes(body)))


@settings(max_examples=60, deadline=None)
@given(noise=st.binary(max_size=200))
def test_noise_after_the_magic_raises_nothing_but_a_value_error(noise):
    with pytest.raises(ValueError, match="artifact"):
        read_container(sealed(MAGIC + noise))


@pytest.mark.parametrize("codec", CODEC_NAMES)
@pytest.mark.parametrize("kind", [("int", 8), ("fp16", 16), ("fp32", 32)], ids=lambda kind: kind[0])
def test_a_small_file_that_states_huge_tensors_allocates_nothing(codec, kind):
    packed = forged(codec, entries=[TensorEntry("w", *kind, (1 << 20, 1 << 20))])
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="may unpack to"):
            read_container(packed)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("codec", CODEC_NAMES)
def test_a_section_that_unpacks_to_more_than_its_tensors_is_a_bomb(codec):
    packed = forged(codec, entries=[TensorEntry("w", "fp32", 32, (2,))], sections=(b"", b"", b"", bytes(20_000_000)))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=codec):
            read_container(packed)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("packed", "told"),
    [
        (forged(version=2), "version 2"),
        (forged(reserved=1), "header is damaged"),
        (sealed(HEADER.pack(MAGIC, 1, 9, 0, 0, 0, 0, 0, 0, 0)), "header is damaged"),
        (forged(table=MAX_TABLE_BYTES + 1), "header is damaged"),
        (forged(table=7), "zlib"),
        (forged()[:-32] + bytes(32), "sha256"),
        (sealed(HEADER.pack(MAGIC, 1, 0, 0, 0, 0, 2**64 - 1, 2**64 - 1, 0, 0)), "its header states"),
        (b"PK\x03\x04" + bytes(100), "Not a mulligan artifact"),
        (b"", "Not a mulligan artifact"),
        (MAGIC, "cut short"),
        (forged(entries=[TensorEntry("w", "int", 2, (3,))], sections=(b"\1\2\3", b"\0\x3c", b"", b"")), "2 bits"),
        (forged(entries=[TensorEntry("w", "int", 2, (1,))], sections=(b"\1", b"\0\0", b"", b"")), "scale"),
        (forged(entries=[TensorEntry("w", "int", 2, (1,))], sections=(b"\1", b"\0\x7e", b"", b"")), "scale"),
        (forged(sections=(b"\1", b"", b"", b"")), "cannot hold"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_forged_files_are_refused(packed, told):
    with pytest.raises(ValueError, match=told):
        read_container(packed)


def test_what_could_not_be_read_is_not_packed(monkeypatch):
    with pytest.raises(ValueError, match="Names, shapes and config"):
        pack_container(Quantized({}, {"a": "b" * MAX_TABLE_BYTES}, {}), "zlib", 1)
    monkeypatch.setattr("mulligan.values.container.unpacked_limit_bytes", lambda file_bytes: 4000 + 0 * file_bytes)
    pack_container(Quantized({"w": torch.zeros(1000)}, {}, {}), "zstd", 1)
    with pytest.raises(ValueError, match="may unpack to 4,000 bytes; this one states 4,004"):
        pack_container(Quantized({"w": torch.zeros(1001)}, {}, {}), "zstd", 1)


def test_the_limit_leaves_room_for_any_real_file_and_none_for_absurd_ones():
    assert unpacked_limit_bytes(0) == 2**28
    assert unpacked_limit_bytes(16_000_000) > 1_000_000_000


def test_tensors_of_zeros_compress_to_next_to_nothing_and_come_back():
    value = Quantized({"w": torch.zeros(1000, 1000)}, {}, {})
    packed = pack_container(value, "brotli", 5)
    assert len(packed) < 300
    assert_same(read_container(packed), value)
