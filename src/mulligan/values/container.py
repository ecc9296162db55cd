"""The binary container of packed weights, as in docs/container-format.md: header, five sections, sha256.

Writing is deterministic. Reading trusts nothing: the seal, every length and the unpacked size are checked before they
are used, and anything wrong is a ValueError. Nothing in a file can be executed.
"""

import hashlib
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mulligan.numerics.grid import rows_of
from mulligan.values.codec import compress, decompress, shuffle_bytes, unshuffle_bytes
from mulligan.values.quantized import FLOAT_KINDS, Quantized, QuantizedTensor
from mulligan.values.tensor_table import TensorEntry, grouped, read_table, table_bytes

MAGIC = b"MULLIGAN"
VERSION = 1
CODEC_NAMES = ("zlib", "lzma", "zstd", "brotli")
HEADER = struct.Struct("<8sHBBII4Q")
SEAL_BYTES = 32
MAX_TABLE_BYTES = 4 << 20
DATA_SECTIONS: dict[str, "np.dtype[Any]"] = {
    "codes": np.dtype("<i1"),
    "scale": np.dtype("<f2"),
    "fp16": np.dtype("<f2"),
    "fp32": np.dtype("<f4"),
}
"""The sections after the table; each is byte-shuffled by the width of its elements, which leaves codes as they are."""


@dataclass(frozen=True)
class Header:
    """What the first bytes state: the codec, the unpacked size of the table, the stored size of each section."""

    codec: str
    table_num_bytes: int
    stored_bytes: dict[str, int]


def unpacked_limit_bytes(file_bytes: int) -> int:
    """Return how many bytes a file of that size may unpack to: 256 MiB, and 64 times its own size.

    Real codes come near 2 to 4 bits each, so 64 is far away; the constant leaves room for tensors of zeros.
    """
    return (256 << 20) + 64 * file_bytes


def pack_container(quantized: Quantized, codec: str, level: int) -> bytes:
    """Return the container of `quantized`; ValueError where `read_container` would refuse it."""
    entries = [_entry(name, quantized.tensors[name]) for name in grouped(quantized.tensors)]
    table = table_bytes(quantized.model, entries)
    sections = [compress(codec, table, level)]
    for section, dtype in DATA_SECTIONS.items():
        parts = [_part(quantized.tensors[entry.name], section) for entry in entries]
        data = b"".join(part.astype(dtype, copy=False).tobytes() for part in parts if part is not None)
        sections.append(compress(codec, shuffle_bytes(data, dtype.itemsize), level))
    stored = [len(section) for section in sections]
    header = HEADER.pack(MAGIC, VERSION, CODEC_NAMES.index(codec), 0, len(table), *stored)
    body = header + b"".join(sections)
    if len(table) > MAX_TABLE_BYTES:
        raise ValueError(f"Names, shapes and config take {len(table):,} bytes; a container holds {MAX_TABLE_BYTES:,}.")
    _check_unpacked_size(entries, len(body) + SEAL_BYTES)
    return body + hashlib.sha256(body).digest()


def read_header(data: bytes) -> Header:
    """Return the header of a whole container; ValueError if it is none, is cut short, or its sha256 is another."""
    if data[: len(MAGIC)] != MAGIC:
        raise ValueError(f"Not a mulligan artifact: it begins with {data[:8]!r}, not with {MAGIC!r}.")
    if len(data) < HEADER.size + SEAL_BYTES:
        least = HEADER.size + SEAL_BYTES
        raise ValueError(f"The artifact is cut short: {len(data)} bytes; header and sha256 alone take {least}.")
    _, version, codec, reserved, table_num_bytes, *stored = HEADER.unpack_from(data)
    if version != VERSION:
        raise ValueError(f"The artifact has container version {version}; this program reads version {VERSION}.")
    stated = HEADER.size + sum(stored) + SEAL_BYTES
    if stated != len(data):
        raise ValueError(f"The artifact is {len(data):,} bytes, its header states {stated:,}: cut short or damaged.")
    if hashlib.sha256(memoryview(data)[:-SEAL_BYTES]).digest() != data[-SEAL_BYTES:]:
        raise ValueError("The artifact's sha256 is not that of its bytes: it is damaged. Fetch or pack it again.")
    if codec >= len(CODEC_NAMES) or reserved != 0 or table_num_bytes > MAX_TABLE_BYTES:
        raise ValueError(
            f"The artifact's header is damaged: codec {codec}, reserved {reserved}, table {table_num_bytes:,} bytes."
        )
    return Header(CODEC_NAMES[codec], table_num_bytes, dict(zip(("table", *DATA_SECTIONS), stored, strict=True)))


def read_container(data: bytes) -> Quantized:
    """Return what `pack_container` was given, bit for bit, with an empty record; ValueError for anything else."""
    header = read_header(data)
    stored, at = {}, HEADER.size
    for section, size in header.stored_bytes.items():
        stored[section] = data[at : at + size]
        at += size
    model, entries = read_table(decompress(header.codec, stored["table"], header.table_num_bytes))
    sizes = _check_unpacked_size(entries, len(data))
    arrays = {}
    for section, dtype in DATA_SECTIONS.items():
        shuffled = decompress(header.codec, stored[section], sizes[section])
        # Into native order and memory of its own, as torch asks for.
        array = np.frombuffer(unshuffle_bytes(shuffled, dtype.itemsize), dtype=dtype)
        arrays[section] = array.astype(dtype.newbyteorder("="))
    return Quantized(_tensors(entries, arrays), model, {})


def _check_unpacked_size(entries: Sequence[TensorEntry], file_bytes: int) -> dict[str, int]:
    """Return the unpacked bytes of each data section; ValueError where all of them together pass the limit."""
    sizes = {
        "codes": sum(entry.num_elements for entry in entries if entry.kind == "int"),
        "scale": 2 * sum(entry.num_scales for entry in entries),
        "fp16": 2 * sum(entry.num_elements for entry in entries if entry.kind == "fp16"),
        "fp32": 4 * sum(entry.num_elements for entry in entries if entry.kind == "fp32"),
    }
    if sum(sizes.values()) > unpacked_limit_bytes(file_bytes):
        raise ValueError(
            f"A container of {file_bytes:,} bytes may unpack to {unpacked_limit_bytes(file_bytes):,} bytes; "
            f"this one states {sum(sizes.values()):,}."
        )
    return sizes


def _entry(name: str, tensor: QuantizedTensor | torch.Tensor) -> TensorEntry:
    if isinstance(tensor, QuantizedTensor):
        return TensorEntry(name, "int", tensor.bits, tensor.shape)
    return TensorEntry(name, FLOAT_KINDS[tensor.dtype], 8 * tensor.element_size(), tuple(tensor.shape))


def _part(tensor: QuantizedTensor | torch.Tensor, section: str) -> "np.ndarray[Any, Any] | None":
    """Return what `tensor` adds to a section, or None."""
    if isinstance(tensor, QuantizedTensor):
        part = {"codes": tensor.codes, "scale": tensor.scale}.get(section)
    else:
        part = tensor if FLOAT_KINDS[tensor.dtype] == section else None
    return None if part is None else part.detach().cpu().numpy()


def _tensors(
    entries: Iterable[TensorEntry], arrays: Mapping[str, "np.ndarray[Any, Any]"]
) -> dict[str, QuantizedTensor | torch.Tensor]:
    """Cut the sections' arrays into tensors; they are exactly as long as the entries ask for."""
    taken = dict.fromkeys(arrays, 0)

    def take(section: str, count: int, shape: tuple[int, ...]) -> torch.Tensor:
        taken[section] += count
        return torch.from_numpy(arrays[section][taken[section] - count : taken[section]]).reshape(shape)

    tensors: dict[str, QuantizedTensor | torch.Tensor] = {}
    for entry in entries:
        if entry.kind == "int":
            codes = take("codes", entry.num_elements, rows_of(entry.shape))
            scale = take("scale", entry.num_scales, (entry.num_scales,))
            tensors[entry.name] = QuantizedTensor(codes, scale, entry.bits, entry.shape)
        else:
            tensors[entry.name] = take(entry.kind, entry.num_elements, entry.shape)
    return tensors
