"""A folder of shards in the challenge's format as a corpus: documents begin at BOS, bytes are those of pieces."""

from functools import cache
from pathlib import Path

import numpy as np

from mulligan.values.byte_table import ByteTable
from mulligan.values.corpus import Documents, Split, TokenStream


class ShardFolder:
    """Shards (*train*.bin, *val*.bin) and a SentencePiece model: `tokenizer`, else the folder's tokenizer.model, else bytes."""

    digest = ""

    def __init__(self, folder: Path, tokenizer: str | None, vocab_size: int, bos: int) -> None:
        self.folder, self.vocab_size, self.bos = folder, vocab_size, bos
        beside = folder / "tokenizer.model"
        self.tokenizer = tokenizer or (str(beside) if beside.is_file() else "")

    def tokens(self, split: Split) -> TokenStream:
        """Return the token stream of a split."""
        shards = sorted(self.folder.glob("*train*.bin" if split == "train" else "*val*.bin"))
        if not shards:
            raise ValueError(
                f"{self.folder}: no {split} shards there. Give a folder of *train*.bin and *val*.bin: DATA_PATH=DIR."
            )
        return TokenStream(shards, lambda: self.documents(split))

    @cache  # noqa: B019 (there is one folder in a run)
    def documents(self, split: Split) -> Documents:
        """Return where the documents of a split begin, and how long they are."""
        stream, starts, done = self.tokens(split), [], 0
        for shard in stream.shards:
            starts.append(done + np.flatnonzero(shard == self.bos))
            done += len(shard)
        begins = np.concatenate(starts).astype(np.int64)
        return Documents(begins, np.diff(begins, append=done), None)

    def byte_table(self) -> ByteTable:
        """Return the bytes of each token."""
        if not self.tokenizer:
            return ByteTable.of_bytes(self.vocab_size - 256)
        import sentencepiece

        return ByteTable.of_pieces(sentencepiece.SentencePieceProcessor(model_file=self.tokenizer))
