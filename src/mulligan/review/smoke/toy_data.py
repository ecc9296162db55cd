"""A toy shard and tokenizer that stand in for the data that a script looks for in vain."""

import glob
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mulligan.review.smoke.cell import SCRATCH

MAGIC, VERSION, HEADER = 20240520, 1, 256
NUM_TARGETS = 1024
BOS, FIRST_BYTE, NUM_BYTES = 1, 3, 256
UNKNOWN, CONTROL, NORMAL, BYTE = 2, 3, 1, 6
SHARD, TOKENIZER = Path(SCRATCH) / "toy_shard.bin", Path(SCRATCH) / "toy.model"


def stream(vocabulary: int, seed: int) -> np.ndarray[Any, Any]:
    """Return the tokens of one document."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(min(FIRST_BYTE + NUM_BYTES, vocabulary // 2), vocabulary, NUM_TARGETS + 1)
    tokens[0] = BOS
    return tokens


def write_shard(tokens: np.ndarray[Any, Any]) -> None:
    """Write tokens as the challenge's shards are: a header of 256 integers, then 16 bits each."""
    header = np.zeros(HEADER, "<i4")
    header[:3] = MAGIC, VERSION, len(tokens)
    SHARD.write_bytes(header.tobytes() + tokens.astype("<u2").tobytes())


def write_tokenizer(vocabulary: int) -> None:
    """Write a sentencepiece model of so many pieces: controls, bytes, and words of which every other begins with a space."""
    pieces = [("<unk>", UNKNOWN), ("<s>", CONTROL), ("</s>", CONTROL)]
    pieces += [(f"<0x{value:02X}>", BYTE) for value in range(NUM_BYTES)]
    pieces += [("\u2581" * (i % 2 == 0) + f"w{i}" * (i > 0), NORMAL) for i in range(max(0, vocabulary - len(pieces)))]
    packed = [
        _text(1, name) + b"\x15" + struct.pack("<f", -float(i)) + _number(3, kind) for i, (name, kind) in enumerate(pieces)
    ]
    trainer = _number(3, 2) + _number(4, vocabulary) + _number(35, 1) + _number(40, 0) + _number(41, BOS) + _number(42, 2)
    normalizer = _text(1, "identity") + _number(3, 1)
    TOKENIZER.write_bytes(
        b"".join(_message(1, one) for one in packed[:vocabulary]) + _message(2, trainer) + _message(3, normalizer)
    )


def offer() -> None:
    """Let searches that find nothing find the shard, and a tokenizer that is not there be the toy one, once written."""
    import sentencepiece

    search, search_below = glob.glob, Path.glob
    glob.glob = lambda pattern, *a, **k: search(pattern, *a, **k) or [str(path) for path in _toy()]

    def below(self: Path, pattern: str, *args: Any, **options: Any) -> Iterator[Path]:
        yield from list(search_below(self, pattern, *args, **options)) or _toy()

    Path.glob = below  # type: ignore[method-assign, assignment]

    class Processor(sentencepiece.SentencePieceProcessor):
        def __init__(self, model_file: Any = None, *args: Any, **options: Any) -> None:
            super().__init__(_there(model_file), *args, **options)

        def Load(self, model_file: Any = None, *args: Any, **options: Any) -> Any:  # noqa: N802
            return super().Load(_there(model_file), *args, **options)

        load = Load

    vars(sentencepiece)["SentencePieceProcessor"] = Processor


def _toy() -> list[Path]:
    return [SHARD] if SHARD.is_file() else []


def _there(file: Any) -> Any:
    return file if file is None or Path(str(file)).is_file() or not TOKENIZER.is_file() else str(TOKENIZER)


def _varint(value: int) -> bytes:
    found = b""
    while value > 127:
        found, value = found + bytes([value & 127 | 128]), value >> 7
    return found + bytes([value])


def _number(place: int, value: int) -> bytes:
    return _varint(place << 3) + _varint(value)


def _message(place: int, data: bytes) -> bytes:
    return _varint(place << 3 | 2) + _varint(len(data)) + data


def _text(place: int, text: str) -> bytes:
    return _message(place, text.encode())
