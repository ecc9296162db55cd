"""Token shards in the challenge's format: 256 little-endian int32 header words, then uint16 tokens."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from mulligan.values.corpus import HEADER_BYTES

MAGIC = 20240520
FORMAT_VERSION = 1
SHARD_TOKENS = 100_000_000
CHUNK_TOKENS = 1 << 22

Tokens = np.ndarray[Any, np.dtype[Any]]


def read_shard(path: Path, vocab_size: int) -> Tokens:
    """Return the tokens of a shard as a memory map; ValueError for a wrong magic, version, size, or token."""
    tokens = open_shard(path)
    check_tokens(path, tokens, vocab_size)
    return tokens


def open_shard(path: Path) -> Tokens:
    """Return the tokens of a shard as a memory map; ValueError for a wrong magic, version or size."""
    header = np.fromfile(path, dtype="<i4", count=256)
    if len(header) < 256:
        raise ValueError(f"{path}: {path.stat().st_size} bytes; a shard begins with a header of {HEADER_BYTES} bytes.")
    magic, version, num_tokens = (int(word) for word in header[:3])
    if magic != MAGIC:
        raise ValueError(f"{path}: magic number {magic}, not {MAGIC}: this is no token shard of the challenge.")
    if version != FORMAT_VERSION:
        raise ValueError(f"{path}: format version {version}; version {FORMAT_VERSION} is known.")
    expected = HEADER_BYTES + 2 * num_tokens
    if num_tokens < 0 or path.stat().st_size != expected:
        raise ValueError(
            f"{path}: {path.stat().st_size} bytes, and the header's {num_tokens} tokens make {expected}. The file is cut "
            "short or damaged; fetch it again."
        )
    if num_tokens == 0:
        raise ValueError(f"{path}: the shard holds no token.")
    return np.memmap(path, dtype="<u2", mode="r", offset=HEADER_BYTES)


def check_tokens(path: Path, tokens: Tokens, vocab_size: int) -> None:
    """Raise ValueError for a token that a vocabulary of `vocab_size` does not have."""
    for begin in range(0, len(tokens), CHUNK_TOKENS):
        greatest = int(tokens[begin : begin + CHUNK_TOKENS].max())
        if greatest >= vocab_size:
            raise ValueError(
                f"{path}: token {greatest}, and the tokenizer has {vocab_size} pieces. Another tokenizer wrote this shard; "
                "give the model that did."
            )


class ShardWriter:
    """Writes a split's tokens to `folder`/`split`_000000.bin and on, `shard_tokens` a file, holding few of them in memory."""

    def __init__(self, folder: Path, split: str, shard_tokens: int = SHARD_TOKENS) -> None:
        self.folder, self.split, self.shard_tokens = folder, split, shard_tokens
        self.num_tokens = 0
        self._finished: list[dict[str, Any]] = []
        self._in_shard = 0
        self._waiting: list[Tokens] = []
        self._num_waiting = 0

    def add(self, tokens: Tokens) -> None:
        """Append tokens (any integer type, each below 65,536)."""
        self._waiting.append(tokens.astype("<u2"))
        self._num_waiting += len(tokens)
        self.num_tokens += len(tokens)
        if self._num_waiting >= CHUNK_TOKENS:
            self._flush()

    def close(self) -> list[dict[str, Any]]:
        """Write what is left; return file, tokens and sha256 of every shard."""
        self._flush()
        if self._in_shard:
            self._finish()
        return self._finished

    def _path(self) -> Path:
        return self.folder / f"{self.split}_{len(self._finished):06d}.bin"

    def _flush(self) -> None:
        waiting = np.concatenate([np.zeros(0, "<u2"), *self._waiting])
        self._waiting, self._num_waiting = [], 0
        while len(waiting):
            part = waiting[: self.shard_tokens - self._in_shard]
            with self._path().open("ab") as file:
                if not self._in_shard:
                    file.write(shard_header(0))
                file.write(part.tobytes())
            self._in_shard += len(part)
            waiting = waiting[len(part) :]
            if self._in_shard == self.shard_tokens:
                self._finish()

    def _finish(self) -> None:
        """Now that the number of tokens is known, write it into the header."""
        path = self._path()
        with path.open("r+b") as file:
            file.write(shard_header(self._in_shard))
            file.seek(0)
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        self._finished.append({"file": path.name, "tokens": self._in_shard, "sha256": sha256})
        self._in_shard = 0


def shard_header(num_tokens: int) -> bytes:
    """Return the 1,024 bytes that begin a shard."""
    header = np.zeros(256, dtype="<i4")
    header[:3] = MAGIC, FORMAT_VERSION, num_tokens
    return header.tobytes()
