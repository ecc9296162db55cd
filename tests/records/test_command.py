"""`mulligan records`, from a clone to a page, and `mulligan compare` of a folder of logs."""

import csv
import json
import os
import sys
from pathlib import Path

import pytest

from mulligan.cli.main import main
from mulligan.records.log_folder import arm_of
from small_clone import HEAD, MINE, THEIRS, log_text, put


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["mulligan", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


@pytest.fixture
def table(clone, tmp_path, monkeypatch, capsys):
    path = tmp_path / "records.parquet"
    assert run(monkeypatch, "records", "import", clone, "--heads", "12", "--out", path) == 0
    assert "8 of 8 seeds (100.0%)" in capsys.readouterr().out
    return path


def test_from_a_clone_to_a_page(table, tmp_path, monkeypatch, capsys):
    page, rows = tmp_path / "page.html", tmp_path / "rows.csv"
    assert run(monkeypatch, "records", "table", table, "--out", page, "--csv", rows) == 0
    printed = capsys.readouterr().out
    assert "-40,000 OVER" in printed
    assert "PR 12 (head)" in printed
    assert [row["folder"] for row in csv.DictReader(rows.read_text().splitlines())] == [HEAD, MINE, THEIRS]
    html = page.read_text()
    assert html.count("<svg") == 1
    assert "<script" not in html
    assert "payload without code" in html
    assert run(monkeypatch, "records", "table", table, "--against", "12", "--json") == 0
    assert json.loads(capsys.readouterr().out)[1]["parent"].startswith("PR 12")
    assert run(monkeypatch, "records", "table", table, "--against", "999") == 2


def test_lineage_noise_and_findings(table, monkeypatch, capsys):
    assert run(monkeypatch, "records", "lineage", table) == 0
    assert "README.md:3" in capsys.readouterr().out
    assert run(monkeypatch, "records", "noise", table, "--json") == 0
    assert json.loads(capsys.readouterr().out)[-1]["lineage"] == "all"
    assert run(monkeypatch, "records", "findings", table, "--json") == 0
    assert {row["name"] for row in json.loads(capsys.readouterr().out)} >= {"disagreement", "missing", "cannot read"}


def test_errors_are_sentences(tmp_path, monkeypatch, capsys):
    (tmp_path / "no.parquet").write_text("no")
    for arguments in (
        ["records", "import", tmp_path, "--out", tmp_path / "r.parquet"],
        ["records", "table", tmp_path / "no.parquet"],
        ["records", "noise", tmp_path / "none.parquet"],
        ["compare", tmp_path],
    ):
        assert run(monkeypatch, *arguments) == 2
        assert capsys.readouterr().err.startswith("mulligan: ")


@pytest.fixture
def logs(tmp_path):
    for arm, scores, payload in (("control", (1.2, 1.203, 1.1985), 15_000_000), ("no_swa", (1.19, 1.192, 1.1891), 15_960_000)):
        for seed, score in enumerate(scores, 1):
            put(tmp_path, f"logs/{arm}_seed{seed}.log", log_text(seed, score, payload=payload))
    put(tmp_path, "logs/matrix.log", log_text(1, 1.2) + "\n" + log_text(1, 1.19, payload=15_960_000))
    put(tmp_path, "logs/notes.txt", "nothing here\n")
    put(tmp_path, "logs/no_swa_seed3_again.log", log_text(3, 1.18))
    put(tmp_path, "logs/unseeded.log", log_text(1, 1.3).replace("seed:1\n", ""))
    return tmp_path / "logs"


def test_compare_a_folder_of_logs(logs, monkeypatch, capsys):
    assert run(monkeypatch, "compare", logs, "--margin", "0.001") == 0
    printed = capsys.readouterr().out
    for words in (
        "over by 10,000",
        "matrix.log, matrix.log#2: says what another log says, to the digit; left out",
        "notes.txt: neither training steps nor a score were found",
        "not compared: unseeded.log: no seed in its name or log",
        "arm=no_swa - arm=control: OVER BUDGET (paired by seed)",
        "arm=no_swa_again",
    ):
        assert words in printed
    assert run(monkeypatch, "compare", logs, "--metric", "final_int6_roundtrip_exact", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["reading"] == "final_int6_roundtrip_exact"
    assert found["arms"][0]["values"] == {"1": 1.22, "2": 1.223, "3": 1.2185}
    assert found["runs"][0]["numbers"]["steps"] == 900
    assert run(monkeypatch, "compare", logs, "--metric", "nothing") == 2
    assert "final_int6_sliding_window_exact" in capsys.readouterr().err
    assert run(monkeypatch, "compare", logs, "--factors", "arm") == 2


@pytest.mark.parametrize(
    ("path", "arm"),
    [
        ("control_seed42.log", "control"),
        ("no_swa_qat_seed2024_v3.log", "no_swa_qat_v3"),
        ("logs/train_seed_7.txt", "train"),
        ("big/seed1.log", "big"),
        ("hybrid_s42.txt", "hybrid"),
        ("seed3.log", "run"),
    ],
)
def test_the_arm_in_a_name(path, arm):
    assert arm_of(path) == arm


@pytest.mark.skipif("RECORDS_CLONE" not in os.environ, reason="set RECORDS_CLONE to a clone of the challenge's repository")
def test_the_challenges_own_records(tmp_path, monkeypatch, capsys):
    clone = Path(os.environ["RECORDS_CLONE"])
    assert run(monkeypatch, "records", "import", clone, "--out", tmp_path / "r.parquet", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["records"] >= 60
    assert found["whole_seeds"] >= 0.95 * found["seeds"]
