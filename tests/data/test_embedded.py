"""The embedded corpus: documentation of this Python, read without importing it, split by document."""

import ast
import hashlib
import sys
import time
from pathlib import Path

import pytest

from mulligan.data import embedded
from mulligan.data.embedded import read_embedded, source_digest, source_files


@pytest.fixture(scope="module")
def splits():
    before = set(sys.modules)
    found = read_embedded()
    assert not {name for name in set(sys.modules) - before if name.split(".")[0] in ("pydoc_data", "antigravity", "turtle")}
    return found


def test_it_holds_hundreds_of_documents_and_about_two_megabytes(splits):
    train, validation = splits
    assert 350 <= len(train) + len(validation) <= 700
    assert 1_500_000 <= sum(len(document.text.encode("utf-8")) for document in train + validation) <= 4_000_000


def test_about_one_document_in_ten_is_held_out_and_none_is_in_both_splits(splits):
    train, validation = splits
    assert 0.05 <= len(validation) / (len(train) + len(validation)) <= 0.16
    texts = [document.text for document in train + validation]
    assert len(set(texts)) == len(texts)
    assert len({document.name for document in train + validation}) == len(texts)


def test_it_holds_topics_and_docstrings_as_written(splits):
    texts = {document.name: document.text for split in splits for document in split}
    tree = ast.parse(Path(next(path for path in source_files() if path.name == "textwrap.py")).read_text("utf-8"))
    assert ast.get_docstring(tree) in texts["module textwrap"]
    assert "wrap(" in texts["module textwrap"]
    assert "topic lambda" in texts


def test_reading_again_gives_the_same_documents_in_the_same_order(splits, monkeypatch):
    files = [path for path in source_files() if path.name in ("topics.py", "textwrap.py", "csv.py", "shlex.py", "queue.py")]
    monkeypatch.setattr(embedded, "source_files", lambda: tuple(files))
    assert read_embedded() == read_embedded()
    names = [[document.name for document in split] for split in splits]
    for part, whole in zip(read_embedded(), names, strict=True):
        chosen = {document.name for document in part}
        assert [document.name for document in part] == [name for name in whole if name in chosen]


def test_the_digest_is_that_of_the_source_files_and_quick(tmp_path, monkeypatch):
    source_digest.cache_clear()
    began = time.perf_counter()
    digest = source_digest()
    assert time.perf_counter() - began < 2  # 0.05 s where nothing else runs
    assert len(digest) == 64

    (tmp_path / "a.py").write_text('"""A."""')
    monkeypatch.setattr(embedded, "source_files", lambda: (tmp_path / "a.py",))
    source_digest.cache_clear()
    assert source_digest() == hashlib.sha256(hashlib.sha256(b'"""A."""').digest()).hexdigest() != digest
    (tmp_path / "a.py").write_text('"""B."""')
    source_digest.cache_clear()
    assert source_digest() != hashlib.sha256(hashlib.sha256(b'"""A."""').digest()).hexdigest()
    source_digest.cache_clear()


def test_a_python_without_documentation_is_a_clear_error(tmp_path, monkeypatch):
    monkeypatch.setattr(embedded.sysconfig, "get_paths", lambda: {"stdlib": str(tmp_path)})
    source_files.cache_clear()
    with pytest.raises(ValueError, match="ships no documentation"):
        source_files()
    source_files.cache_clear()
