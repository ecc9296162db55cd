"""The byte table (bug B14): the bytes counted over a document are those of its normalised text, no more and no fewer."""

import io
from functools import cache

import numpy as np
import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from mulligan.values.byte_table import ByteTable
from small_text import SHARED_DATA, small_tokenizer, words
from toy_text import ODD_TEXTS, babble, model_bytes

any_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=60) | st.lists(
    st.sampled_from(["over", " ", "  ", "é", "\n", "▁", "42", "ﬁ", "你", "👩‍👧", "\u00a0", "sun."]), max_size=20
).map("".join)


def counted(table: ByteTable, bos: int, ids: list[int]) -> int:
    stream = np.array([bos, *ids], np.int64)
    return int(table.bytes_of(stream[:-1], stream[1:]).sum())


@cache
def with_dummy_prefix() -> sentencepiece.SentencePieceProcessor:
    """Return a model that puts a space before the first word, as most models but the challenge's do."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([words(30, seed=i) for i in range(50)]),
        model_writer=model,
        model_type="bpe",
        vocab_size=330,
        byte_fallback=True,
        minloglevel=2,
    )
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())


@settings(max_examples=200, deadline=None)
@given(text=any_text)
def test_bytes_of_a_document_are_those_of_its_normalised_text(text):
    pieces = small_tokenizer().pieces
    ids = pieces.encode(text)
    normalised = pieces.normalize(text).replace("▁", " ")
    assert (
        counted(ByteTable.of_pieces(pieces), 1, ids)
        == len(normalised.encode("utf-8"))
        == len(pieces.decode(ids).encode("utf-8"))
    )


@settings(max_examples=100, deadline=None)
@given(text=any_text)
def test_the_space_of_the_first_word_is_not_counted(text):
    pieces = with_dummy_prefix()
    normalised = pieces.normalize(text).replace("▁", " ")
    assert normalised == "" or normalised.startswith(" ")
    expected = max(len(normalised.encode("utf-8")) - 1, 0)
    assert counted(ByteTable.of_pieces(pieces), pieces.bos_id(), pieces.encode(text)) == expected


@pytest.mark.parametrize("vocab_size", [1024, 8192])
def test_the_challenges_models_count_normalised_bytes(vocab_size):
    path = SHARED_DATA / "tokenizers" / f"fineweb_{vocab_size}_bpe.model"
    if not path.is_file():
        pytest.skip(f"the challenge's tokenizer is not here: {path}")
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(path))
    table = ByteTable.of_pieces(pieces)
    for text in ["The quick brown fox.", " two  spaces\nand ﬁ ½ 你好 👩‍👧 é\t", "▁x\x00y", ""]:
        assert counted(table, 1, pieces.encode(text)) == len(pieces.normalize(text).replace("▁", " ").encode("utf-8"))


SETTINGS = {
    "the challenge's": {},
    "dummy prefix": {"add_dummy_prefix": True},
    "spaces kept": {"remove_extra_whitespaces": False},
    "not normalised": {"normalization_rule_name": "identity"},
    "every character a piece": {"character_coverage": 1.0, "vocab_size": 600},
    "unigram": {"model_type": "unigram"},
    "symbols of the user": {"user_defined_symbols": "<tag>,café"},
    "other special ids": {"pad_id": -1, "unk_id": 0, "bos_id": 3, "eos_id": 1},
    "another language": {"seed": 5, "vocab_size": 350},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS.keys())
def test_on_any_model_odd_documents_count_the_bytes_of_what_they_decode_to(settings):
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model_bytes(**settings))
    table = ByteTable.of_pieces(pieces)
    for text in (*ODD_TEXTS, " ".join(ODD_TEXTS), *babble(0)[:3], *babble(9)[:3]):
        ids = pieces.encode(text)
        assert pieces.unk_id() not in ids, "byte fallback leaves nothing unknown"
        spelt = pieces.decode(ids)
        first_space = spelt.startswith(" ") and pieces.id_to_piece(ids[0]).startswith("▁")
        assert counted(table, pieces.bos_id(), ids) == len(spelt.encode("utf-8")) - first_space, text


@pytest.mark.parametrize("settings", [{"split_by_whitespace": False}, {"treat_whitespace_as_suffix": True}], ids=str)
def test_a_trained_model_whose_pieces_hold_spaces_inside_is_refused(settings):
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model_bytes(vocab_size=450, **settings))
    assert any("▁" in pieces.id_to_piece(i)[1:] for i in range(pieces.vocab_size()))
    with pytest.raises(ValueError, match=r"holds a space inside.*split_by_whitespace"):
        ByteTable.of_pieces(pieces)


class Pieces:
    """A hand-made vocabulary with the interface of SentencePieceProcessor."""

    def __init__(self, pieces: list[tuple[str, str]]) -> None:
        self.pieces = pieces

    def vocab_size(self):
        return len(self.pieces)

    def id_to_piece(self, i):
        return self.pieces[i][0]

    def __getattr__(self, name):
        return lambda i: self.pieces[i][1] == name.removeprefix("is_")


def test_every_kind_of_piece_counts_as_written_in_levers_10_3():
    kinds = [
        ("<pad>", "control"),
        ("<unk>", "unknown"),
        ("<gone>", "unused"),
        ("<0xC3>", "byte"),
        ("▁the", "normal"),
        ("the", "normal"),
        ("▁", "normal"),
        ("▁é", "user_defined"),
    ]
    table = ByteTable.of_pieces(Pieces(kinds))
    assert table.base.tolist() == [0, 0, 0, 1, 3, 3, 0, 2]
    assert table.lead.tolist() == [False, False, False, False, True, False, True, True]
    assert table.boundary.tolist() == [True, True, True, False, False, False, False, False]
    for previous in range(len(kinds)):
        for target in range(len(kinds)):
            expected = table.base[target] + (1 if table.lead[target] and previous > 2 else 0)
            assert table.bytes_of(np.array([previous]), np.array([target])).tolist() == [expected]


@pytest.mark.parametrize("piece", ["▁of▁the", "of▁the", "▁▁"])
def test_a_piece_with_a_space_inside_is_refused(piece):
    with pytest.raises(ValueError, match="holds a space inside"):
        ByteTable.of_pieces(Pieces([("<s>", "control"), (piece, "normal")]))


@given(text=any_text)
@settings(max_examples=30, deadline=None)
def test_plain_bytes_count_one_each(text):
    content = text.encode("utf-8")
    assert counted(ByteTable.of_bytes(4), 1, [4 + byte for byte in content]) == len(content)
