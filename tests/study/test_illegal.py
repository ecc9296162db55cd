"""A study may name what breaks the rules, and says so beside every score of it."""

from mulligan.cli.study import print_result
from mulligan.core.config import parse_config
from mulligan.core.execution import Execution
from mulligan.engine.inline import run_jobs
from mulligan.engine.job import corpus_at
from mulligan.recipe import Recipe, to_toml
from mulligan.report.study_page import study_page
from mulligan.store.store import Store
from mulligan.study.config import load_study
from mulligan.study.plan import lay_study
from mulligan.study.result import read_study
from toy import recipe_data, write_corpus

STUDY = """
question = "What is SLOT worth?"
phase = "explore"
recipe = "{recipe}"
seeds = [0, 1, 2]
budget = {{kind = "steps"}}
design = {{kind = "one-at-a-time"}}
margin_bpb = 0.01
metric = {{point = "adapted", windows = "sliding"}}
secondary = [{{kind = "score", name = "before", of = {{point = "quantized", windows = "sliding"}}}}]
[factors.adaptation.levels]
off = {{"evaluate.adaptation" = {{kind = "off"}}}}
slot = {{"evaluate.adaptation" = {{kind = "slot", lr = 0.05}}}}
"""


def test_an_arm_with_an_illegal_score_says_so(tmp_path, capsys):
    corpus = write_corpus(tmp_path / "corpus")
    (tmp_path / "toy.toml").write_text(to_toml(parse_config(Recipe, recipe_data(average={"kind": "last"}), "")))
    (tmp_path / "study.toml").write_text(STUDY.format(recipe=tmp_path / "toy.toml"))
    laid, store = lay_study(load_study(tmp_path / "study.toml"), corpus_at(corpus.folder)), Store(tmp_path / "store")
    run_jobs(laid.jobs, store, Execution())
    result = read_study(laid, store, {})
    slot = next(arm["name"] for arm in result["arms"] if "slot" in arm["name"])
    assert result["primary"]["illegal"] == [slot]
    assert result["secondary"][0]["illegal"] == []  # what was scored before it is legal
    print_result(result)
    lines = [line for line in capsys.readouterr().out.splitlines() if "ILLEGAL score, no claim can rest on it" in line]
    assert len(lines) == 1
    assert lines[0].startswith(slot)
    assert result["primary"]["contrasts"][slot]["high"] < 0
    assert result["primary"]["verdicts"][slot]["word"] == "illegal"  # it is lower, and never better
    page = study_page(result, laid, store)
    assert '<span class="word illegal">illegal</span>' in page
    assert "in a way that no submission may score" in page
