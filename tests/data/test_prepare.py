"""Preparing a corpus: what the manifest says, and that nothing is left behind when anything goes wrong."""

import json

import numpy as np
import pytest

from mulligan.data.document import Document, read_documents
from mulligan.data.prepare import prepare, verify_corpus
from mulligan.data.tokenizer import ByteTokenizer, SentencePieceTokenizer
from mulligan.values.corpus import Corpus
from small_text import SHARED_DATA, documents, small_tokenizer

TRAIN, VALIDATION = documents(12, seed=1, name="t"), documents(5, seed=2, name="v")


def test_the_manifest_says_what_the_corpus_holds(tmp_path):
    corpus = prepare(TRAIN, VALIDATION, small_tokenizer(), tmp_path / "corpus", shard_tokens=100)
    for split, texts in (("train", TRAIN), ("validation", VALIDATION)):
        described = corpus.manifest["splits"][split]
        encoded = small_tokenizer().encode([document.text for document in texts])
        text_bytes = sum(len(document.text.encode("utf-8")) for document in texts)
        assert described["documents"] == len(texts)
        assert described["tokens"] == sum(len(ids) + 1 for ids in encoded) == corpus.tokens(split).num_tokens
        assert described["bytes"] == described["raw_bytes"] == text_bytes  # this text is its own normal form
        assert described["tokens_per_byte"] == pytest.approx(described["tokens"] / text_bytes, abs=1e-6)
        assert [shard["tokens"] for shard in described["shards"][:-1]] == [100] * (len(described["shards"]) - 1)
    assert corpus.manifest["tokenizer"] == small_tokenizer().describe()


def test_piece_bytes_and_raw_bytes_differ_where_the_tokenizer_normalises(tmp_path):
    odd = [Document("a", "over  the\n\nsun  "), Document("b", "ﬁ")]
    corpus = prepare(odd, VALIDATION, small_tokenizer(), tmp_path / "corpus")
    assert corpus.manifest["splits"]["train"]["bytes"] == len("over the sun") + len("fi")
    assert corpus.manifest["splits"]["train"]["raw_bytes"] == len("over  the\n\nsun  ") + len("ﬁ".encode())


def test_equal_sources_give_equal_folders_without_paths_or_times(tmp_path):
    for name in ("a", "b"):
        prepare(iter(TRAIN), iter(VALIDATION), small_tokenizer(), tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert files == [
        "corpus.json",
        "documents_train.parquet",
        "documents_validation.parquet",
        "summary.json",
        "tokenizer.model",
        "train_000000.bin",
        "validation_000000.bin",
    ]
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in files)
    assert str(tmp_path) not in (tmp_path / "a" / "corpus.json").read_text()


def broken():
    yield from TRAIN
    raise OSError("the disk went away")


@pytest.mark.parametrize(
    ("train", "validation", "error", "message"),
    [
        ([], VALIDATION, ValueError, "The train split holds no document"),
        (TRAIN, [], ValueError, "The validation split holds no document"),
        ([Document("x", "\u200b")], VALIDATION, ValueError, "no byte of text"),
        ([*TRAIN, Document("copy", VALIDATION[3].text)], VALIDATION, ValueError, "copy is in the train split, and v3"),
        (broken(), VALIDATION, OSError, "the disk went away"),
        (TRAIN, broken(), OSError, "the disk went away"),
    ],
)
def test_an_error_leaves_nothing_behind(tmp_path, train, validation, error, message):
    with pytest.raises(error, match=message):
        prepare(train, validation, small_tokenizer(), tmp_path / "corpus")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_is_left_alone(tmp_path):
    (tmp_path / "corpus").mkdir()
    with pytest.raises(ValueError, match="exists already"):
        prepare(TRAIN, VALIDATION, ByteTokenizer(), tmp_path / "corpus")
    assert list((tmp_path / "corpus").iterdir()) == []


def test_more_than_65536_pieces_are_refused(monkeypatch):
    import sentencepiece

    class Huge(sentencepiece.SentencePieceProcessor):
        def vocab_size(self):
            return 65_537

    monkeypatch.setattr(sentencepiece, "SentencePieceProcessor", Huge)
    with pytest.raises(ValueError, match="65537 pieces; shards hold uint16 tokens"):
        SentencePieceTokenizer(small_tokenizer().model)


@pytest.mark.parametrize("name", ["train_000000.bin", "validation_000000.bin", "documents_train.parquet", "tokenizer.model"])
def test_verify_names_a_file_that_was_changed_or_lost(tmp_path, name):
    corpus = prepare(TRAIN, VALIDATION, small_tokenizer(), tmp_path / "corpus")
    assert verify_corpus(corpus) == []
    path = tmp_path / "corpus" / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert [sentence.startswith(str(path)) for sentence in verify_corpus(corpus)] == [True]
    path.unlink()
    assert verify_corpus(corpus) == [f"{path}: no such file"]


def test_summary_is_the_manifest(tmp_path):
    prepare(TRAIN, VALIDATION, ByteTokenizer(), tmp_path / "corpus")
    assert json.loads((tmp_path / "corpus" / "summary.json").read_text()) == Corpus.load(tmp_path / "corpus").manifest


def test_wikipedia_gives_the_known_counts(tmp_path):
    model, source = SHARED_DATA / "tokenizers" / "fineweb_1024_bpe.model", SHARED_DATA / "wiki" / "val.jsonl.gz"
    if not (model.is_file() and source.is_file()):
        pytest.skip(f"the shared data is not here: {SHARED_DATA}")
    corpus = prepare(TRAIN, read_documents(source), SentencePieceTokenizer.from_file(model), tmp_path / "corpus")
    described = corpus.manifest["splits"]["validation"]
    assert (described["documents"], described["raw_bytes"]) == (1060, 2_007_558)
    assert described["bytes"] / described["tokens"] == pytest.approx(2.27, abs=0.01)
    assert int(np.sum(corpus.documents("validation").raw_bytes)) == 2_007_558


def test_progress_is_done_only_at_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr("mulligan.data.prepare.BATCH_DOCUMENTS", 5)
    shown = []
    prepare(TRAIN, VALIDATION[:3], ByteTokenizer(), tmp_path / "corpus", progress=lambda *told: shown.append(told[:3]))
    assert shown == [
        ("prepare validation", 3, 3),
        ("prepare train", 5, 6),
        ("prepare train", 10, 11),
        ("prepare train", 12, 12),
    ]
