"""A little text and a tokenizer trained on it, for tests that need a corpus."""

from functools import cache
from pathlib import Path

import numpy as np

from mulligan.data.document import Document
from mulligan.data.tokenizer import SentencePieceTokenizer

SHARED_DATA = Path(__file__).parents[1].parent / "shared" / "data"


def words(count: int, seed: int = 0) -> str:
    """Return `count` made-up words with some punctuation."""
    rng = np.random.default_rng(seed)
    syllables = ["ka", "lo", "mi", "tre", "sun", "over", "ing", "th", "e", "an", "é", "42"]
    found = ["".join(rng.choice(syllables, rng.integers(1, 4))) for _ in range(count)]
    return " ".join(word + ("." if i % 9 == 8 else "") for i, word in enumerate(found))


def documents(count: int, seed: int = 0, name: str = "d") -> list[Document]:
    """Return documents of 5 to 60 words, no two alike."""
    lengths = np.random.default_rng([seed, 1]).integers(5, 60, count)
    return [Document(f"{name}{i}", words(int(n), seed=1000 * seed + i)) for i, n in enumerate(lengths)]


@cache
def small_tokenizer(vocab_size: int = 320, seed: int = 0) -> SentencePieceTokenizer:
    """Return a SentencePiece model of `vocab_size` pieces trained on made-up text."""
    return SentencePieceTokenizer.train((document.text for document in documents(60, seed=100 + seed)), vocab_size)
