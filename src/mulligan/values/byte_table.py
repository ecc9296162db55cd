"""How many bytes each token stands for: the denominator of bits per byte."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

IntArray = np.ndarray[Any, np.dtype[np.int64]]
BoolArray = np.ndarray[Any, np.dtype[np.bool_]]
LEADING_SPACE = "▁"


@dataclass(frozen=True)
class ByteTable:
    """Per token id: `base` bytes, `lead` (the piece begins with a space), `boundary` (control, unknown or unused)."""

    base: IntArray
    lead: BoolArray
    boundary: BoolArray

    def bytes_of(self, previous: IntArray, targets: IntArray) -> IntArray:
        """Return the bytes of each target given the token before it: base, and one for a leading space after text."""
        counted: IntArray = self.base[targets] + (self.lead[targets] & ~self.boundary[previous])
        return counted

    @classmethod
    def of_pieces(cls, pieces: Any) -> Self:
        """Return the table of a SentencePieceProcessor; ValueError for a piece with a space inside it."""
        size = pieces.vocab_size()
        base, lead, boundary = np.zeros(size, np.int64), np.zeros(size, np.bool_), np.zeros(size, np.bool_)
        for token in range(size):
            if pieces.is_control(token) or pieces.is_unknown(token) or pieces.is_unused(token):
                boundary[token] = True
            elif pieces.is_byte(token):
                base[token] = 1
            else:
                piece = pieces.id_to_piece(token)
                lead[token] = piece.startswith(LEADING_SPACE)
                text = piece.removeprefix(LEADING_SPACE)
                if LEADING_SPACE in text:
                    raise ValueError(
                        f"The piece {piece!r} holds a space inside; its bytes would be miscounted. "
                        "Use a tokenizer trained with split_by_whitespace."
                    )
                base[token] = len(text.encode("utf-8"))
        return cls(base, lead, boundary)

    @classmethod
    def of_bytes(cls, num_special: int) -> Self:
        """Return the table of the byte tokenizer: `num_special` boundary tokens, then the 256 bytes."""
        base = np.ones(num_special + 256, np.int64)
        base[:num_special] = 0
        boundary = base == 0
        return cls(base, np.zeros_like(boundary), boundary)
