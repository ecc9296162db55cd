"""The first section of the container: the model's config, the tensors, and how each part is coded, as bytes and back.

Reading trusts nothing: every length is checked against the bytes that are there before it is used. A table has exactly
one encoding; any other bytes are refused.
"""

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass

from mulligan.core.canonical import Json, canonical_json
from mulligan.values.tensor_entry import KINDS, CorrectionEntry, FactorEntry, TensorEntry, grouped, groups_of

SECTIONS = ("codes", "scale", "fp16", "fp32")
RANGE_CODER = "range-coder"
CODEC_NAMES = ("zlib", "lzma", "zstd", "brotli", RANGE_CODER)
ONE_SCALE, ROTATED, CORRECTED = 1, 2, 4
"""The flags of an int tensor."""


@dataclass(frozen=True)
class GroupCoding:
    """How the codes of one group are coded: by which codec, and whether column after column."""

    codec: str
    transposed: bool = False


@dataclass(frozen=True)
class Stream:
    """One stream of the file: the section that it belongs to, its codec, its size as stored."""

    section: str
    codec: str
    stored_bytes: int


@dataclass(frozen=True)
class Table:
    """Everything that stands before the data: `groups` is how the codes of each group are coded, in order."""

    model: dict[str, Json]
    entries: tuple[TensorEntry, ...]
    groups: tuple[GroupCoding, ...]
    streams: tuple[Stream, ...]

    @property
    def num_bytes(self) -> dict[str, int]:
        """The bytes of each section before compression."""
        ints = [entry for entry in self.entries if entry.kind == "int"]
        factors = [(factor, rows * cols) for entry in ints for factor, (rows, cols) in entry.factors.values()]
        num_scales = sum(entry.num_scales for entry in ints) + sum(-(-size // factor.group_size) for factor, size in factors)
        num_floats = {kind: sum(entry.num_elements for entry in self.entries if entry.kind == kind) for kind in KINDS}
        return {
            "codes": num_floats["int"] + sum(size for _, size in factors),
            "scale": 2 * num_scales,
            "fp16": 2 * num_floats["fp16"],
            "fp32": 4 * (num_floats["fp32"] + sum(entry.one_scale for entry in ints)),
        }


def table_bytes(table: Table) -> bytes:
    """Return the table section; its entries must be in the order of `grouped`."""
    text = canonical_json(table.model).encode("utf-8")
    parts = [struct.pack("<I", len(text)), text, struct.pack("<I", len(table.entries))]
    parts += [_entry_bytes(entry) for entry in table.entries]
    parts += [bytes([CODEC_NAMES.index(group.codec) | group.transposed << 7]) for group in table.groups]
    parts += [bytes([len(table.streams)])]
    parts += [
        struct.pack("<BBQ", SECTIONS.index(stream.section), CODEC_NAMES.index(stream.codec), stream.stored_bytes)
        for stream in table.streams
    ]
    return b"".join(parts)


def _entry_bytes(entry: TensorEntry) -> bytes:
    name = entry.name.encode("utf-8")
    parts = [struct.pack("<H", len(name)), name]
    parts.append(struct.pack("<BBB", KINDS.index(entry.kind), entry.bits, len(entry.shape)))
    parts.append(struct.pack(f"<{len(entry.shape)}Q", *entry.shape))
    if entry.kind == "int":
        rotated, correction = entry.rotation_seed is not None, entry.correction
        parts.append(bytes([ONE_SCALE * entry.one_scale | ROTATED * rotated | CORRECTED * (correction is not None)]))
        parts += [struct.pack("<I", entry.rotation_seed)] if rotated else []
        if correction:
            sides = [struct.pack("<BQ", side.bits, side.group_size) for side in (correction.left, correction.right)]
            parts += [struct.pack("<Q", correction.rank), *sides]
    return b"".join(parts)


def read_table(data: bytes) -> Table:
    """Return the table; ValueError unless `data` is what `table_bytes` writes for it."""
    reader = _Reader(data)
    try:
        text = reader.take(reader.integer(4)).decode("utf-8")
        model = json.loads(text, parse_constant=_refuse_constant)
        entries = tuple(_read_entry(reader) for _ in range(reader.integer(4)))
        groups = tuple(_read_group(reader.integer(1)) for _ in groups_of(entries))
        streams = tuple(_read_stream(reader) for _ in range(reader.integer(1)))
        table = Table(model, entries, groups, streams)
        names = [entry.name for entry in entries]
        if not isinstance(model, dict) or grouped(set(names)) != names or table_bytes(table) != data:
            raise ValueError("it is not in canonical form")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"The tensor table is damaged: {error}.") from None
    return table


def _read_entry(reader: "_Reader") -> TensorEntry:
    name = reader.take(reader.integer(2)).decode("utf-8")
    kind, bits, num_dimensions = _one_of(KINDS, reader.integer(1)), reader.integer(1), reader.integer(1)
    shape = tuple(reader.integer(8) for _ in range(num_dimensions))
    flags = reader.integer(1) if kind == "int" else 0
    seed = reader.integer(4) if flags & ROTATED else None
    correction = None
    if flags & CORRECTED:
        rank = reader.integer(8)
        left, right = (FactorEntry(reader.integer(1), reader.integer(8)) for _ in range(2))
        correction = CorrectionEntry(rank, left, right)
    return TensorEntry(name, kind, bits, shape, bool(flags & ONE_SCALE), seed, correction)


def _read_group(coding: int) -> GroupCoding:
    return GroupCoding(_one_of(CODEC_NAMES, coding & 0x7F), bool(coding & 0x80))


def _read_stream(reader: "_Reader") -> Stream:
    return Stream(_one_of(SECTIONS, reader.integer(1)), _one_of(CODEC_NAMES, reader.integer(1)), reader.integer(8))


def _one_of(names: Sequence[str], number: int) -> str:
    if number >= len(names):
        raise ValueError(f"{number} is none of {len(names)} known kinds, codecs or sections")
    return names[number]


def _refuse_constant(text: str) -> Json:
    raise ValueError(f"{text} is no JSON number")


class _Reader:
    """Takes bytes from the front; ValueError past the end."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, num_bytes: int) -> bytes:
        if num_bytes > len(self._data) - self._at:
            raise ValueError(f"{num_bytes:,} bytes are wanted at {self._at:,} of {len(self._data):,}")
        self._at += num_bytes
        return self._data[self._at - num_bytes : self._at]

    def integer(self, num_bytes: int) -> int:
        return int.from_bytes(self.take(num_bytes), "little")
