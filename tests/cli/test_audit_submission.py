"""`mulligan audit PATH` on submissions: exit codes, table, JSON, Markdown, cards."""

import json
import re

import pytest

from mulligan.cli.main import make_app
from mulligan.review import many
from mulligan.review import review as reviewing
from mulligan.review.finding import Finding, NotChecked
from mulligan.review.rule import Rule
from small_clone import TRACK, git, put

FOUND = Finding("R6", "ngram_cache", "violation", "train_gpt.py", 7, "a table keyed by the target")


def call(*arguments):
    return make_app()([str(argument) for argument in arguments], exit_on_error=False)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "entry").mkdir()
    (tmp_path / "entry" / "train_gpt.py").write_text("raise SystemExit('never run')\n")
    return tmp_path / "entry"


@pytest.fixture
def broken(monkeypatch):
    """One rule that finds something in everything."""
    rules = (Rule("R6", "A title", "- **Why it matters**: it does", lambda subject: iter([FOUND])),)
    monkeypatch.setattr(reviewing.review, "__defaults__", (rules, *reviewing.review.__defaults__[1:]))


def test_a_finding_is_exit_code_1_with_file_and_line(folder, broken, capsys):
    assert call("audit", folder) == 1
    printed = capsys.readouterr().out
    assert re.search(r"R6 +n-gram caches and blends +FAIL", printed)
    assert "train_gpt.py:7" in printed
    assert "FAILS: R6" in printed
    assert call("audit", folder / "train_gpt.py", "--json") == 1
    data = json.loads(capsys.readouterr().out)
    assert (data["verdict"], data["findings"]) == ("findings", [vars(FOUND)])


def test_the_review_is_written(folder, broken, tmp_path, capsys):
    call("audit", folder, "--review", tmp_path / "review.md")
    assert "- `train_gpt.py:7` (ngram_cache)" in (tmp_path / "review.md").read_text()
    assert "written" in capsys.readouterr().out


def test_without_findings_it_is_0(folder, monkeypatch, capsys):
    monkeypatch.setattr(reviewing.review, "__defaults__", ((), *reviewing.review.__defaults__[1:]))
    assert call("audit", folder, "--json") == 0
    assert json.loads(capsys.readouterr().out)["verdict"] == "clean"


def test_usage_is_told(folder):
    with pytest.raises(ValueError, match="Give a submission's folder"):
        call("audit")
    with pytest.raises(ValueError, match="no such rule"):
        call("audit", "--explain", "R99")


def test_explain_shows_a_card_and_all_lists_every_rule(capsys):
    assert call("audit", "--explain", "r1") == 0
    assert "What it cannot see" in capsys.readouterr().out
    assert call("audit", "--explain", "all", "--json") == 0
    assert {"R1", "R2", "R11"} <= {rule["code"] for rule in json.loads(capsys.readouterr().out)["rules"]}


def test_run_adds_what_the_smoke_test_says(folder, monkeypatch, capsys):
    said = [NotChecked("R12", "smoke test: import: KeyError")], {"width": 16}
    monkeypatch.setattr("mulligan.review.smoke.run.smoke", lambda subject: said)
    call("audit", folder, "--run")
    printed = capsys.readouterr().out
    assert "smoke test: import: KeyError" in printed
    assert "run        width 16" in printed
    call("audit", folder)
    assert "smoke test" not in capsys.readouterr().out


@pytest.fixture
def repository(tmp_path):
    root = tmp_path / "clone"
    root.mkdir()
    put(root, f"{TRACK}/old/train_gpt.py", "x = 1\n")
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "base")
    git(root, "checkout", "-qb", "mine")
    put(root, f"{TRACK}/new/train_gpt.py", "x = 2\n")
    put(root, f"{TRACK}/new/README.md", "# new\n")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "new")
    put(root, f"{TRACK}/newer/train_gpt.py", "x = 3\n")
    put(root, f"{TRACK}/newer/README.md", "# Non-record: newer\n")
    return root


def test_since_reviews_what_a_branch_adds(repository, tmp_path, capsys):
    assert call("audit", repository, "--since", "main", "--json", "--csv", tmp_path / "rows.csv") == 1
    data = json.loads(capsys.readouterr().out)
    verdicts = {one["folder"]: one["verdict"] for one in data["folders"]}
    assert verdicts == {f"{TRACK}/new": "findings", f"{TRACK}/newer": "clean"}
    assert len((tmp_path / "rows.csv").read_text().splitlines()) == 3
    assert call("audit", repository / TRACK, "--since", "mine") == 0
    assert f"{TRACK}/newer" in capsys.readouterr().out
    with pytest.raises(ValueError, match="--since"):
        call("audit", repository, "--since", "nowhere")


def test_a_clone_is_reviewed_folder_by_folder_and_grouped(repository, monkeypatch, capsys):
    monkeypatch.setattr(many.review_clone, "__kwdefaults__", {**many.review_clone.__kwdefaults__, "processes": 0})
    assert call("audit", repository) == 1
    printed = capsys.readouterr().out
    assert "3 folders" in printed
    assert "R11 evidence" in printed
