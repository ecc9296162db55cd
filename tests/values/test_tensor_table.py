"""The tensor table: one encoding per table, and nothing else is read."""

import contextlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mulligan.values.tensor_entry import BITS, CorrectionEntry, FactorEntry, TensorEntry, grouped, groups_of
from mulligan.values.tensor_table import CODEC_NAMES, SECTIONS, GroupCoding, Stream, Table, read_table, table_bytes
from random_quantized import NAMES, models

factors = st.builds(FactorEntry, st.integers(2, 8), st.integers(1, 4096))
corrections = st.none() | st.builds(CorrectionEntry, st.integers(0, 9), factors, factors)
dimensions = st.integers(0, 2**10)


@st.composite
def entries(draw):
    kind, name = draw(st.sampled_from(sorted(BITS))), draw(st.sampled_from(NAMES))
    bits = draw(st.sampled_from(list(BITS[kind])))
    if kind != "int":
        return TensorEntry(name, kind, bits, draw(st.lists(dimensions, max_size=4).map(tuple)))
    shape = draw(st.tuples(dimensions, dimensions))
    seed = draw(st.none() | st.integers(0, 2**32 - 1))
    return TensorEntry(name, kind, bits, shape, draw(st.booleans()), seed, draw(corrections))


@st.composite
def tables(draw):
    found = {entry.name: entry for entry in draw(st.lists(entries(), max_size=5))}
    ordered = tuple(found[name] for name in grouped(found))
    codings = st.builds(GroupCoding, st.sampled_from(CODEC_NAMES), st.booleans())
    groups = tuple(draw(codings) for _ in groups_of(ordered))
    streams = st.builds(Stream, st.sampled_from(SECTIONS), st.sampled_from(CODEC_NAMES), st.integers(0, 2**64 - 1))
    return Table(draw(models), ordered, groups, tuple(draw(st.lists(streams, max_size=3))))


def raw_table(model=b"{}", entry=b"", count=None, groups=None, streams=b"\0"):
    number = bool(entry) if count is None else count
    groups = b"\0" * number if groups is None else groups
    return struct.pack("<I", len(model)) + model + struct.pack("<I", number) + entry + groups + streams


def raw_entry(name=b"w", kind=0, bits=6, shape=(2, 3), flags=b"\0"):
    head = struct.pack("<H", len(name)) + name + struct.pack(f"<BBB{len(shape)}Q", kind, bits, len(shape), *shape)
    return head + (flags if kind == 0 else b"")


def corrected(rank=1, bits=4, group=1, shape=(2, 3)):
    return raw_entry(shape=shape, flags=b"\4" + struct.pack("<QBQBQ", rank, bits, group, 4, 1))


@settings(max_examples=100, deadline=None)
@given(table=tables())
def test_a_table_comes_back(table):
    data = table_bytes(table)
    assert read_table(data) == table
    assert data == table_bytes(Table(dict(reversed(table.model.items())), table.entries, table.groups, table.streams))


def test_the_raw_tables_of_this_file_are_well_formed():
    assert read_table(raw_table(entry=raw_entry())).entries == (TensorEntry("w", "int", 6, (2, 3)),)
    entry = read_table(raw_table(entry=corrected(), groups=b"\0\1\x82")).entries[0]
    assert entry.correction == CorrectionEntry(1, FactorEntry(4, 1), FactorEntry(4, 1))


def test_tensors_of_one_role_lie_together_in_the_order_of_their_layers():
    names = ["b.10.q", "b.2.k", "b.2.q", "a", "b.10.k"]
    assert grouped(names) == ["a", "b.2.k", "b.10.k", "b.2.q", "b.10.q"]


def test_a_group_is_a_role_or_a_side_of_its_corrections():
    correction = CorrectionEntry(1, FactorEntry(4, 1), FactorEntry(4, 1))
    found = groups_of(
        [
            TensorEntry("gain", "fp32", 32, (3,)),
            TensorEntry("b.0.q", "int", 6, (2, 3), correction=correction),
            TensorEntry("b.1.q", "int", 6, (2, 3)),
        ]
    )
    assert found == {
        "b.*.q": [("b.0.q", ""), ("b.1.q", "")],
        "b.*.q left": [("b.0.q", "left")],
        "b.*.q right": [("b.0.q", "right")],
    }


@settings(max_examples=60, deadline=None)
@given(table=tables(), data=st.data())
def test_a_table_cut_anywhere_or_followed_by_anything_is_refused(table, data):
    whole = table_bytes(table)
    for damaged in (whole[: data.draw(st.integers(0, len(whole) - 1))], whole + b"\0"):
        with pytest.raises(ValueError, match="table is damaged"):
            read_table(damaged)


@settings(max_examples=200, deadline=None)
@given(table=tables(), data=st.data())
def test_a_changed_byte_gives_another_table_or_a_value_error(table, data):
    whole = bytearray(table_bytes(table))
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(ValueError):
        assert table_bytes(read_table(bytes(whole))) == bytes(whole)


@pytest.mark.parametrize(
    "raw",
    [
        raw_table(b"[" * 100_000),
        raw_table(b'{"a":' * 50_000),
        raw_table(b"[]"),
        raw_table(b'{"a":NaN}'),
        raw_table(b'{"a":1e999}'),
        raw_table(b'{"a":1,"a":2}'),
        raw_table(b'{"a": 1}'),
        raw_table(b'{"b":1,"a":1}'),
        raw_table(b'{"a":"\\ud800"}'),
        raw_table(b'{"a":' + b"9" * 10_000 + b"}"),
        raw_table(b"\xff"),
        raw_table(entry=raw_entry(kind=3)),
        raw_table(entry=raw_entry(bits=1)),
        raw_table(entry=raw_entry(bits=9)),
        raw_table(entry=raw_entry(kind=1, bits=8), groups=b""),
        raw_table(entry=raw_entry(kind=2, bits=16), groups=b""),
        raw_table(entry=raw_entry(name=b"\xff")),
        raw_table(entry=raw_entry(shape=(1,) * 9)),
        raw_table(entry=raw_entry(shape=(2**40, 2))),
        raw_table(entry=raw_entry(shape=(0, 2**63))),
        raw_table(entry=raw_entry() * 2, count=2, groups=b"\0"),
        raw_table(entry=raw_entry(b"b") + raw_entry(b"a"), count=2),
        raw_table(entry=raw_entry(), count=2**32 - 1, groups=b"\0"),
        raw_table(entry=raw_entry(flags=b"\x08")),
        raw_table(entry=raw_entry(), groups=b"\5"),
        raw_table(entry=raw_entry(), streams=b"\1\4\0" + bytes(8)),
        raw_table(entry=raw_entry(), streams=b"\1\0\5" + bytes(8)),
        raw_table(entry=corrected(bits=9), groups=bytes(3)),
        raw_table(entry=corrected(group=0), groups=bytes(3)),
        raw_table(entry=corrected(group=4097), groups=bytes(3)),
        raw_table(entry=corrected(rank=2**40), groups=bytes(3)),
        raw_table(entry=corrected(shape=(6,)), groups=bytes(3)),
    ],
    ids=lambda raw: repr(raw[4:24]),
)
def test_malformed_tables_are_refused(raw):
    with pytest.raises(ValueError, match="table is damaged"):
        read_table(raw)


def test_what_could_not_be_read_is_not_written():
    for name, bits, shape in (("n" * 70_000, 6, ()), ("w", 6, (1,) * 9), ("w", 9, ()), ("w", 6, (0, 2**63))):
        with pytest.raises(ValueError, match=r"'n|'w'"):
            TensorEntry(name, "int", bits, shape)
