"""A corpus: memory-mapped token shards, documents, tokenizer and manifest, in a folder of its own.

corpus.json                    the manifest: content only, no paths, no times
train_000000.bin ...           shards in the challenge's format; also validation_000000.bin ...
documents_train.parquet ...    start, num_tokens and raw UTF-8 bytes of every document
tokenizer.model                the SentencePiece model (absent for plain bytes)
origin.json                    of a fetched corpus: repository and commit
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from mulligan.values.byte_table import ByteTable, IntArray

HEADER_BYTES = 1024
Split = Literal["train", "validation"]


@dataclass(frozen=True)
class Documents:
    """Documents in stream order: first token (its BOS), number of tokens with the BOS, raw UTF-8 bytes or None."""

    starts: IntArray
    num_tokens: IntArray
    raw_bytes: IntArray | None


class TokenStream:
    """A read-only view over memory-mapped uint16 shards, one after the other; `documents` is read when asked for."""

    def __init__(self, shards: list[Path], documents: Callable[[], Documents] | None = None) -> None:
        self._read_documents = documents
        self.shards = [np.memmap(path, dtype="<u2", mode="r", offset=HEADER_BYTES) for path in shards]
        self.ends = np.cumsum([len(shard) for shard in self.shards], dtype=np.int64)
        self.num_tokens = int(self.ends[-1])

    @cached_property
    def documents(self) -> Documents:
        """Where the documents of the stream lie; ValueError for shards that belong to no corpus."""
        if self._read_documents is None:
            raise ValueError("Nothing says where documents begin in these shards. Read them with Corpus.tokens.")
        return self._read_documents()

    def read(self, start: int, stop: int) -> IntArray:
        """Return tokens [start, stop) as int64; 0 <= start <= stop <= num_tokens."""
        if not 0 <= start <= stop <= self.num_tokens:
            raise ValueError(f"Tokens [{start}, {stop}) are not within the stream's {self.num_tokens}.")
        parts = []
        i = int(np.searchsorted(self.ends, start, side="right"))  # a loader reads many short rows from many shards
        while start < stop:
            begin = int(self.ends[i]) - len(self.shards[i])
            parts.append(self.shards[i][start - begin : stop - begin])
            start, i = int(self.ends[i]), i + 1
        return np.concatenate(parts).astype(np.int64) if parts else np.zeros(0, np.int64)

    def take(self, start: int, count: int) -> IntArray:
        """Return `count` tokens from `start` on, wrapping around for ever."""
        parts: list[IntArray] = []
        while count > 0:
            begin = start % self.num_tokens
            parts.append(self.read(begin, min(begin + count, self.num_tokens)))
            start, count = start + len(parts[-1]), count - len(parts[-1])
        return np.concatenate(parts) if parts else np.zeros(0, np.int64)

    def gather(self, indices: IntArray) -> IntArray:
        """Return the tokens at `indices` (any shape, 0 <= index < num_tokens) as int64."""
        tokens = np.empty(indices.shape, np.int64)
        which = np.searchsorted(self.ends, indices, side="right")
        for i, (end, shard) in enumerate(zip(self.ends, self.shards, strict=True)):
            here = which == i
            if here.any():
                tokens[here] = shard[indices[here] - (int(end) - len(shard))]
        return tokens


@dataclass(frozen=True)
class Corpus:
    """A corpus folder and its manifest."""

    folder: Path
    manifest: dict[str, Any]

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Open a corpus folder; ValueError when it is none."""
        path = Path(folder) / "corpus.json"
        if not path.is_file():
            raise ValueError(f"{folder}: no corpus.json in it. Make a corpus with `mulligan data prepare`.")
        try:
            manifest = json.loads(path.read_text("utf-8"))
        except ValueError as error:
            raise ValueError(f"{path}: not JSON ({error}). The file is damaged; prepare the corpus again.") from None
        if not isinstance(manifest, dict) or not {"tokenizer", "splits", "tables"} <= manifest.keys():
            raise ValueError(f"{path}: not the manifest of a corpus. Make a corpus with `mulligan data prepare`.")
        return cls(Path(folder), manifest)

    @cached_property
    def digest(self) -> str:
        """sha256 of corpus.json, which holds the sha256 of every shard and of the tokenizer."""
        return hashlib.sha256((self.folder / "corpus.json").read_bytes()).hexdigest()

    @cached_property
    def origin(self) -> dict[str, Any] | None:
        """Where a fetched corpus came from (origin.json: repository, commit, files); it bears no identity."""
        path = self.folder / "origin.json"
        if not path.is_file():
            return None
        found: dict[str, Any] = json.loads(path.read_text("utf-8"))
        return found

    @property
    def vocab_size(self) -> int:
        """Number of token ids."""
        return int(self.manifest["tokenizer"]["vocab_size"])

    @property
    def bos(self) -> int:
        """The token that begins every document."""
        return int(self.manifest["tokenizer"]["bos"])

    def _split(self, split: Split) -> dict[str, Any]:
        if split not in self.manifest["splits"]:
            raise ValueError(
                f"{self.folder}: the corpus has no {split} split, only {', '.join(self.manifest['splits'])}. "
                "Prepare one with `mulligan data prepare`."
            )
        found: dict[str, Any] = self.manifest["splits"][split]
        return found

    def tokens(self, split: Split) -> TokenStream:
        """Return the token stream of a split."""
        described = self._split(split)["shards"]
        stream = TokenStream([self.folder / shard["file"] for shard in described], partial(self.documents, split))
        for mapped, shard in zip(stream.shards, described, strict=True):
            if len(mapped) != shard["tokens"]:
                raise ValueError(
                    f"{self.folder / shard['file']}: {len(mapped)} tokens, and corpus.json says {shard['tokens']}. The file is "
                    "damaged; prepare the corpus again."
                )
        return stream

    def documents(self, split: Split) -> Documents:
        """Return the documents of a split, in stream order."""
        import pyarrow.parquet as pq

        self._split(split)
        table = pq.read_table(self.folder / f"documents_{split}.parquet")
        raw = None if table["raw_bytes"].null_count else table["raw_bytes"].to_numpy().astype(np.int64)
        return Documents(table["start"].to_numpy().astype(np.int64), table["num_tokens"].to_numpy().astype(np.int64), raw)

    def byte_table(self) -> ByteTable:
        """Return the byte table of the tokenizer."""
        tokenizer = self.manifest["tokenizer"]
        if tokenizer["kind"] == "bytes":
            return ByteTable.of_bytes(self.vocab_size - 256)
        import sentencepiece

        return ByteTable.of_pieces(sentencepiece.SentencePieceProcessor(model_file=str(self.folder / "tokenizer.model")))
