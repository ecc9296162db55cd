"""Documents from local files: order, kinds of files, and errors that name file and line."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mulligan.data.document import read_documents

TEXTS = ["one", "two\nlines", "drei Straßen", "四"]


def texts_of(source) -> list[str]:
    return [document.text for document in read_documents(source)]


def as_jsonl(texts) -> bytes:
    return b"".join(json.dumps({"id": i, "text": text}).encode() + b"\n" for i, text in enumerate(texts))


def test_jsonl_keeps_documents_and_their_order(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(as_jsonl(TEXTS) + b"\n")
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(as_jsonl(TEXTS)))
    assert texts_of(tmp_path / "a.jsonl") == texts_of(tmp_path / "a.jsonl.gz") == TEXTS
    assert [document.name for document in read_documents(tmp_path / "a.jsonl")][1] == f"{tmp_path / 'a.jsonl'}:2"


def test_jsonl_with_a_byte_order_mark_is_read(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b"\xef\xbb\xbf" + as_jsonl(TEXTS))
    assert texts_of(tmp_path / "a.jsonl") == TEXTS


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string()])
def test_parquet_keeps_documents_and_their_order(tmp_path, kind):
    many = TEXTS * 700
    pq.write_table(pa.table({"text": pa.array([*many, None], kind), "n": range(len(many) + 1)}), tmp_path / "a.parquet")
    assert texts_of(tmp_path / "a.parquet") == many


def test_a_text_file_is_one_document_and_a_folder_is_its_files_in_order(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "z.txt").write_text("last", "utf-8")
    (tmp_path / "a.txt").write_text("first\n\nstill first\n", "utf-8")
    (tmp_path / "b" / "k.jsonl").write_bytes(as_jsonl(["in between"]))
    (tmp_path / ".hidden").write_bytes(b"\xff")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "index").write_bytes(b"\xff")
    assert texts_of(tmp_path) == ["first\n\nstill first\n", "in between", "last"]


def test_text_is_taken_as_it_is_line_ends_too(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"one\r\ntwo\rthree\n")
    assert texts_of(tmp_path / "a.txt") == ["one\r\ntwo\rthree\n"]
    (tmp_path / "a.jsonl").write_bytes(as_jsonl(["one\r\ntwo\u2028three\x85"]).replace(b"\n", b"\r\n"))
    assert texts_of(tmp_path / "a.jsonl") == ["one\r\ntwo\u2028three\x85"]


def test_documents_without_text_are_skipped(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(as_jsonl(["", "x", " \n"]))
    assert texts_of(tmp_path / "a.jsonl") == ["x"]


@pytest.mark.parametrize(
    "line",
    [b"{", b"[1]", b'{"text": 3}', b'{"title": "x"}', b'{"text": "\xff"}', b'{"text": "\\ud800"}', b"\x00", b"[" * 200_000],
)
def test_a_line_that_is_no_document_is_named(tmp_path, line):
    (tmp_path / "a.jsonl").write_bytes(as_jsonl(["fine"]) + line + b"\n" + as_jsonl(["never reached"]))
    with pytest.raises(ValueError, match=r'a\.jsonl:2: .*Each line must be a JSON object with a string "text"'):
        texts_of(tmp_path / "a.jsonl")


@pytest.mark.parametrize("damage", ["cut", "flipped", "not gzip"])
def test_a_damaged_gzip_file_is_named(tmp_path, damage):
    packed = bytearray(gzip.compress(as_jsonl([f"{i} some text" for i in range(500)])))
    if damage == "flipped":
        packed[len(packed) // 2] ^= 255
    content = {"cut": packed[:-50], "flipped": packed, "not gzip": as_jsonl(["x"])}[damage]
    (tmp_path / "a.jsonl.gz").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.jsonl\.gz.*(damaged|JSON)"):
        texts_of(tmp_path / "a.jsonl.gz")


def test_parquet_without_a_text_column_of_strings_is_refused(tmp_path):
    for column in ({"content": ["x"]}, {"text": [1]}):
        pq.write_table(pa.table(column), tmp_path / "a.parquet")
        with pytest.raises(ValueError, match=r'a\.parquet: no column "text" of strings; it has'):
            texts_of(tmp_path / "a.parquet")


def test_damaged_parquet_is_named(tmp_path):
    pq.write_table(pa.table({"text": ["some text " * 50] * 3000}), tmp_path / "a.parquet")
    content = bytearray((tmp_path / "a.parquet").read_bytes())
    content[30:60] = b"\xff" * 30
    (tmp_path / "a.parquet").write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.parquet: cannot be read as Parquet"):
        texts_of(tmp_path / "a.parquet")
    (tmp_path / "a.parquet").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"a\.parquet: cannot be read as Parquet"):
        texts_of(tmp_path / "a.parquet")


def test_a_missing_source_and_text_that_is_not_utf8_are_refused(tmp_path):
    with pytest.raises(ValueError, match="no such file or folder"):
        texts_of(tmp_path / "none")
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match=r"a\.txt: not UTF-8 text"):
        texts_of(tmp_path / "a.txt")
