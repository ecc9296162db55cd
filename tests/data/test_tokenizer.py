"""Tokenizers: the challenge's settings, round trips, and what is refused."""

import numpy as np
import pytest

from mulligan.data.tokenizer import ByteTokenizer, SentencePieceTokenizer
from small_text import SHARED_DATA, documents, small_tokenizer, words

TEXTS = [words(20, seed=7), "plain 2024 text", "bytes: ∀ 你 👩‍👧", ""]


def test_a_trained_model_has_the_challenges_settings():
    tokenizer = small_tokenizer()
    pieces = tokenizer.pieces
    assert (pieces.pad_id(), pieces.bos_id(), pieces.eos_id(), pieces.unk_id()) == (0, 1, 2, 3)
    assert [pieces.is_byte(i) for i in range(3, 261)] == [False, *[True] * 256, False]
    assert pieces.id_to_piece(int(tokenizer.encode(["over"])[0][0])) == "over"  # no dummy prefix
    assert len(tokenizer.encode(["424242"])[0]) == 6  # split_digits
    assert pieces.normalize("ﬁ Ａ") == "fi▁A"  # nmt_nfkc


def test_training_is_deterministic():
    texts = [document.text for document in documents(60, seed=100)]
    assert SentencePieceTokenizer.train(texts, 320).model == SentencePieceTokenizer.train(texts, 320).model


def test_too_little_text_for_the_vocabulary_is_refused():
    with pytest.raises(ValueError, match=r"yields a SentencePiece model of \d+ pieces, not 1024"):
        SentencePieceTokenizer.train(["abc def ghi"] * 5, 1024)
    with pytest.raises(ValueError, match="could not be trained"):
        SentencePieceTokenizer.train([], 400)
    with pytest.raises(ValueError, match="could not be trained"):
        SentencePieceTokenizer.train(["abc def ghi"] * 5, 100)


@pytest.mark.parametrize("tokenizer", [small_tokenizer(), ByteTokenizer()], ids=["sentencepiece", "bytes"])
def test_text_comes_back(tokenizer):
    encoded = tokenizer.encode(TEXTS)
    assert [tokenizer.decode(ids) for ids in encoded] == TEXTS
    assert all(ids.dtype == np.int64 and (len(ids) == 0 or ids.max() < tokenizer.vocab_size) for ids in encoded)
    assert not any(tokenizer.bos in ids for ids in encoded)


def test_the_byte_tokenizer_is_the_challenges():
    tokenizer = ByteTokenizer()
    assert (tokenizer.vocab_size, tokenizer.bos) == (260, 1)
    assert tokenizer.encode(["aé"])[0].tolist() == [4 + 0x61, 4 + 0xC3, 4 + 0xA9]


def test_a_saved_model_is_the_same_tokenizer(tmp_path):
    tokenizer = small_tokenizer()
    tokenizer.save(tmp_path)
    again = SentencePieceTokenizer.from_file(tmp_path / "tokenizer.model")
    assert again.describe() == tokenizer.describe()
    assert again.describe()["kind"] == "sentencepiece"


def test_a_file_that_is_no_model_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        SentencePieceTokenizer.from_file(tmp_path / "none.model")
    (tmp_path / "a.model").write_bytes(b"")
    with pytest.raises(ValueError, match=r"a\.model: the file is empty"):
        SentencePieceTokenizer.from_file(tmp_path / "a.model")
    (tmp_path / "a.model").write_bytes(b"not a model")
    with pytest.raises(ValueError, match=r"a\.model: not a SentencePiece model"):
        SentencePieceTokenizer.from_file(tmp_path / "a.model")


def test_a_model_without_bos_is_refused():
    import io

    import sentencepiece

    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([words(200)]), model_writer=model, vocab_size=300, bos_id=-1, byte_fallback=True, minloglevel=2
    )
    with pytest.raises(ValueError, match="no BOS piece"):
        SentencePieceTokenizer(model.getvalue())


@pytest.mark.parametrize("vocab_size", [1024, 8192])
def test_the_challenges_models_are_taken(vocab_size):
    path = SHARED_DATA / "tokenizers" / f"fineweb_{vocab_size}_bpe.model"
    if not path.is_file():
        pytest.skip(f"the challenge's tokenizer is not here: {path}")
    tokenizer = SentencePieceTokenizer.from_file(path)
    assert (tokenizer.vocab_size, tokenizer.bos) == (vocab_size, 1)
    assert tokenizer.decode(tokenizer.encode(["The quick brown fox"])[0]) == "The quick brown fox"
