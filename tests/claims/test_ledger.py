"""The shipped ledger: every claim once, its rows there, its studies known, no computed figure typed."""

import itertools
import re
import tomllib
from pathlib import Path

import pytest

from mulligan.claims.figure import published_rows
from mulligan.claims.ledger import VERDICTS, read_ledger
from mulligan.claims.recorded import read_recorded, shipped_folder
from mulligan.claims.retest import AGREEMENTS
from mulligan.claims.summary import counts, entries
from mulligan.study.config import FullFactorial, load_study
from mulligan.study.metric import name_of

FOLDER = shipped_folder().parent
STUDIES = Path(__file__).parents[2] / "studies"
FIVE = {96, 199, 455, 989, 1718}
RETESTS = [(claim.id, retest) for document in read_ledger() for claim in document.claim for retest in claim.retest]

CLAIM = """
pr = 7
title = "A title"
head = "abc"
[[claim]]
id = "7-one"
words = "One."
source = ["README.md:1"]
verdict = "holds"
basis = "A log."
"""


def test_the_five_documents_are_all_there_and_no_claim_twice(found):
    documents = read_ledger()
    assert {document.pr for document in documents} >= FIVE
    assert len(found) == sum(len(document.claim) for document in documents) >= 60
    assert sum(entry.claim.by == "reviewer" for entry in found.values()) == 2


def test_at_least_fourteen_claims_have_a_verdict_of_ours_from_a_study_that_ran(found):
    assert counts(list(found.values()))["retested"] >= 14
    for entry in found.values():
        assert {one.agreement for one in entry.found} <= set(AGREEMENTS)
        assert bool(entry.found) != entry.ours.startswith("not tested here")


def test_every_claimed_figure_belongs_to_a_claim_and_says_where_it_stands(found):
    rows = [row for row in published_rows() if row["metric"] == "claimed"]
    assert {row["run"] for row in rows} <= set(found)
    assert all(re.search(r"\.(md|json)|text", row["source"]) for row in rows)
    assert all(row["source"] and row["kind"] in ("log", "published") for row in published_rows())


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
def test_no_result_is_typed(path):
    """Figures are rows of the table or computed: a TOML file has no number but limits, and no small decimal in its prose."""

    def numbers(value):
        if isinstance(value, dict | list):
            return itertools.chain.from_iterable(map(numbers, value.values() if isinstance(value, dict) else value))
        return [value] if isinstance(value, int | float) and not isinstance(value, bool) else []

    data = tomllib.loads(path.read_text("utf-8"))
    assert set(numbers(data["claim"])) <= {16_000_000, 600_000}
    prose = [text for claim in data["claim"] for text in (claim["words"], claim["basis"])]
    allowed = {"0.087", "0.012", "1.375"}  # what is claimed, in the claim's own words
    assert set(re.findall(r"\d\.\d{3,}", " ".join(prose))) <= allowed


@pytest.mark.parametrize(("claim", "retest"), RETESTS, ids=[f"{claim}: {retest}" for claim, retest in RETESTS])
def test_a_re_test_names_a_contrast_of_a_study_that_is_there(claim, retest):
    study = load_study(STUDIES / f"{retest.study}.toml", "tiny")
    levels = [list(factor.changes) for factor in study.factors.values()]
    arms = {", ".join(f"{f}={x}" for f, x in zip(study.factors, cell, strict=True)) for cell in itertools.product(*levels)}
    assert retest.metric in ("primary", *map(name_of, study.secondary))
    if retest.effect is None:
        assert {retest.arm, retest.against or retest.arm} <= arms
        assert retest.arm != retest.against
        return
    assert isinstance(study.design, FullFactorial)
    steps = {f"{name} {first}->{x}" for name, (first, *rest) in zip(study.factors, levels, strict=True) for x in rest}
    assert set(retest.effect.split(" x ")) <= steps


def test_every_recorded_result_is_of_a_study_that_is_there():
    for recorded in read_recorded():
        assert (STUDIES / f"{recorded.study}.toml").is_file()
        assert recorded.settings.margin_bpb > 0


def write(folder, *texts):
    for i, text in enumerate(texts):
        (folder / f"{i}.toml").write_text(text)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('verdict = "holds"', 'verdict = "true"'), "verdict"),
        (('id = "7-one"', 'id = "8-one"'), "belongs to pull request 8"),
        (('source = ["README.md:1"]', ""), "source"),
        (('basis = "A log."', 'basis = "A log."\nfigure = 1.0'), "unknown key"),
        (('basis = "A log."', 'basis = "A log."\nretest = [{study = "x", expected = "lower", differs = ""}]'), "give `arm`"),
    ],
)
def test_a_claim_that_is_none_is_refused(tmp_path, change, words):
    write(tmp_path, CLAIM.replace(*change))
    with pytest.raises(ValueError, match=words):
        read_ledger(tmp_path)


def test_a_claim_stands_once(tmp_path):
    again = CLAIM.replace("pr = 7", "pr = 8").replace("7-one", "8-other")
    write(tmp_path, CLAIM, again)
    with pytest.raises(ValueError, match="8-other stands twice in the ledger, as 7-one"):
        read_ledger(tmp_path)
    write(tmp_path, CLAIM, CLAIM.replace("One.", "Two."))
    with pytest.raises(ValueError, match="7-one stands twice"):
        read_ledger(tmp_path)


def test_figures_without_a_claim_are_an_error(tmp_path):
    write(tmp_path, CLAIM)
    with pytest.raises(ValueError, match="figures of claims that the ledger lacks: 1716-record"):
        entries(read_ledger(tmp_path), ())


def test_the_words_of_verdicts_are_closed(found):
    assert {entry.claim.verdict for entry in found.values()} == set(VERDICTS)
