"""Document packing: rows begin where documents begin, and documents come in a random order, anew in every epoch.

What it does     Lays the documents end to end in a random permutation. A row is seq_len tokens and the one after them; the
                 next row begins at the last place up to the row's end where a document begins or where another seq_len
                 tokens of it are done. What a row cuts off is so begun anew in the next: every document is read whole, a
                 longer one in cuts of seq_len tokens, without padding; the beginning of a document that was cut off is read
                 twice. Attention sees the whole row: where it ends is up to the model.
Why it may help  Rows begin with documents, as scoring does, and no row opens on the rest of a text that the row before had.
Touches          train: which tokens a step reads.
Cost             An epoch reads about a quarter more tokens than there are (log-normal lengths, mean 900, rows of 1,024 or
                 2,048); 40 bytes of memory a document, half a second an epoch at 10^6 documents. At most the last seq_len
                 tokens of an epoch are left out.
Source           After parameter-golf PR 1530, whose loader of this name reads the stream in order (here: `sequential`) while
                 its attention ends at documents; Ding et al. 2024, arXiv:2404.10830, on what truncation costs.
"""

from bisect import bisect_right

import numpy as np

from mulligan.core.random_stream import random_stream
from mulligan.train.batch import Batches, too_small
from mulligan.train.config import TrainConfig
from mulligan.values.byte_table import IntArray
from mulligan.values.corpus import TokenStream


class PackedDocuments:
    """One epoch: documents laid end to end in an order of their own, and where the rows begin in that line of tokens."""

    def __init__(self, starts: IntArray, num_tokens: IntArray, seq_len: int) -> None:
        self.ends = np.cumsum(num_tokens)
        begins = self.ends - num_tokens
        self.shift = starts - begins  # from a place in the line to its place in the stream
        num_cuts = -(-num_tokens // seq_len)
        nth_cut = np.arange(int(num_cuts.sum())) - np.repeat(np.cumsum(num_cuts) - num_cuts, num_cuts)
        cuts = np.repeat(begins, num_cuts) + seq_len * nth_cut
        following = np.searchsorted(cuts, cuts + seq_len, side="right") - 1
        num_usable = int(np.searchsorted(cuts, self.ends[-1] - seq_len))  # the last target lies within the line
        rows, cut, after = [], 0, following.tolist()
        while cut < num_usable:
            rows.append(cut)
            cut = after[cut]
        self.rows = cuts[rows]

    def row(self, stream: TokenStream, number: int, count: int) -> IntArray:
        """Return `count` tokens of the line from row `number` on."""
        place = int(self.rows[number])
        document, stop, parts = int(np.searchsorted(self.ends, place, side="right")), place + count, []
        while place < stop:
            until, shift = min(int(self.ends[document]), stop), int(self.shift[document])
            parts.append(stream.read(place + shift, until + shift))
            place, document = until, document + 1
        return np.concatenate(parts)


class DocumentPackedBatches(Batches):
    """Rows are counted over all epochs; how many an epoch has depends on its order, so earlier orders are drawn again."""

    def __init__(self, config: TrainConfig, stream: TokenStream, seed: int) -> None:
        super().__init__(config, stream)
        if stream.num_tokens <= self.part_tokens:
            raise too_small(stream.num_tokens, self.part_tokens + 1)
        self.seed, self.documents = seed, stream.documents
        self._first_rows = [0]  # of the epochs drawn so far, and of the one after them
        self._drawn: dict[int, PackedDocuments] = {}  # the latest epoch alone
        self.start = int(self._pack(0).rows[0] + self._pack(0).shift[0])

    def _pack(self, epoch: int) -> PackedDocuments:
        """Return an epoch no later than the one after all that were drawn before."""
        if epoch not in self._drawn:
            order = random_stream(self.seed, "data-order", "document-packing", str(epoch)).permutation(
                len(self.documents.starts)
            )
            packed = PackedDocuments(self.documents.starts[order], self.documents.num_tokens[order], self.seq_len)
            self._drawn = {epoch: packed}
            if epoch + 1 == len(self._first_rows):
                self._first_rows.append(self._first_rows[-1] + len(packed.rows))
        return self._drawn[epoch]

    def _row(self, number: int) -> IntArray:
        while number >= self._first_rows[-1]:
            self._pack(len(self._first_rows) - 1)
        epoch = bisect_right(self._first_rows, number) - 1
        return self._pack(epoch).row(self.stream, number - self._first_rows[epoch], self.seq_len + 1)

    def _take(self, count: int) -> IntArray:
        first = self.cursor // self.seq_len
        self.cursor += count
        return np.stack([self._row(number) for number in range(first, self.cursor // self.seq_len)])
