"""`mulligan audit PATH` on submissions: exit codes, table, JSON, Markdown, cards."""

import json

import pytest

from mulligan.cli.main import make_app
from mulligan.review import review as reviewing
from mulligan.review.finding import Finding
from mulligan.review.rule import Rule

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
    assert "R6    n-gram caches and blends     FAIL" in printed
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
