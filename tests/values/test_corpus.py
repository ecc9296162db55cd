"""A corpus folder as others read it: token streams across shards, documents, digest, and damage that is noticed."""

import hashlib
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mulligan.data.prepare import prepare
from mulligan.data.shard import ShardWriter
from mulligan.data.tokenizer import ByteTokenizer
from mulligan.values.corpus import Corpus, TokenStream
from small_text import documents, small_tokenizer


def stream_of(folder, tokens, shard_tokens) -> TokenStream:
    writer = ShardWriter(folder, "train", shard_tokens)
    writer.add(np.array(tokens))
    return TokenStream([folder / shard["file"] for shard in writer.close()])


@settings(max_examples=60, deadline=None)
@given(data=st.data(), num_tokens=st.integers(1, 40), shard_tokens=st.integers(1, 15))
def test_a_stream_reads_as_one_array_whatever_its_shards(tmp_path_factory, data, num_tokens, shard_tokens):
    tokens = np.arange(num_tokens) * 7 % 65_536
    stream = stream_of(tmp_path_factory.mktemp("stream"), tokens, shard_tokens)
    assert stream.num_tokens == num_tokens
    stop = data.draw(st.integers(0, num_tokens))
    start = data.draw(st.integers(0, stop))
    found = stream.read(start, stop)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, tokens[start:stop])

    start, count = data.draw(st.integers(0, 200)), data.draw(st.integers(0, 100))
    found = stream.take(start, count)
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, tokens[np.arange(start, start + count) % num_tokens])

    indices = np.array(data.draw(st.lists(st.integers(0, num_tokens - 1), max_size=8)), np.int64).reshape(-1, 1)
    np.testing.assert_array_equal(stream.gather(indices), tokens[indices])


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (3, 2), (0, 11)])
def test_reading_outside_the_stream_is_refused(tmp_path, start, stop):
    with pytest.raises(ValueError, match="not within the stream's 10"):
        stream_of(tmp_path, range(10), 4).read(start, stop)


@pytest.mark.parametrize("tokenizer", [small_tokenizer(), ByteTokenizer()], ids=["sentencepiece", "bytes"])
def test_what_was_prepared_is_read_back(tmp_path, tokenizer):
    train, validation = documents(9, seed=1), documents(4, seed=2)
    corpus = prepare(train, validation, tokenizer, tmp_path / "corpus", shard_tokens=37)
    assert corpus.vocab_size == tokenizer.vocab_size
    assert corpus.digest == hashlib.sha256((tmp_path / "corpus" / "corpus.json").read_bytes()).hexdigest()
    np.testing.assert_array_equal(corpus.byte_table().base, tokenizer.byte_table().base)
    for split, texts in (("train", train), ("validation", validation)):
        stream, found = corpus.tokens(split), corpus.documents(split)
        assert len(found.starts) == len(texts)
        for i, document in enumerate(texts):
            tokens = stream.read(int(found.starts[i]), int(found.starts[i] + found.num_tokens[i]))
            assert tokens[0] == tokenizer.bos
            assert tokenizer.decode(tokens[1:].tolist()) == document.text
            assert found.raw_bytes[i] == len(document.text.encode("utf-8"))
        assert int(found.num_tokens.sum()) == stream.num_tokens


def test_a_folder_that_is_no_corpus_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no corpus\.json in it"):
        Corpus.load(tmp_path)
    (tmp_path / "corpus.json").write_text("{")
    with pytest.raises(ValueError, match="not JSON"):
        Corpus.load(tmp_path)


def test_a_corpus_without_train_shards_says_so(tmp_path):
    prepare(documents(3, seed=1), documents(3, seed=2), ByteTokenizer(), tmp_path / "corpus")
    manifest = json.loads((tmp_path / "corpus" / "corpus.json").read_text())
    corpus = Corpus(tmp_path / "corpus", {**manifest, "splits": {"validation": manifest["splits"]["validation"]}})
    assert corpus.tokens("validation").num_tokens > 0
    for read in (corpus.tokens, corpus.documents):
        with pytest.raises(ValueError, match="no train split, only validation"):
            read("train")


def test_a_shard_of_another_length_than_the_manifest_says_is_refused(tmp_path):
    corpus = prepare(documents(3, seed=1), documents(3, seed=2), ByteTokenizer(), tmp_path / "corpus")
    path = tmp_path / "corpus" / "train_000000.bin"
    path.write_bytes(path.read_bytes()[:-2])
    with pytest.raises(ValueError, match=r"train_000000\.bin: \d+ tokens, and corpus\.json says \d+"):
        corpus.tokens("train")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"tokenizer": {}, "splits": {}}', "\x00", "3"])
def test_a_damaged_manifest_is_named(tmp_path, text):
    (tmp_path / "corpus.json").write_text(text)
    with pytest.raises(ValueError, match=r"corpus\.json: not"):
        Corpus.load(tmp_path)
