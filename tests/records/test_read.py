"""A record folder as rows: figures with file and line, disagreements, and nothing that stops it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from mulligan.records.read import read_record
from mulligan.records.table import read_table, write_table
from mulligan.records.tree import RecordFolder, read_folders
from small_clone import BROKEN, HEAD, MINE, log_text


def rows_of(clone, name, heads=()):
    return read_record(next(folder for folder in read_folders(clone, heads) if folder.name == name))


def findings(rows):
    return [(row.name, row.text, row.file, row.line) for row in rows if row.kind == "finding"]


def test_every_figure_stands_where_its_row_says(clone):
    folder = next(folder for folder in read_folders(clone) if folder.name == MINE)
    rows = [row for row in read_record(folder) if row.kind in ("run", "stated")]
    assert {row.name for row in rows if row.kind == "run"} >= {"steps", "seed", "train_seconds", "payload_bytes", "total_bytes"}
    for row in rows:
        line = folder.files[row.file].decode().splitlines()[row.line - 1]
        assert row.text in line


def test_what_disagrees_is_listed_with_both_sides(clone):
    found = findings(rows_of(clone, MINE))
    texts = [text for name, text, _, _ in found if name == "disagreement"]
    assert len(texts) == 2
    assert "901 is stated for seed 2 (steps, Steps); the nearest in a log is 900 (steps; train_seed2.log, line 3)" in texts[0]
    assert "15990000 is stated (total_bytes, bytes_total): that is the payload without code" in texts[1]
    assert ("missing", "no log of seed 9, of which figures are stated", "README.md", 9) in found
    assert [text for name, text, _, _ in found if name == "same run twice"] == [
        "train.log says what train_seed1.log says; it counts once"
    ]


def test_what_cannot_be_read_is_listed(clone):
    rows = rows_of(clone, BROKEN)
    assert [row.kind for row in rows if row.kind not in ("finding", "about")] == []
    assert {(name, file) for name, _, file, _ in findings(rows)} == {
        ("cannot read", "submission.json"),
        ("no run in a log", "train.log"),
        ("missing", ""),
    }
    assert next(line for name, _, _, line in findings(rows) if name == "cannot read") == 2


def test_two_runs_of_one_log_have_names_and_seeds(clone):
    rows = rows_of(clone, HEAD, ["12"])
    assert {(row.run, row.seed) for row in rows if row.kind == "run"} == {("logs/train.log", 5), ("logs/train.log#2", 6)}
    assert {row.pull_request for row in rows} == {12}


def test_a_log_that_contradicts_itself_or_its_name():
    log = log_text(4, 1.2).replace("Code size: 50000", "Code size: 50001")
    found = findings(read_record(RecordFolder("t", "2026-01-01_A", {"train_seed7.log": log.encode()})))
    assert {text for name, text, _, _ in found if name == "disagreement"} == {
        "the file is named for seed 7, the log says seed 4",
        "payload 15,000,000 + code 50,001 = 15,050,001 bytes, the log states a total of 15,050,000",
    }


def test_the_table_comes_back_as_it_was_written(clone, tmp_path):
    rows = [row for folder in read_folders(clone, ["12"]) for row in read_record(folder)]
    write_table(tmp_path / "t.parquet", rows)
    assert read_table(tmp_path / "t.parquet") == rows


pieces = st.sampled_from(
    [
        b"step:5/9 val_loss:1 val_bpb:nan\n",
        b'{"seed_results": {"1": 2}}',
        b"| Seed | BPB |\n| 1 | 1.2 |\n",
        b"\xff\xfe\x00",
        b"seed:1",
    ]
)


@settings(max_examples=60)
@given(
    st.dictionaries(
        st.sampled_from(["README.md", "submission.json", "train.log", "logs/train_seed1.txt", "requirements.txt"]),
        st.lists(pieces | st.binary(max_size=40), max_size=4).map(b"".join),
    )
)
def test_no_folder_stops_the_reading(files):
    read_record(RecordFolder("track_10min_16mb", "2026-01-01_A", files))
