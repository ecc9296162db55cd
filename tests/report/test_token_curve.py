"""Curves of stored scores against a loop over tokens, however files are cut; what is refused; the command and its page."""

import csv
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cli.test_main import as_json, run
from mulligan.evaluate.passage import Passage
from mulligan.report import token_curve
from mulligan.report.token_curve import NUM_BINS, Sums, token_curves, train_counts
from mulligan.values.scores import Scores
from toy import write_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("curves") / "corpus")


def passage_of(corpus):
    documents = corpus.documents("validation")
    return Passage.of_stream(corpus.tokens("validation"), documents, slice(0, 6), corpus.byte_table())


def save(corpus, folder, seed, /, **changes):
    """Write scores drawn at random, in windows of 16, as if they were of all six validation documents."""
    passage, rng = passage_of(corpus), np.random.default_rng(seed)
    size = passage.num_positions
    columns = {"updates": (np.arange(size) // 40).astype(np.int32)} if changes.pop("adapted", False) else {}
    total = int(passage.bytes_of(np.arange(size)).sum())
    summary = {"corpus": corpus.digest, "bytes_kind": "piece", "validation_documents": 6, "total_bytes": total, **changes}
    nats, position = rng.exponential(2.0, size).astype(np.float32), (np.arange(size) % 16).astype(np.int32)
    scores = Scores(nats, passage.document_of(0, size).astype(np.int32), position, {"nats": np.zeros(1)}, summary, **columns)
    folder.mkdir()
    scores.save(folder)
    return scores


def place_of(by, corpus, passage, scores, i):
    """Return the place and the bin of target i by the definition."""
    if by == "progress":
        return i + 1, i * 20 // passage.num_positions
    if by == "frequency":
        train = corpus.tokens("train")
        count = max(int((train.read(0, train.num_tokens) == passage.read(i + 1, i + 2)[0]).sum()), 0.5)
        return count, math.floor(math.log2(count)) + 1
    place = {
        "window": scores.position_in_window[i] + 1,
        "document": i - passage.starts[scores.document[i]] + 1,
        "updates": (scores.updates[i] if scores.updates is not None else 0) + 1,
    }[by]
    return place, math.floor(2 * math.log2(place) + 1e-9)


@pytest.mark.parametrize("batch", [7, 100_000])
@pytest.mark.parametrize("by", token_curve.BYS)
def test_curves_are_those_of_a_loop_however_the_files_are_cut(corpus, tmp_path, monkeypatch, by, batch):
    monkeypatch.setattr(token_curve, "BATCH_TOKENS", batch)
    plain, other = save(corpus, tmp_path / "a", 0), save(corpus, tmp_path / "b", 1, adapted=True)
    passage = passage_of(corpus)
    found = token_curves({"a": tmp_path / "a", "b": tmp_path / "b"}, [plain.summary, other.summary], corpus, by)
    sums = {}
    for i in range(passage.num_positions):
        place, bin_ = place_of(by, corpus, passage, other if by == "updates" else plain, i)
        size = int(passage.bytes_of(np.array([i]))[0])
        sums[bin_] = np.add(sums.get(bin_, 0), [1, place, size, plain.nats[i], other.nats[i]])
    held = [sums[bin_] for bin_ in sorted(sums) if sums[bin_][0] >= 10 and sums[bin_][2] > 0]
    tokens, places, size, first, second = np.array(held).T
    for curve, nats in zip(found.curves, (first, second), strict=True):
        np.testing.assert_array_equal(curve.tokens, tokens)
        np.testing.assert_allclose(curve.place, places / tokens)
        np.testing.assert_allclose(curve.bits_per_byte, nats / math.log(2) / size)
    np.testing.assert_allclose(found.difference, (second - first) / math.log(2) / size)
    several = np.isfinite(found.low)
    assert (found.low[several] <= found.difference[several]).all()
    assert (found.difference[several] <= found.high[several]).all()
    assert several.any()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, NUM_BINS - 1), st.integers(0, 3)), min_size=1, max_size=40))
def test_nothing_is_lost_between_bins_and_documents(rows):
    document, bins, times = (np.array(column) for column in zip(*sorted(rows), strict=True))
    sums, ones = Sums.empty(5), np.ones(len(rows))
    sums.add(document, bins, bins + 1, 2 * ones, 3 * ones, times)
    assert sums.nats.sum() == 2 * times.sum()
    assert sums.bytes.sum() == 3 * times.sum()
    assert sums.tokens.sum() == times.sum()
    for i in range(5):
        assert sums.nats[i].sum() == 2 * times[document == i].sum()


def test_raw_bytes_are_counted_in_total(corpus, tmp_path):
    raw = save(corpus, tmp_path / "raw", 0, bytes_kind="raw", total_bytes=5000)
    found = token_curves({"raw": tmp_path / "raw"}, [raw.summary], corpus, "progress").curves[0]
    assert found.bytes.sum() == pytest.approx(5000)
    nats = raw.nats.astype(float).sum()
    assert (found.bits_per_byte * found.bytes).sum() == pytest.approx(nats / math.log(2))


def test_other_windows_are_drawn_and_not_subtracted(corpus, tmp_path):
    first, second = save(corpus, tmp_path / "a", 0), save(corpus, tmp_path / "b", 1)
    moved = Scores(second.nats, second.document, second.position_in_window * 0, second.documents, second.summary)
    moved.save(tmp_path / "b")
    folders = {"a": tmp_path / "a", "b": tmp_path / "b"}
    assert token_curves(folders, [first.summary, moved.summary], corpus, "window").difference is None
    assert token_curves(folders, [first.summary, moved.summary], corpus, "document").difference is not None


@pytest.mark.parametrize(
    ("changes", "said"),
    [({"corpus": "0"}, "differ in corpus"), ({"bytes_kind": "raw"}, "bytes_kind"), ({"validation_documents": 2}, "documents")],
)
def test_scores_of_another_text_or_kind_are_never_subtracted(corpus, tmp_path, changes, said):
    first, second = save(corpus, tmp_path / "a", 0), save(corpus, tmp_path / "b", 1, **changes)
    with pytest.raises(ValueError, match=said):
        token_curves({"a": tmp_path / "a", "b": tmp_path / "b"}, [first.summary, second.summary], corpus, "window")


def test_updates_are_asked_of_an_adapted_score_and_every_target_must_be_there(corpus, tmp_path):
    plain = save(corpus, tmp_path / "a", 0)
    with pytest.raises(ValueError, match="Nothing was updated in these scores"):
        token_curves({"a": tmp_path / "a"}, [plain.summary], corpus, "updates")
    fewer = {**plain.summary, "validation_documents": 5}
    with pytest.raises(ValueError, match="Score again"):
        token_curves({"a": tmp_path / "a"}, [fewer], corpus, "document")


def test_train_counts_are_those_of_the_whole_split(corpus, monkeypatch):
    monkeypatch.setattr(token_curve, "BATCH_TOKENS", 100)
    stream = corpus.tokens("train")
    assert np.array_equal(train_counts(corpus), np.bincount(stream.read(0, stream.num_tokens), minlength=corpus.vocab_size))


def test_the_command_writes_a_page_and_a_table(corpus, tmp_path, monkeypatch, capsys):
    for name, seed in (("a", 0), ("b", 1)):
        save(corpus, tmp_path / name, seed)
    page, table = tmp_path / "page.html", tmp_path / "table.csv"
    names = [str(tmp_path / "a"), str(tmp_path / "b")]
    given = ["curves", *names, "--by", "document", "--data", corpus.folder, "--store", tmp_path / "store", "--out", page]
    rows = as_json(monkeypatch, capsys, *given, "--csv", table)
    with table.open() as file:
        assert [list(row) for row in csv.DictReader(file)] == [list(row) for row in rows]
    assert {"place", f"bits_per_byte {names[0]}", "difference", "low", "high"} <= rows[0].keys()
    assert "nothing of other seeds" in page.read_text()
    assert page.read_text().count("<svg") == 1
    assert run(monkeypatch, *given) == 0
    assert "95 % over documents" in capsys.readouterr().out
    given[given.index("document")] = "progress"  # a twentieth of the stream lies within one document: no interval
    assert any(row["low"] is None for row in as_json(monkeypatch, capsys, *given))
    assert run(monkeypatch, *given) == 0
    assert "nan" not in capsys.readouterr().out
    assert run(monkeypatch, "curves", names[0], names[0], "--store", tmp_path / "store") == 2
    assert "is given twice" in capsys.readouterr().err
    assert run(monkeypatch, "curves", names[0], "--store", tmp_path / "store") == 2
    assert "Give it: --data DIR" in capsys.readouterr().err
