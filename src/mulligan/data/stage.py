"""The data stage: text -> Corpus (token shards, tokenizer, documents, manifest).

A lever of this stage may touch the tokenizer and the split; how many validation documents are scored is part of every
score's address, and of no training.
"""

from pathlib import Path

from mulligan.core.execution import Progress, no_progress
from mulligan.data.config import EmbeddedData
from mulligan.data.embedded import read_embedded
from mulligan.data.prepare import write_corpus
from mulligan.data.tokenizer import SentencePieceTokenizer


def run(config: EmbeddedData, folder: Path, progress: Progress = no_progress) -> None:
    """Write the embedded corpus into an empty folder; the tokenizer is trained on its train split."""
    train, validation = read_embedded()
    tokenizer = SentencePieceTokenizer.train((document.text for document in train), config.vocab_size)
    write_corpus(train, validation, tokenizer, folder, progress=progress)
