"""The first section of the container: the model's config and the table of tensors, as bytes and back.

Reading trusts nothing: every length is checked against the bytes that are there before it is used. A table has exactly
one encoding; any other bytes are refused.
"""

import json
import math
import re
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mulligan.core.canonical import Json, canonical_json
from mulligan.numerics.grid import rows_of

KINDS = ("int", "fp16", "fp32")
BITS: dict[str, Sequence[int]] = {"int": range(2, 9), "fp16": (16,), "fp32": (32,)}
MAX_NAME_BYTES = 0xFFFF
MAX_DIMENSIONS = 8
MAX_ELEMENTS = 1 << 40


@dataclass(frozen=True)
class TensorEntry:
    """One tensor of the table: `kind` is one of KINDS, `bits` one of its BITS. ValueError past a limit."""

    name: str
    kind: str
    bits: int
    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        name = f"{self.name[:80]!r}"
        if len(self.name.encode("utf-8")) > MAX_NAME_BYTES or len(self.shape) > MAX_DIMENSIONS:
            raise ValueError(f"{name}: a name has {MAX_NAME_BYTES} bytes at most, a shape {MAX_DIMENSIONS} dimensions")
        if self.bits not in BITS[self.kind]:
            raise ValueError(f"{name} has {self.bits} bits, being of kind {self.kind}")
        # Zeros set aside: a dimension of 0 must not let the others be of any size.
        if math.prod(max(size, 1) for size in self.shape) > MAX_ELEMENTS:
            raise ValueError(f"{name} has shape {self.shape}: more than {MAX_ELEMENTS:,} elements")

    @property
    def num_elements(self) -> int:
        """Product of the shape."""
        return math.prod(self.shape)

    @property
    def num_scales(self) -> int:
        """Scales of an int tensor: one per row of a matrix, else one; 0 for the other kinds."""
        return rows_of(self.shape)[0] if self.kind == "int" else 0


def grouped(names: Iterable[str]) -> list[str]:
    """Return names in the container's order: those that differ in numbers alone lie together, by those numbers."""

    def role(name: str) -> tuple[str, list[int], str]:
        return re.sub(r"[0-9]+", "*", name), [int(digits) for digits in re.findall(r"[0-9]+", name)], name

    return sorted(names, key=role)


def table_bytes(model: Mapping[str, Json], entries: Iterable[TensorEntry]) -> bytes:
    """Return the table section: the model's canonical JSON, then the entries in the order of `grouped`."""
    text = canonical_json(model).encode("utf-8")
    by_name = {entry.name: entry for entry in entries}
    parts = [struct.pack("<I", len(text)), text, struct.pack("<I", len(by_name))]
    for entry in (by_name[name] for name in grouped(by_name)):
        name = entry.name.encode("utf-8")
        parts += [struct.pack("<H", len(name)), name]
        parts.append(struct.pack("<BBB", KINDS.index(entry.kind), entry.bits, len(entry.shape)))
        parts.append(struct.pack(f"<{len(entry.shape)}Q", *entry.shape))
    return b"".join(parts)


def read_table(data: bytes) -> tuple[dict[str, Json], list[TensorEntry]]:
    """Return model config and entries, in order; ValueError unless `data` is what `table_bytes` writes for them."""
    reader = _Reader(data)
    try:
        text = reader.take(reader.integer(4)).decode("utf-8")
        model = json.loads(text, parse_constant=_refuse_constant)
        entries = [_read_entry(reader) for _ in range(reader.integer(4))]
        if not isinstance(model, dict) or table_bytes(model, entries) != data:
            raise ValueError("it is not in canonical form")
    except (ValueError, RecursionError) as error:
        raise ValueError(f"The tensor table is damaged: {error}.") from None
    return model, entries


def _read_entry(reader: "_Reader") -> TensorEntry:
    name = reader.take(reader.integer(2)).decode("utf-8")
    kind, bits, num_dimensions = reader.integer(1), reader.integer(1), reader.integer(1)
    if kind >= len(KINDS):
        raise ValueError(f"{name[:80]!r} is of kind {kind}")
    return TensorEntry(name, KINDS[kind], bits, tuple(reader.integer(8) for _ in range(num_dimensions)))


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
