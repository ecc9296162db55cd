"""The tensor table: one encoding per table, and nothing else is read."""

import contextlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mulligan.values.tensor_table import BITS, TensorEntry, grouped, read_table, table_bytes
from random_quantized import NAMES, models

ENTRY = TensorEntry("w", "int", 6, (2, 3))
entries = st.sampled_from(sorted(BITS)).flatmap(
    lambda kind: st.builds(
        TensorEntry,
        st.sampled_from(NAMES),
        st.just(kind),
        st.sampled_from(list(BITS[kind])),
        st.lists(st.integers(0, 2**10), max_size=4).map(tuple),
    )
)
tables = st.lists(entries, max_size=5, unique_by=lambda entry: entry.name)


def raw_table(model=b"{}", entry=b"", count=None):
    return struct.pack("<I", len(model)) + model + struct.pack("<I", bool(entry) if count is None else count) + entry


def raw_entry(name=b"w", kind=0, bits=6, shape=(2, 3)):
    return struct.pack("<H", len(name)) + name + struct.pack(f"<BBB{len(shape)}Q", kind, bits, len(shape), *shape)


@settings(max_examples=60, deadline=None)
@given(model=models, table=tables)
def test_a_table_comes_back_in_the_order_of_roles(model, table):
    data = table_bytes(model, table)
    assert data == table_bytes(dict(reversed(model.items())), reversed(table))
    read_model, read_entries = read_table(data)
    assert read_model == model
    assert read_entries == sorted(table, key=lambda entry: grouped([other.name for other in table]).index(entry.name))


def test_tensors_of_one_role_lie_together_in_the_order_of_their_layers():
    names = ["b.10.q", "b.2.k", "b.2.q", "a", "b.10.k"]
    assert grouped(names) == ["a", "b.2.k", "b.10.k", "b.2.q", "b.10.q"]


@settings(max_examples=60, deadline=None)
@given(table=tables, data=st.data())
def test_a_table_cut_anywhere_or_followed_by_anything_is_refused(table, data):
    whole = table_bytes({"a": 1}, table)
    for damaged in (whole[: data.draw(st.integers(0, len(whole) - 1))], whole + b"\0"):
        with pytest.raises(ValueError, match="table is damaged"):
            read_table(damaged)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_changed_byte_gives_another_table_or_a_value_error(data):
    whole = bytearray(table_bytes({"a": 1}, [ENTRY, TensorEntry("v", "fp16", 16, (4,))]))
    whole[data.draw(st.integers(0, len(whole) - 1))] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(ValueError):
        assert table_bytes(*read_table(bytes(whole))) == bytes(whole)


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
        raw_table(entry=raw_entry(kind=1, bits=8)),
        raw_table(entry=raw_entry(kind=2, bits=16)),
        raw_table(entry=raw_entry(name=b"\xff")),
        raw_table(entry=raw_entry(shape=(1,) * 9)),
        raw_table(entry=raw_entry(shape=(2**40, 2))),
        raw_table(entry=raw_entry(shape=(0, 2**63))),
        raw_table(entry=raw_entry() * 2, count=2),
        raw_table(entry=raw_entry(b"b") + raw_entry(b"a"), count=2),
        raw_table(entry=raw_entry(), count=2**32 - 1),
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
