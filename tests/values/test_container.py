"""The container: bit-exact round trips; cut, flipped and forged files raise ValueError and allocate nothing absurd."""

import contextlib
import hashlib
import json
import struct
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mulligan.values import code_stream
from mulligan.values.codec import CODECS, compress, shuffle_bytes
from mulligan.values.container import (
    HEADER,
    MAGIC,
    MAX_TABLE_BYTES,
    SEAL_BYTES,
    Coding,
    contents_of,
    pack_container,
    unpacked_limit_bytes,
    write_container,
)
from mulligan.values.container_reader import read_container, read_directory, read_header
from mulligan.values.quantized import Factor, LowRank, Quantized, QuantizedTensor
from mulligan.values.tensor_entry import TensorEntry
from mulligan.values.tensor_table import CODEC_NAMES, GroupCoding, Stream, Table, table_bytes
from random_quantized import LEVELS, assert_same, codecs, factor, float_tensor, int_tensor, quantized

BYTE_CODECS = tuple(CODECS)
WHOLE = Table({}, (TensorEntry("w", "int", 2, (3,)),), (GroupCoding("zlib"),), ())


def example() -> Quantized:
    corrected, rng = int_tensor((6, 5), 6, 2), np.random.default_rng(5)
    correction = LowRank(factor((6, 2), rng), factor((2, 5), rng))
    one_scale = torch.tensor([0.25], dtype=torch.float32)
    return Quantized(
        {
            "blocks.0.fc": int_tensor((6, 5), 6, 1),
            "blocks.1.fc": QuantizedTensor(corrected.codes, corrected.scale, 6, (6, 5), 7, correction),
            "gain": float_tensor((7,), 32, 3),
            "mix": QuantizedTensor(torch.tensor([[1, -2]], dtype=torch.int8), one_scale, 8, (2,)),
            "tok_emb": float_tensor((4, 3), 16, 4),
        },
        {"num_layers": 2},
        {},
    )


EXAMPLE = example()


def modelled(seed: int = 0) -> Quantized:
    """Return weights that go to the range coder with all that its model has: classes of rows, prediction, both directions."""
    rng = np.random.default_rng(seed)
    alike = np.rint(rng.normal(0, 8, (1, 64))) + rng.normal(0, 1, (40, 64))
    directions = rng.normal(0, 5, (225, 2)) @ rng.normal(0, 1, (2, 64)) + rng.normal(0, 1, (225, 64))
    profile = rng.uniform(1, 9, 48)
    parts = {
        "narrow": (rng.normal(0, 2, (300, 4)), 4),
        "tok_emb": (np.concatenate([directions, alike]), 6),
        "blocks.0.fc": (rng.normal(0, 1, (24, 48)) * profile, 6),
        "blocks.1.fc": (rng.normal(0, 0.3, (24, 48)) * profile, 5),
    }
    tensors = {}
    for name, (values, bits) in parts.items():
        limit = 2 ** (bits - 1)
        codes = np.clip(np.rint(values), -limit, limit - 1).astype(np.int8)
        scale = rng.uniform(0.01, 0.02, len(codes)).astype(np.float16)
        tensors[name] = QuantizedTensor(torch.from_numpy(codes), torch.from_numpy(scale), bits, codes.shape)
    return Quantized(tensors, {}, {})


def range_coded(value: Quantized) -> bytes:
    contents = contents_of(value)
    groups = dict.fromkeys(contents.groups, GroupCoding("range-coder"))
    sections = dict.fromkeys(("table", "scale", "fp16", "fp32"), "zlib")
    return write_container(contents, Coding(groups, sections, {"zlib": 9}))


MODELLED = modelled()
PACKED = range_coded(MODELLED)


def sealed(body: bytes) -> bytes:
    return body + hashlib.sha256(body).digest()


def forged(contents: Table, streams=(), codec="zlib", **header) -> bytes:
    """Return a container with the right seal around a table and whatever streams are given."""
    table = table_bytes(contents)
    return forged_bytes(table, streams, codec, **header)


def forged_bytes(contents: bytes, streams=(), codec="zlib", **header) -> bytes:
    stored = compress(codec, contents, 1)
    fields = {"version": 2, "codec": CODEC_NAMES.index(codec), "table": len(contents), "stored": len(stored), **header}
    return sealed(HEADER.pack(MAGIC, *fields.values()) + stored + b"".join(streams))


def forged_tensor(entry: TensorEntry, parts: dict[str, bytes], codec="zlib", coding=None) -> bytes:
    """Return a container of one tensor, its sections compressed by `codec`."""
    data = {section: compress(codec, part, 1) for section, part in parts.items()}
    streams = tuple(Stream(section, codec, len(part)) for section, part in data.items())
    groups = (coding or GroupCoding(codec),) if entry.kind == "int" else ()
    return forged(Table({}, (entry,), groups, streams), data.values(), codec)


def test_the_forged_files_of_this_file_are_read_where_nothing_is_wrong():
    packed = forged_tensor(TensorEntry("w", "int", 2, (3,)), {"codes": b"\1\0\xff", "scale": b"\0\x3c"})
    assert read_container(packed).quantized.dequantize()["w"].tolist() == [1.0, 0.0, -1.0]


@settings(max_examples=100, deadline=None)
@given(value=quantized, codec=codecs)
def test_what_is_packed_comes_back_bit_for_bit(value, codec):
    packed = pack_container(value, *codec)
    assert_same(read_container(packed).quantized, value)
    assert packed == pack_container(Quantized(dict(reversed(value.tensors.items())), value.model, {"a": 1}), *codec)


def test_every_field_lies_where_the_document_says():
    packed = pack_container(EXAMPLE, "zlib", 9)
    version, codec, table_num_bytes, stored_table = struct.unpack("<HBII", packed[8:19])
    assert (packed[:8], version, codec) == (b"MULLIGAN", 2, 0)
    fc, gain, mix, emb = (EXAMPLE.tensors[name] for name in ("blocks.1.fc", "gain", "mix", "tok_emb"))
    first, left, right = EXAMPLE.tensors["blocks.0.fc"], fc.correction.left, fc.correction.right
    streams = {
        (0, 0): b"".join(codes.numpy().tobytes() for codes in (first.codes, fc.codes, mix.codes, left.codes, right.codes)),
        (1, 0): shuffle_bytes(b"".join(t.scale.numpy().tobytes() for t in (first, fc, left, right)), 2),
        (2, 0): shuffle_bytes(emb.numpy().tobytes(), 2),
        (3, 0): shuffle_bytes(gain.numpy().tobytes() + mix.scale.numpy().tobytes(), 4),
    }
    data = [compress("zlib", stream, 9) for stream in streams.values()]
    model = b'{"num_layers":2}'
    table = struct.pack("<I", len(model)) + model + struct.pack("<I", 5)
    sides = struct.pack("<QBQBQ", 2, left.bits, left.group_size, right.bits, right.group_size)
    for name, kind, bits, shape, flags in (
        (b"blocks.0.fc", 0, 6, (6, 5), b"\0"),
        (b"blocks.1.fc", 0, 6, (6, 5), b"\6" + struct.pack("<I", 7) + sides),
        (b"gain", 2, 32, (7,), b""),
        (b"mix", 0, 8, (2,), b"\1"),
        (b"tok_emb", 1, 16, (4, 3), b""),
    ):
        table += struct.pack("<H", len(name)) + name + struct.pack(f"<BBB{len(shape)}Q", kind, bits, len(shape), *shape) + flags
    table += bytes(4)  # the groups: fc, mix, and both factors of fc's corrections
    table += b"\4" + b"".join(struct.pack("<BBQ", *key, len(part)) for key, part in zip(streams, data, strict=True))
    assert table_num_bytes == len(table)
    assert packed[19 : 19 + stored_table] == compress("zlib", table, 9)
    assert packed[19 + stored_table : -32] == b"".join(data)
    assert packed[-32:] == hashlib.sha256(packed[:-32]).digest()


@pytest.mark.parametrize("codec", [*BYTE_CODECS, "auto"])
def test_a_file_cut_anywhere_is_refused(codec):
    packed = PACKED if codec == "auto" else pack_container(EXAMPLE, codec, LEVELS[codec][0])
    for stop in range(0, len(packed), 97 if codec == "auto" else 1):
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
@given(codec=st.sampled_from(BYTE_CODECS), data=st.data())
def test_a_changed_byte_under_a_forged_seal_raises_nothing_but_a_value_error(codec, data):
    body = bytearray(pack_container(EXAMPLE, codec, LEVELS[codec][0])[:-SEAL_BYTES])
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(ValueError):
        read_container(sealed(bytes(body)))


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_a_damaged_stream_of_the_range_coder_gives_other_codes_in_range_or_a_value_error(data):
    """The stream is the longest: most bytes of the file are its own. A table that is whole reaches the model."""
    body = bytearray(PACKED[:-SEAL_BYTES])
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] ^= data.draw(st.integers(1, 255))
    stop = data.draw(st.sampled_from((len(body), len(body) - 4)))
    with contextlib.suppress(ValueError):
        found = read_container(sealed(bytes(body[:stop]))).quantized
        assert all(isinstance(tensor, QuantizedTensor) for tensor in found.tensors.values())


@settings(max_examples=60, deadline=None)
@given(table=st.binary(max_size=200), codec=st.sampled_from(BYTE_CODECS))
def test_any_bytes_for_a_table_raise_nothing_but_a_value_error(table, codec):
    with pytest.raises(ValueError, match=r"."):
        read_container(forged_bytes(table, (), codec))


@settings(max_examples=60, deadline=None)
@given(noise=st.binary(max_size=200))
def test_noise_after_the_magic_raises_nothing_but_a_value_error(noise):
    with pytest.raises(ValueError, match="artifact"):
        read_container(sealed(MAGIC + noise))


@pytest.mark.parametrize("codec", CODEC_NAMES)
@pytest.mark.parametrize("kind", [("int", 8), ("fp16", 16), ("fp32", 32)], ids=lambda kind: kind[0])
def test_a_small_file_that_states_huge_tensors_allocates_nothing(codec, kind):
    groups = (GroupCoding(codec),) if kind[0] == "int" else ()
    packed = forged(Table({}, (TensorEntry("w", *kind, (1 << 20, 1 << 20)),), groups, ()))
    assert peak_bytes(packed, "may unpack to") < 1 << 20


@pytest.mark.parametrize("codec", BYTE_CODECS)
def test_a_section_that_unpacks_to_more_than_its_tensors_is_a_bomb(codec):
    packed = forged_tensor(TensorEntry("w", "fp32", 32, (2,)), {"fp32": bytes(20_000_000)}, codec)
    assert peak_bytes(packed, codec) < 1 << 20


def test_a_small_file_cannot_ask_the_range_coder_for_many_steps():
    """Within the limit on bytes: too many codes for its stream, too many small matrices, too wide a matrix."""
    for shape, count in (((1 << 13, 1 << 12), 1), ((4, 4), 3000), ((2, 1 << 17), 1)):
        entries = tuple(TensorEntry(f"w{i:05}", "int", 8, shape) for i in range(count))
        scales = compress("zlib", b"\0\x3c" * (shape[0] * count), 9)
        streams = (Stream("codes", "range-coder", 8), Stream("scale", "zlib", len(scales)))
        packed = forged(Table({}, entries, (GroupCoding("range-coder"),), streams), (bytes(8), scales))
        assert peak_bytes(packed, "of the range coder may hold|must|scale") < 60 << 20


def peak_bytes(packed: bytes, told: str) -> int:
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=told):
            read_container(packed)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


ONE = TensorEntry("w", "int", 2, (1,))


@pytest.mark.parametrize(
    ("packed", "told"),
    [
        (forged(WHOLE, version=3), "version 3"),
        (sealed(HEADER.pack(MAGIC, 2, 4, 0, 0)), "header is damaged"),
        (forged(WHOLE, table=MAX_TABLE_BYTES + 1), "header is damaged"),
        (forged(WHOLE, stored=2**32 - 1), "header is damaged"),
        (forged(WHOLE, table=7), "zlib"),
        (forged(WHOLE)[:-32] + bytes(32), "sha256"),
        (forged(Table({}, (), (), (Stream("codes", "zlib", 2**63),))), "its table states"),
        (forged(Table({}, (), (), ()), (b"more",)), "its table states"),
        (forged(Table({}, (), (), (Stream("codes", "zlib", 1),)), (b"\1",)), "cannot hold"),
        (forged(Table({}, (), (), (Stream("codes", "range-coder", 1),)), (b"\1",)), "no matrix"),
        (forged(Table({}, (), (), (Stream("fp32", "zlib", 1),)), (b"\1",)), "cannot hold"),
        (forged(Table({}, (), (), (Stream("scale", "zlib", 1), Stream("codes", "zlib", 1))), (b"ab",)), "not in order"),
        (forged(Table({}, (), (), (Stream("scale", "zlib", 1), Stream("scale", "zlib", 1))), (b"ab",)), "not in order"),
        (forged(Table({}, (), (), (Stream("scale", "zlib", 1), Stream("scale", "lzma", 1))), (b"ab",)), "not in order"),
        (forged(Table({}, (), (), (Stream("scale", "range-coder", 1),)), (b"a",)), "not in order"),
        (forged(Table({}, (), (), (Stream("scale", "zlib", 0),))), "no bytes"),
        (forged(Table({}, (ONE,), (GroupCoding("range-coder", True),), ())), "transposed"),
        (b"PK\x03\x04" + bytes(100), "Not a mulligan artifact"),
        (b"", "Not a mulligan artifact"),
        (MAGIC, "cut short"),
        (forged_tensor(TensorEntry("w", "int", 2, (3,)), {"codes": b"\1\2\3", "scale": b"\0\x3c"}), "2 bits"),
        (forged_tensor(ONE, {"codes": b"\1", "scale": b"\0\0"}), "scale"),
        (forged_tensor(ONE, {"codes": b"\1", "scale": b"\0\x7e"}), "scale"),
        (forged_tensor(TensorEntry("w", "int", 2, (1,), True), {"codes": b"\1", "fp32": b"\0\0\xc0\x7f"}), "scale"),
        (forged_tensor(TensorEntry("w", "int", 2, (1,), False, 5), {"codes": b"\1", "scale": b"\0\x3c"}), "rotation"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_forged_files_are_refused(packed, told):
    with pytest.raises(ValueError, match=told):
        read_container(packed)


def test_what_could_not_be_read_is_not_packed(monkeypatch):
    with pytest.raises(ValueError, match="Names, shapes and config"):
        pack_container(Quantized({}, {"a": "b" * MAX_TABLE_BYTES}, {}), "zlib", 1)
    long = Factor(torch.ones(2, 1, dtype=torch.int8), torch.ones(1, dtype=torch.float16), 2, 5000)
    plain = int_tensor((2, 2), 4, 0)
    right = Factor(torch.ones(1, 2, dtype=torch.int8), torch.ones(1, dtype=torch.float16), 2, 2)
    corrected = QuantizedTensor(plain.codes, plain.scale, 4, (2, 2), None, LowRank(long, right))
    with pytest.raises(ValueError, match="groups of 5,000"):
        pack_container(Quantized({"w": corrected}, {}, {}), "zlib", 1)
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
    assert_same(read_container(packed).quantized, value)


def test_the_range_coders_example_uses_all_that_its_model_has(monkeypatch):
    plans = []
    plan = code_stream.plan_matrix
    monkeypatch.setattr(code_stream, "plan_matrix", lambda *given: plans.append(plan(*given)) or plans[-1])
    assert range_coded(MODELLED) == PACKED
    assert plans[-1].linear == 1
    assert max(plan.classes_log2 for plan in plans) > 0
    assert max(plan.source for plan in plans) > 0


def test_a_whole_file_has_a_header_and_a_directory():
    assert read_header(PACKED)[0] in CODECS
    assert {group.codec for group in read_directory(PACKED).groups} == {"range-coder"}


def test_the_bytes_of_a_small_artifact_are_pinned():
    """The range coder's stream is the same on every machine; what the other codecs write may differ by their version."""
    table = read_directory(PACKED)
    at = len(PACKED) - SEAL_BYTES - sum(stream.stored_bytes for stream in table.streams)
    stream = PACKED[at : at + table.streams[0].stored_bytes]
    assert (table.streams[0].codec, len(stream)) == ("range-coder", 8104)
    assert hashlib.sha256(stream).hexdigest() == "fc9f8d0f8de42d358a272efdce94e0d12d0270829d0a7ee8cffe7e4c119294fd"


def test_an_artifact_decodes_to_the_same_values_in_a_fresh_process(tmp_path):
    (tmp_path / "artifact.bin").write_bytes(PACKED)
    code = (
        "import hashlib, json, sys; from pathlib import Path; from mulligan.values.artifact import Artifact\n"
        "tensors = Artifact.from_file(Path(sys.argv[1])).unpack().tensors\n"
        "print(json.dumps({n: hashlib.sha256(t.codes.numpy().tobytes() + t.scale.numpy().tobytes()).hexdigest() for n, t in "
        "tensors.items()}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "artifact.bin")], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == {
        name: hashlib.sha256(tensor.codes.numpy().tobytes() + tensor.scale.numpy().tobytes()).hexdigest()
        for name, tensor in MODELLED.tensors.items()
    }
