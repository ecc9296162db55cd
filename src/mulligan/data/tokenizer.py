"""Tokenizers: a given SentencePiece model, one trained here with the challenge's settings, or plain bytes."""

import hashlib
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mulligan.values.byte_table import ByteTable

Ids = np.ndarray[Any, np.dtype[np.int64]]
SPECIAL_PIECES = {"pad": 0, "bos": 1, "eos": 2, "unk": 3}


class Tokenizer(Protocol):
    """Turns documents into token ids without BOS, and back."""

    kind: str
    vocab_size: int
    bos: int

    def encode(self, texts: Sequence[str]) -> list[Ids]:
        """Return the ids of each text."""

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids, normalised as the tokenizer does."""

    def byte_table(self) -> ByteTable:
        """Return the bytes of each id."""

    def save(self, folder: Path) -> None:
        """Write what a corpus needs to know it again."""

    def describe(self) -> dict[str, Any]:
        """Return kind, vocab_size, bos and sha256 for the manifest."""


class SentencePieceTokenizer:
    """A SentencePiece model, `model` its serialised bytes; ValueError when it has no BOS or too many pieces."""

    kind = "sentencepiece"

    def __init__(self, model: bytes, name: str = "the model") -> None:
        import sentencepiece

        self.model = model
        if not model:  # the library would take it for "no model given"
            raise ValueError(f"{name}: the file is empty. Give a SentencePiece .model file.")
        try:
            self.pieces = sentencepiece.SentencePieceProcessor(model_proto=model)
        except RuntimeError as error:
            raise ValueError(f"{name}: not a SentencePiece model ({error}). Give the .model file.") from None
        self.vocab_size = int(self.pieces.vocab_size())
        self.bos = int(self.pieces.bos_id())
        if self.bos < 0:
            raise ValueError(
                f"{name}: the model has no BOS piece, which begins every document here. Train one with bos_id = 1."
            )
        if self.vocab_size > 65_536:
            raise ValueError(f"{name}: {self.vocab_size} pieces; shards hold uint16 tokens, so at most 65,536.")

    @classmethod
    def from_file(cls, path: Path) -> "SentencePieceTokenizer":
        """Read a .model file."""
        if not path.is_file():
            raise ValueError(f"{path}: no such file. Give a SentencePiece .model file.")
        return cls(path.read_bytes(), str(path))

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int) -> "SentencePieceTokenizer":
        """Train a BPE model with the challenge's settings; one sentence a line, equal text gives equal bytes."""
        import sentencepiece

        model = io.BytesIO()
        lines = (line for text in texts for line in text.splitlines() if line.strip())
        try:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=lines,
                model_writer=model,
                model_type="bpe",
                vocab_size=vocab_size,
                character_coverage=0.999,
                byte_fallback=True,
                split_digits=True,
                add_dummy_prefix=False,
                normalization_rule_name="nmt_nfkc",
                hard_vocab_limit=False,
                max_sentence_length=1 << 20,
                num_threads=1,
                minloglevel=2,
                pad_id=SPECIAL_PIECES["pad"],
                bos_id=SPECIAL_PIECES["bos"],
                eos_id=SPECIAL_PIECES["eos"],
                unk_id=SPECIAL_PIECES["unk"],
            )
        except RuntimeError as error:
            raise ValueError(
                f"A SentencePiece model of {vocab_size} pieces could not be trained on this text: {error}."
            ) from None
        trained = cls(model.getvalue())
        if trained.vocab_size != vocab_size:
            raise ValueError(
                f"The text yields a SentencePiece model of {trained.vocab_size} pieces, not {vocab_size}. Give more text, or "
                f"vocab_size = {trained.vocab_size}."
            )
        return trained

    def encode(self, texts: Sequence[str]) -> list[Ids]:
        """Return the ids of each text, encoded on all cores."""
        return [np.array(ids, np.int64) for ids in self.pieces.encode(list(texts), out_type=int, num_threads=-1)]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids."""
        return str(self.pieces.decode([int(i) for i in ids]))

    def byte_table(self) -> ByteTable:
        """Return the bytes of each id."""
        return ByteTable.of_pieces(self.pieces)

    def save(self, folder: Path) -> None:
        """Write tokenizer.model."""
        (folder / "tokenizer.model").write_bytes(self.model)

    def describe(self) -> dict[str, Any]:
        """Return what the manifest says of the tokenizer."""
        sha256 = hashlib.sha256(self.model).hexdigest()
        return {"kind": self.kind, "vocab_size": self.vocab_size, "bos": self.bos, "sha256": sha256}


class ByteTokenizer:
    """Four special ids (pad 0, bos 1, eos 2, unk 3), then the 256 bytes of UTF-8: 260 ids."""

    kind = "bytes"
    vocab_size = len(SPECIAL_PIECES) + 256
    bos = SPECIAL_PIECES["bos"]

    def encode(self, texts: Sequence[str]) -> list[Ids]:
        """Return the ids of each text."""
        return [np.frombuffer(text.encode("utf-8"), np.uint8).astype(np.int64) + len(SPECIAL_PIECES) for text in texts]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ids; bytes that are no UTF-8 become replacement characters."""
        return bytes(i - len(SPECIAL_PIECES) for i in ids if i >= len(SPECIAL_PIECES)).decode("utf-8", "replace")

    def byte_table(self) -> ByteTable:
        """Return the bytes of each id: one."""
        return ByteTable.of_bytes(len(SPECIAL_PIECES))

    def save(self, folder: Path) -> None:
        """Write nothing: the bytes are the same everywhere."""

    def describe(self) -> dict[str, Any]:
        """Return what the manifest says of the tokenizer."""
        return {"kind": self.kind, "vocab_size": self.vocab_size, "bos": self.bos, "sha256": None}
