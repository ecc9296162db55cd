"""Reading the container of docs/container-format.md.

Reading trusts nothing: the seal, every length and the unpacked size are checked before they are used, and anything wrong
is a ValueError. Nothing in a file can be executed.
"""

import hashlib
import math
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mulligan.values.code_stream import CodeMatrix, decode_codes
from mulligan.values.codec import decompress, unshuffle_bytes
from mulligan.values.container import (
    FLOAT_SECTIONS,
    HEADER,
    MAGIC,
    MAX_TABLE_BYTES,
    SEAL_BYTES,
    VERSION,
    check_unpacked_size,
)
from mulligan.values.quantized import Quantized
from mulligan.values.tensor_parts import Key, assemble, code_matrices, float_parts
from mulligan.values.tensor_table import CODEC_NAMES, RANGE_CODER, SECTIONS, Table, read_table


def read_header(data: bytes) -> tuple[str, int, int]:
    """Return the table's codec and its sizes, unpacked and stored; ValueError for what is no whole, undamaged container."""
    if data[: len(MAGIC)] != MAGIC:
        raise ValueError(f"Not a mulligan artifact: it begins with {data[:8]!r}, not with {MAGIC!r}.")
    least = HEADER.size + SEAL_BYTES
    if len(data) < least:
        raise ValueError(f"The artifact is cut short: {len(data)} bytes; header and sha256 alone take {least}.")
    _, version, codec, table_num_bytes, stored = HEADER.unpack_from(data)
    if version != VERSION:
        raise ValueError(f"The artifact has container version {version}; this program reads version {VERSION}. Pack it again.")
    if hashlib.sha256(memoryview(data)[:-SEAL_BYTES]).digest() != data[-SEAL_BYTES:]:
        raise ValueError("The artifact's sha256 is not that of its bytes: it is cut short or damaged. Fetch or pack it again.")
    if codec >= CODEC_NAMES.index(RANGE_CODER) or table_num_bytes > MAX_TABLE_BYTES or stored > len(data) - least:
        raise ValueError(
            f"The artifact's header is damaged: codec {codec}, a table of {table_num_bytes:,} bytes in {stored:,}."
        )
    return CODEC_NAMES[codec], table_num_bytes, stored


def read_directory(data: bytes) -> Table:
    """Return the table of a whole container; ValueError unless its streams are those of its tensors and fill the file."""
    codec, table_num_bytes, stored = read_header(data)
    table = read_table(decompress(codec, data[HEADER.size : HEADER.size + stored], table_num_bytes))
    stated = HEADER.size + stored + sum(stream.stored_bytes for stream in table.streams) + SEAL_BYTES
    if stated != len(data):
        raise ValueError(f"The artifact is {len(data):,} bytes, its table states {stated:,}: cut short or damaged.")
    check_unpacked_size(table, len(data))
    if any(group.transposed and group.codec == RANGE_CODER for group in table.groups):
        raise ValueError("The artifact states a transposed group of the range-coder, which has none.")
    places = [(SECTIONS.index(stream.section), CODEC_NAMES.index(stream.codec)) for stream in table.streams]
    floats = [stream for stream in table.streams if stream.section != "codes"]
    twice = len(floats) > len({stream.section for stream in floats})
    if places != sorted(set(places)) or twice or any(stream.codec == RANGE_CODER for stream in floats):
        raise ValueError("The artifact's streams are not in order, or one of them is there twice.")
    if not all(stream.stored_bytes for stream in table.streams):
        raise ValueError("The artifact states a stream of no bytes.")
    return table


@dataclass(frozen=True)
class Reading:
    """What a container held: the weights, and the bits of each matrix of codes that the range coder coded."""

    quantized: Quantized
    table: Table
    bits: dict[Key, float]


def read_container(data: bytes) -> Reading:
    """Return what was packed, bit for bit, with an empty record; ValueError for anything else."""
    table = read_directory(data)
    stored, at = {}, len(data) - SEAL_BYTES - sum(stream.stored_bytes for stream in table.streams)
    for stream in table.streams:
        stored[stream.section, stream.codec] = data[at : at + stream.stored_bytes]
        at += stream.stored_bytes
    floats = _floats(table, stored)
    groups = code_matrices(table.entries, floats)
    codes: dict[Key, NDArray[np.int8]] = {}
    bits: dict[Key, float] = {}
    for codec in CODEC_NAMES:
        chosen = [(groups[group], coding) for group, coding in zip(groups, table.groups, strict=True) if coding.codec == codec]
        matrices = {key: matrix for group, _ in chosen for key, matrix in group.items()}
        packed = stored.pop(("codes", codec), b"")
        if codec == RANGE_CODER:
            found, lengths = decode_codes(packed, list(matrices.values()))
            codes |= zip(matrices, found, strict=True)
            bits |= zip(matrices, lengths, strict=True)
        else:
            unpacked = decompress(codec, packed, sum(matrix.num_codes for matrix in matrices.values()))
            codes |= _cut(unpacked, matrices, {key for group, coding in chosen if coding.transposed for key in group})
    if stored:
        raise ValueError(f"The artifact holds streams that belong to no tensor: {sorted(stored)}.")
    return Reading(Quantized(assemble(table.entries, floats, codes), table.model, {}), table, bits)


def _floats(table: Table, stored: dict[tuple[str, str], bytes]) -> dict[Key, NDArray[Any]]:
    """Take the sections of floats out of `stored`; return them in native order and memory of their own, as torch asks for."""
    arrays, taken = {}, dict.fromkeys(FLOAT_SECTIONS, 0)
    for section, dtype in FLOAT_SECTIONS.items():
        codec = next((codec for kind, codec in stored if kind == section), CODEC_NAMES[0])
        shuffled = decompress(codec, stored.pop((section, codec), b""), table.num_bytes[section])
        array = np.frombuffer(unshuffle_bytes(shuffled, dtype.itemsize), dtype=dtype)
        arrays[section] = array.astype(dtype.newbyteorder("="))
    floats = {}
    for part in float_parts(table.entries):
        start = taken[part.section]
        taken[part.section] += math.prod(part.shape)
        floats[part.key] = arrays[part.section][start : taken[part.section]].reshape(part.shape)
    return floats


def _cut(data: bytes, matrices: Mapping[Key, CodeMatrix], transposed: Container[Key]) -> dict[Key, NDArray[np.int8]]:
    """Cut bytes into matrices of codes; they are exactly as long as those ask for."""
    array = np.frombuffer(data, dtype=np.int8).copy()
    found, at = {}, 0
    for key, matrix in matrices.items():
        codes = array[at : at + matrix.num_codes]
        at += matrix.num_codes
        by_columns = key in transposed
        found[key] = np.ascontiguousarray(codes.reshape(matrix.shape[::-1]).T) if by_columns else codes.reshape(matrix.shape)
    return found
