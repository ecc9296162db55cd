"""A passage: the tokens that are scored, and where their documents begin.

Position p reads token p and predicts token p + 1: N positions for N + 1 tokens.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np

from mulligan.values.byte_table import ByteTable, IntArray
from mulligan.values.corpus import Documents, Split, TokenStream


@dataclass(frozen=True)
class Passage:
    """`gather` returns the tokens at the positions that it is given; `starts`: the positions at which documents begin.

    `byte_table`: what tokens count, where somebody asks.
    """

    gather: Callable[[IntArray], IntArray]
    starts: IntArray
    num_positions: int
    byte_table: ByteTable | None = None

    @classmethod
    def of_stream(cls, stream: TokenStream, documents: Documents, chosen: slice, byte_table: ByteTable | None = None) -> Self:
        """Return the passage of some documents; it ends with the next BOS, where there is one."""
        begin = int(documents.starts[chosen.start])
        stop = chosen.stop if chosen.stop is not None else len(documents.starts)
        last = stream.num_tokens if stop == len(documents.starts) else int(documents.starts[stop]) + 1
        return cls(lambda index: stream.gather(index + begin), documents.starts[chosen] - begin, last - begin - 1, byte_table)

    @classmethod
    def of_tokens(cls, tokens: IntArray, starts: IntArray, byte_table: ByteTable | None = None) -> Self:
        """Return the passage that an array of tokens is."""
        return cls(lambda index: tokens[index], starts, len(tokens) - 1, byte_table)

    def read(self, start: int, stop: int) -> IntArray:
        """Return tokens [start, stop), 0 <= start <= stop <= num_positions + 1."""
        return self.gather(np.arange(start, stop))

    def bytes_of(self, index: IntArray) -> IntArray:
        """Return the bytes that the targets of the positions `index` count."""
        assert self.byte_table is not None, "bytes are asked of a passage that was given a byte table"
        return self.byte_table.bytes_of(self.gather(index), self.gather(index + 1))

    def document_of(self, start: int, stop: int) -> IntArray:
        """Return the number of the document of each of the positions [start, stop): that of the token it reads."""
        found: IntArray = np.searchsorted(self.starts, np.arange(start, stop), side="right") - 1
        return found


def chosen_documents(num_documents: int, split: Split, present: int) -> slice:
    """Return which documents a score is of: the first ones of the validation split, or the last ones of the train split."""
    return slice(0, num_documents) if split == "validation" else slice(present - num_documents, present)
