"""Lossless codecs by name, and the byte shuffle. Torch-free.

Decompression is told how many bytes must come out. It stops as soon as there would be more, so a bomb costs little
more memory than the size that the caller has checked; anything but exactly that size is a ValueError.
"""

import lzma
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

LZMA_DICTIONARY_BITS = (18, 20, 21, 22, 22, 23, 23, 24, 25, 26)
"""Dictionary size of the presets 0-9, as powers of two (xz manual)."""
ZSTD_WINDOW_BYTES = 1 << 27
"""The window of the highest level."""
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Codec:
    """`compress(data, level)`; `decompress(data, num_bytes)` stops soon after num_bytes; raises as its library does."""

    compress: Callable[[bytes, int], bytes]
    decompress: Callable[[bytes, int], bytes]


def compress(codec: str, data: bytes, level: int) -> bytes:
    """Return `data` compressed by the codec of that name at its `level`; nothing stays nothing."""
    return CODECS[codec].compress(data, level) if data else b""


def decompress(codec: str, data: bytes, num_bytes: int) -> bytes:
    """Return the `num_bytes` bytes that `data` stands for; ValueError if it is damaged or holds more or fewer."""
    if num_bytes == 0 or not data:
        if num_bytes or data:
            raise ValueError(f"{len(data):,} {codec} bytes cannot hold {num_bytes:,} bytes.")
        return b""
    try:
        result = CODECS[codec].decompress(data, num_bytes)
    except Exception as error:  # each library has errors of its own, zstandard's and brotli's lazily imported
        raise ValueError(f"The {codec} data is damaged: {error}.") from None
    if len(result) != num_bytes:
        more = "more" if len(result) > num_bytes else f"{len(result):,}"
        raise ValueError(f"The {codec} data holds {more} bytes where {num_bytes:,} are declared.")
    return result


def _compress_zlib(data: bytes, level: int) -> bytes:
    return zlib.compress(data, level)


def _decompress_zlib(data: bytes, num_bytes: int) -> bytes:
    decoder = zlib.decompressobj()
    result = decoder.decompress(data, num_bytes + 1)
    _require_end(decoder.eof or len(result) > num_bytes, decoder.unused_data)
    return result


def _compress_lzma(data: bytes, level: int) -> bytes:
    # A dictionary no longer than the data: the same bytes but for two, at a fraction of the encoder's memory.
    preset = level & ~lzma.PRESET_EXTREME
    dictionary_bytes = max(4096, min(1 << LZMA_DICTIONARY_BITS[preset], len(data)))
    filters = [{"id": lzma.FILTER_LZMA2, "preset": level, "dict_size": dictionary_bytes}]
    return lzma.compress(data, lzma.FORMAT_XZ, check=lzma.CHECK_NONE, filters=filters)


def _decompress_lzma(data: bytes, num_bytes: int) -> bytes:
    # The dictionary, no longer than the data but for rounding up to 2^n or 3 * 2^n, and little more.
    memory_bytes = (1 << 20) + 2 * min(num_bytes, 1 << LZMA_DICTIONARY_BITS[-1])
    decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=memory_bytes)
    result = decoder.decompress(data, num_bytes + 1)
    _require_end(decoder.eof or len(result) > num_bytes, decoder.unused_data)
    return result


def _compress_zstd(data: bytes, level: int) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor(level=level, write_content_size=True).compress(data)


def _decompress_zstd(data: bytes, num_bytes: int) -> bytes:
    import zstandard

    # The library allocates what the frame declares, so the declaration is checked first.
    declared = zstandard.get_frame_parameters(data).content_size
    if declared != num_bytes:
        raise ValueError(f"its frame declares {declared:,} bytes where {num_bytes:,} are expected")
    decoder = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES)
    return decoder.decompress(data, max_output_size=num_bytes, allow_extra_data=False)


def _compress_brotli(data: bytes, level: int) -> bytes:
    import brotli

    result: bytes = brotli.compress(data, quality=level, lgwin=24)
    return result


def _decompress_brotli(data: bytes, num_bytes: int) -> bytes:
    import brotli

    decoder = brotli.Decompressor()
    pieces = [decoder.process(data, output_buffer_limit=min(CHUNK_BYTES, num_bytes + 1))]
    size = len(pieces[0])
    while size <= num_bytes and not decoder.is_finished():
        # can_accept_more_data() says nothing here: it is true as well while output of what was read is pending.
        pieces.append(decoder.process(b"", output_buffer_limit=CHUNK_BYTES))
        if not pieces[-1]:
            raise ValueError("it ends too early")
        size += len(pieces[-1])
    return b"".join(pieces)


def _require_end(ended: bool, left_over: bytes) -> None:
    if not ended:
        raise ValueError("it ends too early")
    if left_over:
        raise ValueError(f"{len(left_over):,} bytes follow its end")


CODECS = {
    "zlib": Codec(_compress_zlib, _decompress_zlib),
    "lzma": Codec(_compress_lzma, _decompress_lzma),
    "zstd": Codec(_compress_zstd, _decompress_zstd),
    "brotli": Codec(_compress_brotli, _decompress_brotli),
}


def shuffle_bytes(data: bytes, stride: int) -> bytes:
    """Return the bytes at offsets 0, stride, 2 stride, ..., then those at 1, 1 + stride, ...."""
    source = np.frombuffer(data, dtype=np.uint8)
    return np.concatenate([source[first::stride] for first in range(stride)]).tobytes()


def unshuffle_bytes(data: bytes, stride: int) -> bytes:
    """Return what `shuffle_bytes` was given."""
    source = np.frombuffer(data, dtype=np.uint8)
    result = np.empty_like(source)
    start = 0
    for first in range(stride):
        stop = start + len(range(first, len(source), stride))
        result[first::stride] = source[start:stop]
        start = stop
    return result.tobytes()
