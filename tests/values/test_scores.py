"""Scores: what is saved is loaded bit for bit, equal values give equal bytes, and foreign files are refused."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mulligan.values.scores import Scores


def scores(num_positions=200, num_documents=7, seed=0, raw=True) -> Scores:
    rng = np.random.default_rng(seed)
    documents = {"nats": rng.random(num_documents), "tokens": rng.integers(0, 99, num_documents)}
    documents |= {name: rng.integers(0, 2**40, num_documents) for name in ("piece_bytes", "raw_bytes")[: 1 + raw]}
    return Scores(
        rng.gamma(2.0, 1.0, num_positions).astype(np.float32),
        np.sort(rng.integers(0, num_documents, num_positions)).astype(np.int32),
        rng.integers(0, 1024, num_positions).astype(np.int32),
        documents,
        {"windows": "flat", "bits_per_byte": 1.25, "legal": True},
    )


def assert_same(found: Scores, expected: Scores) -> None:
    for name in ("nats", "document", "position_in_window"):
        assert_same_bits(getattr(found, name), getattr(expected, name))
    assert list(found.documents) == list(expected.documents)
    for name, column in expected.documents.items():
        assert_same_bits(found.documents[name], column)
    assert found.summary == expected.summary


def assert_same_bits(found, expected) -> None:
    assert found.dtype == expected.dtype
    assert found.tobytes() == expected.tobytes()


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@settings(max_examples=25, deadline=None)
@given(num_positions=st.integers(0, 3000), num_documents=st.integers(1, 50), seed=st.integers(0, 99), raw=st.booleans())
def test_what_is_saved_is_loaded_bit_for_bit(num_positions, num_documents, seed, raw, tmp_path_factory):
    folder, value = tmp_path_factory.mktemp("scores"), scores(num_positions, num_documents, seed, raw)
    value.save(folder)
    assert_same(Scores.load(folder), value)


def test_scores_of_more_than_one_row_group_and_page_survive(tmp_path):
    value = scores(1_100_000, 20_000)
    value.save(tmp_path)
    assert_same(Scores.load(tmp_path), value)


def test_equal_scores_give_equal_bytes(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        value = scores()
        summary = dict(reversed(value.summary.items())) if name == "b" else value.summary
        Scores(value.nats, value.document, value.position_in_window, value.documents, summary).save(tmp_path / name)
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_the_summary_is_readable_without_us(tmp_path):
    scores().save(tmp_path)
    assert json.loads((tmp_path / "summary.json").read_text("utf-8")) == scores().summary


@pytest.mark.parametrize("name", ["tokens.parquet", "documents.parquet", "summary.json"])
def test_a_file_that_is_no_table_is_refused(tmp_path, name):
    scores().save(tmp_path)
    (tmp_path / name).write_text("hello")
    with pytest.raises(ValueError, match="not scores of ours") as caught:
        Scores.load(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}: ")


def test_a_table_with_other_columns_is_refused(tmp_path):
    scores().save(tmp_path)
    pq.write_table(pa.table({"losses": [1.0]}), tmp_path / "tokens.parquet")
    with pytest.raises(ValueError, match=r"not scores of ours.*nats"):
        Scores.load(tmp_path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"tokens\.parquet"):
        Scores.load(tmp_path)
