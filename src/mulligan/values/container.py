"""Writing the container of packed weights, as in docs/container-format.md: header, table, streams, sha256.

Writing is deterministic: equal contents, coded alike, give equal bytes. `container_reader` reads.
"""

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mulligan.core.canonical import Json
from mulligan.values.code_stream import CodeMatrix, encode_codes
from mulligan.values.codec import compress, shuffle_bytes
from mulligan.values.quantized import Quantized
from mulligan.values.tensor_entry import TensorEntry, grouped
from mulligan.values.tensor_parts import Key, code_matrices, codes_of, entry_of, float_parts, floats_of
from mulligan.values.tensor_table import CODEC_NAMES, RANGE_CODER, GroupCoding, Stream, Table, table_bytes

MAGIC = b"MULLIGAN"
VERSION = 2
HEADER = struct.Struct("<8sHBII")
SEAL_BYTES = 32
MAX_TABLE_BYTES = 4 << 20
FLOAT_SECTIONS: dict[str, "np.dtype[Any]"] = {"scale": np.dtype("<f2"), "fp16": np.dtype("<f2"), "fp32": np.dtype("<f4")}
"""The sections of floats; each is byte-shuffled by the width of its elements."""


@dataclass(frozen=True)
class Coding:
    """How each group of codes is coded; the codec of the table and of each section of floats; the codecs' levels."""

    groups: Mapping[str, GroupCoding]
    sections: Mapping[str, str]
    levels: Mapping[str, int]


@dataclass(frozen=True)
class Contents:
    """What a container holds before compression: codes by group, and the shuffled bytes of each section of floats."""

    model: dict[str, Json]
    entries: tuple[TensorEntry, ...]
    groups: dict[str, dict[Key, CodeMatrix]]
    codes: dict[Key, NDArray[np.int8]]
    sections: dict[str, bytes]


def contents_of(quantized: Quantized) -> Contents:
    """Return the parts of `quantized` in the container's order; ValueError where it cannot hold them."""
    tensors = quantized.tensors
    entries = tuple(entry_of(name, tensors[name]) for name in grouped(tensors))
    parts = list(float_parts(entries))
    floats = {part.key: floats_of(part, tensors[part.key[0]]) for part in parts}
    sections = {}
    for section, dtype in FLOAT_SECTIONS.items():
        data = b"".join(floats[part.key].astype(dtype, copy=False).tobytes() for part in parts if part.section == section)
        sections[section] = shuffle_bytes(data, dtype.itemsize)
    groups = code_matrices(entries, floats)
    codes = {
        key: codes_of(key, tensors[key[0]]).reshape(matrix.shape) for group in groups.values() for key, matrix in group.items()
    }
    return Contents(quantized.model, entries, groups, codes, sections)


def pack_container(quantized: Quantized, codec: str, level: int) -> bytes:
    """Return the container of `quantized`, all of it by one codec; ValueError where `read_container` would refuse it."""
    contents = contents_of(quantized)
    sections = dict.fromkeys(("table", *FLOAT_SECTIONS), codec)
    return write_container(contents, Coding(dict.fromkeys(contents.groups, GroupCoding(codec)), sections, {codec: level}))


def write_container(contents: Contents, coding: Coding) -> bytes:
    """Return the container of `contents`; ValueError where `read_container` would refuse it."""
    data = [("codes", codec, _compressed_codes(contents, coding, codec)) for codec in CODEC_NAMES]
    for section, shuffled in contents.sections.items():
        codec = coding.sections[section]
        data.append((section, codec, compress(codec, shuffled, coding.levels[codec])))
    data = [item for item in data if item[2]]
    streams = tuple(Stream(section, codec, len(stored)) for section, codec, stored in data)
    groups = tuple(coding.groups[group] for group in contents.groups)
    table = Table(contents.model, contents.entries, groups, streams)
    raw = table_bytes(table)
    codec = coding.sections["table"]
    stored_table = compress(codec, raw, coding.levels[codec])
    header = HEADER.pack(MAGIC, VERSION, CODEC_NAMES.index(codec), len(raw), len(stored_table))
    body = b"".join([header, stored_table, *(stored for _, _, stored in data)])
    if len(raw) > MAX_TABLE_BYTES:
        raise ValueError(f"Names, shapes and config take {len(raw):,} bytes; a container holds {MAX_TABLE_BYTES:,}.")
    check_unpacked_size(table, len(body) + SEAL_BYTES)
    return body + hashlib.sha256(body).digest()


def _compressed_codes(contents: Contents, coding: Coding, codec: str) -> bytes:
    """Return the stream of all groups that `codec` codes."""
    chosen = {group: coded for group, coded in coding.groups.items() if coded.codec == codec}
    if not chosen:
        return b""
    if codec == RANGE_CODER:
        matrices = {key: matrix for group in chosen for key, matrix in contents.groups[group].items()}
        return encode_codes(list(matrices.values()), [contents.codes[key] for key in matrices])
    data = b"".join(group_bytes(contents, group, coded) for group, coded in chosen.items())
    return compress(codec, data, coding.levels[codec])


def group_bytes(contents: Contents, group: str, coding: GroupCoding) -> bytes:
    """Return the codes of a group, one a byte, in the order that a codec of bytes gets them."""
    codes = [contents.codes[key] for key in contents.groups[group]]
    return b"".join((matrix.T if coding.transposed else matrix).tobytes() for matrix in codes)


def check_unpacked_size(table: Table, file_bytes: int) -> None:
    """Raise ValueError where the sections together are larger than a file of that size may hold."""
    num_bytes = sum(table.num_bytes.values())
    if num_bytes > unpacked_limit_bytes(file_bytes):
        raise ValueError(
            f"A container of {file_bytes:,} bytes may unpack to {unpacked_limit_bytes(file_bytes):,} bytes; "
            f"this one states {num_bytes:,}."
        )


def unpacked_limit_bytes(file_bytes: int) -> int:
    """Return how many bytes a file of that size may unpack to: 256 MiB, and 64 times its own size.

    Real codes come near 2 to 4 bits each, so 64 is far away; the constant leaves room for tensors of zeros.
    """
    return (256 << 20) + 64 * file_bytes
