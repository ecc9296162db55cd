"""`mulligan claims`: the list, one claim, JSON, CSV, the page, and a study recorded."""

import csv
import io
import json
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mulligan.claims.ledger import read_ledger
from mulligan.claims.recorded import read_recorded, shipped_folder
from mulligan.claims.summary import entries
from mulligan.cli.main import make_app
from mulligan.report.claims_markdown import claims_markdown
from mulligan.report.claims_page import claims_page

ROOT = Path(__file__).parents[2]
IDS = [claim.id for document in read_ledger() for claim in document.claim]


def call(*arguments):
    return make_app()([str(argument) for argument in arguments], exit_on_error=False, print_error=False)


def test_every_claim_is_listed_once(capsys):
    assert call("claims") == 0
    printed = capsys.readouterr().out
    first_words = [line.split()[0] for line in printed.splitlines() if line and not line.startswith(" ")]
    assert all(first_words.count(name) == 1 for name in IDS)
    assert f"{len(IDS)} claims;" in printed
    assert "tests the sign, not the figure" in printed


def test_one_claim_with_everything(capsys, tmp_path):
    assert call("claims", "989-antagonism") == 0
    printed = capsys.readouterr().out
    for words in ("PR989 README.md:34", "+6.22 mBPB [+4.96, +7.49]", "p = 0.00017", "evidence   holds", "14aee9fb31c7042f"):
        assert words in printed
    assert call("claims", "989-earlier-entries") == 0
    assert "not tested here: no study tests it" in capsys.readouterr().out
    assert call("claims", "1718-codecs", "--results", tmp_path) == 0
    assert "not tested here: no result of codec-bakeoff is recorded" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"No claim is called '989-antagonist'\. Near: 989-antagonism"):
        call("claims", "989-antagonist")


def test_json_and_csv_hold_the_same_claims(capsys, tmp_path):
    assert call("claims", "--json") == 0
    data = json.loads(capsys.readouterr().out)
    assert [claim["id"] for claim in data["claims"]] == IDS
    assert data["counts"]["claims"] == len(IDS)
    assert call("claims", "--csv") == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert list(dict.fromkeys(row["id"] for row in rows)) == IDS
    assert len(rows) == sum(max(1, len(claim["ours"])) for claim in data["claims"])
    assert call("claims", "--results", tmp_path, "--json") == 0
    without = json.loads(capsys.readouterr().out)
    assert without["counts"]["retested"] == 0
    assert all(claim["not_tested"] for claim in without["claims"])


def test_the_page_is_whole_and_needs_nothing(tmp_path, capsys):
    assert call("claims", "--out", tmp_path / "page.html") == 0
    assert str(tmp_path / "page.html") in capsys.readouterr().out
    text = (tmp_path / "page.html").read_text()
    assert all(f'id="{name}"' in text for name in IDS)
    assert "<svg" in text
    assert not any(word in text for word in ("<script", "http://", "src="))
    opened = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: opened.append(tag)
    parser.handle_endtag = lambda tag: opened.remove(tag)
    parser.feed(text)
    assert {"table", "section", "tr", "td"}.isdisjoint(opened)
    with pytest.raises(ValueError, match="does not exist"):
        call("claims", "--out", tmp_path / "nowhere" / "page.html")


def test_prose_is_escaped():
    found = entries(read_ledger(), read_recorded())
    entry = next(one for one in found if one.claim.id == "989-qat-grid")
    wild = type(entry)(entry.claim.model_copy(update={"words": "<b>|x|</b>"}), entry.document, [], [], [])
    assert "&lt;b&gt;|x|" in claims_page([wild])
    assert "\\<b\\>\\|x\\|" in claims_markdown([wild])


def test_the_documentation_is_up_to_date():
    written = (ROOT / "docs" / "claims.md").read_text("utf-8")
    assert written == claims_markdown(entries(read_ledger(), read_recorded())), "run `python docs/generate_claims.py`"


@pytest.fixture
def ran(tmp_path):
    """A result.json as a shipped study leaves it, made from its recorded result."""
    recorded = next(one for one in read_recorded() if one.study == "path-a-v3")
    values = recorded.metrics
    cells = [
        {
            "arm": arm,
            "seed": int(seed),
            "status": "done",
            "artifact": {"payload_bytes": size},
            "readings": [values["primary"]["values"][arm][seed]],
            "address": recorded.reading,
        }
        for arm, sizes in recorded.payload_bytes.items()
        for seed, size in sizes.items()
    ]
    data = {
        "study": recorded.config,
        "hash": recorded.hash,
        "baseline": next(iter(recorded.levels)),
        "environments": recorded.environments,
        "arms": [{"name": arm, "levels": levels} for arm, levels in recorded.levels.items()],
        "cells": cells,
        "primary": {**values["primary"], "over_budget": [], "wrong_on_purpose": {}},
        "secondary": [{"name": name, **metric} for name, metric in values.items() if name != "primary"],
    }
    (tmp_path / "result.json").write_text(json.dumps(data))
    return tmp_path / "result.json"


def test_a_study_that_ran_is_recorded_in_one_command(ran, tmp_path, capsys):
    study, options = ROOT / "studies" / "path-a-v3.toml", ("--corpus", "wikipedia", "--results", tmp_path / "kept")
    assert call("claims", "record", study, ran, "--scale", "tiny", "--date", "2026-11-22", *options) == 0
    name = "path-a-v3-tiny-wikipedia.json"
    assert name in capsys.readouterr().out
    assert (tmp_path / "kept" / name).read_text() == (shipped_folder() / name).read_text()
    assert call("claims", "1718-path-a", "--results", tmp_path / "kept", "--json") == 0
    ours = json.loads(capsys.readouterr().out)["claims"][0]["ours"]
    assert [one["agreement"] for one in ours] == ["agrees", "agrees"]


def test_another_study_s_result_is_refused(ran, tmp_path):
    options = ("--scale", "tiny", "--corpus", "x", "--results", tmp_path / "kept")
    with pytest.raises(ValueError, match=r"other settings than .*qat-x-swa\.toml has at scale tiny: .*factors"):
        call("claims", "record", ROOT / "studies" / "qat-x-swa.toml", ran, *options)
    with pytest.raises(ValueError, match="no such file"):
        call("claims", "record", ROOT / "studies" / "qat-x-swa.toml", tmp_path / "none.json", *options)
    assert not (tmp_path / "kept").exists()
