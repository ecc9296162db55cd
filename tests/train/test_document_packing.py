"""Document packing against a slow reference: rows begin at documents, every document is read whole, pairs are adjacent."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mulligan.train.document_packing import PackedDocuments
from mulligan.train.loader import make_batches
from mulligan.values.corpus import Corpus, TokenStream
from toy import ToyStream, train_config, write_corpus

CPU = torch.device("cpu")


def rows_by_hand(documents, seq_len):
    """Return the rows of documents (lists of tokens) in order: token by token, going back to the last beginning."""
    line, may_begin = [], []
    for document in documents:
        for i, token in enumerate(document):
            line.append(token)
            may_begin.append(i % seq_len == 0)
    rows, place = [], 0
    while place + seq_len + 1 <= len(line):
        rows.append(line[place : place + seq_len + 1])
        place += seq_len
        while not may_begin[place]:
            place -= 1
    return rows


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=12), st.integers(1, 15), st.randoms(use_true_random=False))
def test_rows_agree_with_the_reference(lengths, seq_len, random):
    stream = ToyStream(sum(lengths))
    stream.tokens = np.arange(stream.num_tokens)
    starts, num_tokens = np.cumsum(lengths) - lengths, np.array(lengths)
    order = random.sample(range(len(lengths)), len(lengths))
    packed = PackedDocuments(starts[order], num_tokens[order], seq_len)
    found = [packed.row(stream, i, seq_len + 1).tolist() for i in range(len(packed.rows))]
    assert found == rows_by_hand([list(range(starts[i], starts[i] + num_tokens[i])) for i in order], seq_len)


def test_what_a_row_cuts_off_begins_the_next_one():
    """Documents A (5 tokens), B (4), C (11) in this order, rows of 6: A and a token of B; B and 2 of C; C in cuts."""
    packed = PackedDocuments(np.array([0, 5, 9]), np.array([5, 4, 11]), 6)
    stream = ToyStream(20)
    stream.tokens = np.arange(20)
    rows = [packed.row(stream, i, 7).tolist() for i in range(len(packed.rows))]
    assert rows == [[0, 1, 2, 3, 4, 5, 6], [5, 6, 7, 8, 9, 10, 11], [9, 10, 11, 12, 13, 14, 15]]


def batches(stream, seed=0, **changes):
    return make_batches(train_config(loader={"kind": "document-packing"}, **changes), stream, seed)


def test_on_a_corpus_rows_begin_at_bos_and_documents_are_whole(tmp_path):
    """Toy documents have at most 60 tokens: in rows of 64 each row begins with BOS, and each document is whole in a row."""
    corpus = write_corpus(tmp_path / "corpus")
    stream, documents = Corpus.load(corpus.folder).tokens("train"), corpus.documents("train")
    texts = [tuple(stream.read(s, s + n)) for s, n in zip(documents.starts, documents.num_tokens, strict=True)]
    run = batches(stream, seq_len=64, batch_tokens=64)
    num_rows = len(run._pack(0).rows)
    inputs = [run.next(CPU)[0][0].tolist() for _ in range(num_rows)]
    assert all(row[0] == texts[0][0] for row in inputs)
    whole = [text for text in texts if any(row[i : i + len(text)] == list(text) for row in inputs for i in range(64))]
    assert len(whole) >= len(texts) - 4  # at most the last 64 tokens of the order are left out
    assert run.start in documents.starts


def test_the_cursor_alone_is_the_state():
    run = batches(ToyStream(), batch_tokens=8)
    num_rows = len(run._pack(0).rows)
    rows = [run.next(CPU)[0] for _ in range(2 * num_rows + 20)]  # two epochs and more
    for cut in (0, 1, num_rows - 1, num_rows, num_rows + 1, 2 * num_rows + 5):
        resumed = batches(ToyStream(), batch_tokens=8)
        resumed.cursor = run.cursor = 8 * cut  # of the run itself too: backwards, as after a warm-up
        assert all(torch.equal(row, resumed.next(CPU)[0]) for row in rows[cut:])
        assert all(torch.equal(row, run.next(CPU)[0]) for row in rows[cut:])


def test_every_epoch_has_an_order_of_its_own_and_so_has_every_seed():
    run = batches(ToyStream(), batch_tokens=8)
    epochs = [run._pack(epoch).shift.tolist() for epoch in range(3)]
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert all(len(epoch) == len(ToyStream().documents.starts) for epoch in epochs)
    assert batches(ToyStream(), seed=1)._pack(0).shift.tolist() != epochs[0]


def test_batches_are_the_same_rows_however_many_are_taken_at_once():
    one, many = batches(ToyStream(), batch_tokens=8), batches(ToyStream(), batch_tokens=40)
    assert torch.equal(torch.cat([one.next(CPU)[1] for _ in range(100)]), torch.cat([many.next(CPU)[1] for _ in range(20)]))


def test_a_stream_without_documents_or_without_a_batch_is_refused(tmp_path):
    with pytest.raises(ValueError, match="500 tokens and one batch takes 513"):
        batches(ToyStream(), batch_tokens=512)
    (tmp_path / "a.bin").write_bytes(bytes(1024 + 200))
    with pytest.raises(ValueError, match="Nothing says where documents begin"):
        batches(TokenStream([tmp_path / "a.bin"]))
