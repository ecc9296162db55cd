"""A folder of shards in the challenge's format as a corpus: documents begin at BOS, bytes are those of pieces."""

from functools import cache
from pathlib import Path

import numpy as np

from mulligan.data.shard import check_tokens, open_shard
from mulligan.values.byte_table import ByteTable
from mulligan.values.corpus import Documents, Split, TokenStream

BYTES_VOCAB_SIZE = 260
CHECKED_TOKENS = 1 << 20
"""Of each shard: another tokenizer's are found among the first."""


class ShardFolder:
    """Shards (*train*.bin, *val*.bin) and a SentencePiece model: `tokenizer`, else the folder's tokenizer.model, else bytes."""

    digest = ""

    def __init__(self, folder: Path, tokenizer: str | None, vocab_size: int, bos: int) -> None:
        self.folder, self.vocab_size, self.bos = folder, vocab_size, bos
        self.tokenizer = Path(tokenizer) if tokenizer else folder / "tokenizer.model"
        self._is_given = bool(tokenizer)

    @cache  # noqa: B019 (there is one folder in a run)
    def tokens(self, split: Split) -> TokenStream:
        """Return the token stream of a split; ValueError without shards, or for one that is damaged or another tokenizer's."""
        found = sorted(self.folder.glob("*train*.bin" if split == "train" else "*val*.bin"))
        shards = [path for path in found if "_bytes_" not in path.name]  # side-cars are no shards
        if not shards:
            raise ValueError(
                f"{self.folder}: no {split} shards there. Give a folder of *train*.bin and *val*.bin: DATA_PATH=DIR."
            )
        for path in shards:
            check_tokens(path, open_shard(path)[:CHECKED_TOKENS], self.vocab_size)
        return TokenStream(shards, lambda: self.documents(split))

    @cache  # noqa: B019
    def documents(self, split: Split) -> Documents:
        """Return where the documents of a split begin, and how long they are."""
        stream, starts, done = self.tokens(split), [], 0
        for shard in stream.shards:
            starts.append(done + np.flatnonzero(shard == self.bos))
            done += len(shard)
        begins = np.concatenate(starts).astype(np.int64)
        return Documents(begins, np.diff(begins, append=done), None)

    @cache  # noqa: B019
    def byte_table(self) -> ByteTable:
        """Return the bytes of each token; ValueError for a tokenizer that is not the one of this vocabulary."""
        if not self._is_given and not self.tokenizer.is_file():
            if self.vocab_size != BYTES_VOCAB_SIZE:
                raise ValueError(
                    f"{self.tokenizer}: not there, and {self.vocab_size} tokens are not plain bytes. Give TOKENIZER_PATH=FILE."
                )
            return ByteTable.of_bytes(self.vocab_size - 256)
        import sentencepiece

        try:
            pieces = sentencepiece.SentencePieceProcessor(model_file=str(self.tokenizer))
        except (OSError, RuntimeError) as error:
            raise ValueError(f"{self.tokenizer}: no SentencePiece model there ({error}). Give TOKENIZER_PATH=FILE.") from None
        if pieces.vocab_size() != self.vocab_size:
            raise ValueError(
                f"{self.tokenizer}: {pieces.vocab_size()} pieces, and the network has {self.vocab_size} tokens; the bytes "
                "would be miscounted. Give the tokenizer that wrote the shards: TOKENIZER_PATH=FILE."
            )
        return ByteTable.of_pieces(pieces)
