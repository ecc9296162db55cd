"""Range coding of symbols under tables of integer counts, by `constriction`: an encoder, a decoder, and a mere measure.

Exact on every machine: counts are whole and sum to less than 2^53, so as floats they and their sums are exact, and the
library makes 24-bit probabilities of them by IEEE operations that round alike everywhere. Torch-free.
Source: Martin 1979 (range coding); Bamler 2022, arXiv:2201.01741 (the library).
"""

import math
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]
WORD_BYTES = 4


class Coder(Protocol):
    """What a model is walked with: it is given the symbols, or finds them."""

    def code(self, counts: Ints, num_symbols: int, symbols: Ints | None) -> Ints:
        """Return `num_symbols` symbols 0 to len(counts) - 1, each as likely as its count says; at least two counts."""


class Encoder:
    """Writes the symbols that it is given."""

    def __init__(self) -> None:
        import constriction

        self._encoder = constriction.stream.queue.RangeEncoder()

    def code(self, counts: Ints, num_symbols: int, symbols: Ints | None) -> Ints:
        """Write `symbols` and return them."""
        assert symbols is not None
        assert len(symbols) == num_symbols
        self._encoder.encode(symbols.astype(np.int32), _categorical(counts))
        return symbols

    def finish(self) -> bytes:
        """Return all that was written, in words of 4 bytes, little-endian."""
        data: bytes = self._encoder.get_compressed().astype("<u4").tobytes()
        return data


class Decoder:
    """Reads what an `Encoder` wrote; `bits` is the ideal length of all that was read. ValueError where data are damaged."""

    def __init__(self, data: bytes) -> None:
        import constriction

        if len(data) % WORD_BYTES:
            raise ValueError(f"{len(data):,} bytes are no whole words of {WORD_BYTES}")
        self._decoder = constriction.stream.queue.RangeDecoder(np.frombuffer(data, "<u4").astype(np.uint32))
        self.bits = 0.0

    def code(self, counts: Ints, num_symbols: int, symbols: Ints | None) -> Ints:
        """Read and return `num_symbols` symbols."""
        assert symbols is None
        try:
            found: Ints = self._decoder.decode(_categorical(counts), num_symbols).astype(np.int64)
        except AssertionError:
            raise ValueError("no symbol fits the next bits") from None
        self.bits += _ideal_bits(counts, found)
        return found

    def finish(self) -> None:
        """Raise ValueError unless everything was read."""
        if not self._decoder.maybe_exhausted():
            raise ValueError("it goes on after the last symbol")


class CodeLength:
    """Writes nothing and adds up `bits`, the ideal length of the symbols that it is given."""

    def __init__(self) -> None:
        self.bits = 0.0

    def code(self, counts: Ints, num_symbols: int, symbols: Ints | None) -> Ints:
        """Count `symbols` and return them."""
        assert symbols is not None
        assert len(symbols) == num_symbols
        self.bits += _ideal_bits(counts, symbols)
        return symbols


def _categorical(counts: Ints) -> Any:
    import constriction

    return constriction.stream.model.Categorical(counts.astype(np.float64), perfect=False)


def _ideal_bits(counts: Ints, symbols: Ints) -> float:
    return float(len(symbols) * math.log2(counts.sum()) - np.log2(counts)[symbols].sum())
