"""A folder of shards is read as the corpus it is, or refused: other bytes than the tokenizer's would be another score."""

import shutil

import numpy as np
import pytest

from mulligan.data.shard import shard_header
from mulligan.submit.shard_folder import ShardFolder
from mulligan.values.corpus import Corpus
from toy import write_corpus


@pytest.fixture
def folder(tmp_path):
    return write_corpus(tmp_path / "corpus").folder


def write_shard(path, tokens):
    path.write_bytes(shard_header(len(tokens)) + np.array(tokens, "<u2").tobytes())


@pytest.mark.parametrize("split", ["train", "validation"])
def test_it_is_the_corpus_that_was_prepared(folder, split):
    corpus, shards = Corpus.load(folder), ShardFolder(folder, None, 260, 1)
    count = corpus.tokens(split).num_tokens
    assert (shards.tokens(split).read(0, count) == corpus.tokens(split).read(0, count)).all()
    assert shards.tokens(split).num_tokens == count
    assert (shards.documents(split).starts == corpus.documents(split).starts).all()
    assert (shards.documents(split).num_tokens == corpus.documents(split).num_tokens).all()
    assert (shards.byte_table().base == corpus.byte_table().base).all()


def test_the_challenges_side_cars_are_no_shards(folder):
    count = ShardFolder(folder, None, 260, 1).tokens("validation").num_tokens
    write_shard(folder / "fineweb_val_bytes_000000.bin", [1, 2, 3])
    assert ShardFolder(folder, None, 260, 1).tokens("validation").num_tokens == count


def test_bytes_are_never_counted_by_another_tokenizer(folder):
    with pytest.raises(ValueError, match=r"tokenizer.model: not there, and 1024 tokens are not plain bytes"):
        ShardFolder(folder, None, 1024, 1).byte_table()
    with pytest.raises(ValueError, match=r"nowhere.model: no SentencePiece model there"):
        ShardFolder(folder, "nowhere.model", 260, 1).byte_table()


def test_the_tokenizer_has_as_many_pieces_as_the_network_tokens(folder, tmp_path):
    import sentencepiece

    text = (f"{a}{b} {b}{a}" for a in "abcdefgh" for b in "ijklmnop")
    model = str(tmp_path / "small")
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=text, model_prefix=model, vocab_size=30, minloglevel=2, hard_vocab_limit=False
    )
    pieces = sentencepiece.SentencePieceProcessor(model_file=f"{model}.model").vocab_size()
    assert len(ShardFolder(folder, f"{model}.model", pieces, 1).byte_table().base) == pieces
    with pytest.raises(ValueError, match=f"{pieces} pieces, and the network has 260 tokens"):
        ShardFolder(folder, f"{model}.model", 260, 1).byte_table()
    shutil.copy(f"{model}.model", folder / "tokenizer.model")
    with pytest.raises(ValueError, match=f"{pieces} pieces, and the network has 260 tokens"):
        ShardFolder(folder, None, 260, 1).byte_table()


@pytest.mark.parametrize(
    ("tokens", "cut", "said"),
    [([1, 300], 0, "token 300, and the tokenizer has 260 pieces"), ([1, 5], 2, "cut short or damaged"), (None, 0, "no train")],
)
def test_shards_that_cannot_be_these_are_refused(tmp_path, tokens, cut, said):
    if tokens:
        path = tmp_path / "fineweb_train_000000.bin"
        write_shard(path, tokens)
        path.write_bytes(path.read_bytes()[: len(path.read_bytes()) - cut])
    with pytest.raises(ValueError, match=said):
        ShardFolder(tmp_path, None, 260, 1).tokens("train")
