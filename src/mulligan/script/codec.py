"""The ways in which scripts are packed, each tried on bytes that do not say which: codecs, and bytes written as text."""

import base64
import bz2
import lzma
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Filters = Sequence[dict[str, Any]]
Decode = Callable[[bytes, int], bytes]
"""Bytes and the most that comes out -> what comes out; any error of a library where the bytes are not of the codec."""
MOST_MEMORY = 128 << 20
"""Bytes that a decoder may take for its dictionary."""
RAW_FILTERS: tuple[Filters, ...] = (
    ({"id": lzma.FILTER_LZMA2, "dict_size": 64 << 20},),
    ({"id": lzma.FILTER_LZMA1, "dict_size": 64 << 20},),
)
"""A dictionary that is larger than the packer's reads the same bytes."""


@dataclass(frozen=True)
class Codec:
    """`magic`: what its bytes begin with; empty where anything may be of it."""

    name: str
    magic: tuple[bytes, ...]
    decode: Decode


def _xz(data: bytes, most: int) -> bytes:
    return lzma.LZMADecompressor(memlimit=MOST_MEMORY).decompress(data, most)


def _lzma_raw(filters: Filters) -> Decode:
    bounded = [{**kind, "dict_size": min(kind["dict_size"], 64 << 20)} if "dict_size" in kind else kind for kind in filters]
    return lambda data, most: lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=bounded).decompress(data, most)


def _bz2(data: bytes, most: int) -> bytes:
    return bz2.BZ2Decompressor().decompress(data, most)


def _zlib(bits: int) -> Decode:
    return lambda data, most: zlib.decompressobj(bits).decompress(data, most)


def _brotli(data: bytes, most: int) -> bytes:
    import brotli

    return bytes(brotli.Decompressor().process(data, output_buffer_limit=most))[:most]


def _zstd(data: bytes, most: int) -> bytes:
    import zstandard

    with zstandard.ZstdDecompressor(max_window_size=MOST_MEMORY).stream_reader(data) as reader:
        return bytes(reader.read(most))


MARKED = (
    Codec("xz", (b"\xfd7zXZ",), _xz),
    Codec("lzma", (b"\x5d\0\0", b"\x6d\0\0"), _xz),
    Codec("bzip2", (b"BZh",), _bz2),
    Codec("zlib", (b"\x78", b"\x68", b"\x58", b"\x48", b"\x38", b"\x28"), _zlib(15)),
    Codec("gzip", (b"\x1f\x8b",), _zlib(31)),
    Codec("zstd", (b"\x28\xb5\x2f\xfd",), _zstd),
)
UNMARKED = (Codec("raw deflate", (), _zlib(-15)), Codec("brotli", (), _brotli))


def codecs_for(data: bytes, filters: Sequence[Filters] = ()) -> Iterator[Codec]:
    """Yield the codecs that bytes may be of; `filters`: raw LZMA filters that the script names."""
    yield from (codec for codec in MARKED if data.startswith(codec.magic))
    yield from (Codec("raw lzma", (), _lzma_raw(kinds)) for kinds in (*filters, *RAW_FILTERS))
    yield from UNMARKED


_Z85 = bytes.maketrans(
    b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#",
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~",
)
_TEXTS: tuple[tuple[re.Pattern[bytes], Callable[[bytes], bytes]], ...] = (
    (re.compile(rb"(?:[0-9a-fA-F]{2})+"), lambda data: bytes.fromhex(data.decode("ascii"))),
    (re.compile(rb"[A-Z2-7]+=*"), base64.b32decode),
    (re.compile(rb"[A-Za-z0-9+/]+=*"), base64.b64decode),
    (re.compile(rb"[A-Za-z0-9_-]+=*"), base64.urlsafe_b64decode),
    (re.compile(rb"[0-9A-Za-z!#$%&()*+;<=>?@^_`{|}~-]+"), base64.b85decode),
    (re.compile(rb"<~.*~>", re.DOTALL), lambda data: base64.a85decode(data, adobe=True)),
    (re.compile(rb"[!-uz]+"), base64.a85decode),
    (re.compile(rb"[0-9A-Za-z.:+=^!/*?&<>()\[\]{}@%$#-]+"), lambda data: base64.b85decode(data.translate(_Z85))),
)


def from_text(data: bytes) -> Iterator[bytes]:
    """Yield the bytes that a text may stand for: hexadecimal, base 32, 64 or 85 in each alphabet; white space passed over."""
    data = b"".join(data.split())
    for alphabet, decode in _TEXTS:
        if alphabet.fullmatch(data):
            try:
                yield decode(data)
            except ValueError:
                continue
