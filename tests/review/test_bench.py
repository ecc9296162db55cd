"""The bench of the review: what is scored, how a label is met, and what its summary says."""

import importlib.util
from pathlib import Path

import pytest

from mulligan.review.finding import Finding
from mulligan.review.review import collect
from mulligan.review.sweep import Audited, Task
from small_clone import TRACK, git, put

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("bench_audit", ROOT / "bench" / "audit.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def entry(verdict, category, **more):
    return {"pr": 7, "verdict": verdict, "category": category, "head_sha": "main", "script_path": "train_gpt.py", **more}


def row(bench, label, *found):
    return bench.scored(label, Audited(Task(Path()), collect(found), 0.5, 1))


def test_what_a_script_cannot_show_is_not_scored(bench):
    kinds = [bench.kind(entry(*label)) for label in (("flag", "slot"), ("closed", "evidence"), ("clean", "size_over_cap"))]
    assert kinds == ["positive", "", "negative"]


def test_warnings_and_rules_of_evidence_do_not_count(bench):
    label = entry("flag", "slot")
    assert not row(bench, label, Finding("R8", "slot", "warning", "f", 1, ""))["found"]
    assert not row(bench, label, Finding("R1", "size_over_cap", "violation", "f", 1, ""))["found"]
    other = row(bench, label, Finding("R7", "two_pass", "violation", "f", 1, ""))
    assert (other["found"], other["right"]) == (True, False)
    assert row(bench, label, Finding("R8", "slot", "violation", "f", 1, ""))["right"]


def test_the_summary_counts_hits_and_false_positives(bench, capsys):
    slot = Finding("R8", "slot", "violation", "train_gpt.py", 3, "fits")
    rows = [
        row(bench, entry("flag", "slot"), slot),
        row(bench, entry("flag", "slot")),
        row(bench, entry("clean", "none"), slot),
        row(bench, entry("clean", "none")),
    ]
    bench.report(rows)
    printed = capsys.readouterr().out.splitlines()
    assert "all                              2      1   0.500  1.000      1/2 = 0.500" in printed
    assert "    7 R8 slot train_gpt.py:3 fits" in printed
    assert "right category: 1 of 1 hits = 1.000" in printed


def test_folders_are_taken_at_their_commit_and_a_script_in_the_root_alone(bench, tmp_path):
    root = tmp_path / "clone"
    root.mkdir()
    put(root, "train_gpt.py", "x = 1\n")
    put(root, "other.py", "y = 1\n")
    put(root, f"{TRACK}/mine/train_gpt.py", "x = 2\n")
    put(root, f"{TRACK}/mine/logs/a.log", "loss\n")
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "all")
    labels = [entry("flag", "slot"), entry("flag", "slot", pr=8, script_path=f"{TRACK}/mine/train_gpt.py")]
    bench.extract(root, labels, tmp_path / "out")
    written = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert written == {"7/train_gpt.py", "8/train_gpt.py", "8/logs/a.log"}
