"""What a recorded study says of a claim: verdicts computed from its values, signs compared, unknown names refused."""

import dataclasses
import json

import pytest

from mulligan.claims.ledger import Claim
from mulligan.claims.recorded import read_recorded, trim, write
from mulligan.claims.retest import agreement, find
from mulligan.compare.contrast import paired


def claim(**retest):
    given = {"study": "toy", "expected": "lower", "differs": "size", **retest}
    return Claim.model_validate(
        {"id": "7-one", "words": "One.", "source": ["x"], "verdict": "holds", "basis": "y", "retest": [given]}
    )


@pytest.mark.parametrize(
    ("expected", "word", "said"),
    [
        ("lower", "better", "agrees"),
        ("lower", "illegal", "agrees"),
        ("lower", "over budget", "agrees"),
        ("lower", "worse", "disagrees"),
        ("lower", "equivalent", "equivalent"),
        ("higher", "worse", "agrees"),
        ("higher", "better", "disagrees"),
        ("none", "equivalent", "agrees"),
        ("none", "worse", "disagrees"),
        ("not lower", "equivalent", "agrees"),
        ("not lower", "worse", "agrees"),
        ("not lower", "better", "disagrees"),
        ("not higher", "worse", "disagrees"),
        ("not higher", "better", "agrees"),
        ("lower", "inconclusive", "inconclusive"),
        ("none", "not testable", "not testable"),
    ],
)
def test_a_sign_against_a_verdict(expected, word, said):
    assert agreement(expected, word) == said


def test_verdicts_come_from_the_values(recorded):
    (one,) = find(claim(arm="lever=0.3"), [recorded])
    values = recorded.metrics["primary"]["values"]
    own = paired("x", *({int(s): v for s, v in values[arm].items()} for arm in ("lever=0.0", "lever=0.3")))
    assert (one.word, one.agreement) == ("better", "agrees")
    assert (one.contrast["estimate"], one.contrast["low"]) == (own.estimate, own.low)
    moved = {**values, "lever=0.3": {seed: value + 0.01 for seed, value in values["lever=0.3"].items()}}
    primary = {**recorded.metrics["primary"], "values": moved}
    (other,) = find(claim(arm="lever=0.3"), [dataclasses.replace(recorded, metrics={"primary": primary})])
    assert (other.word, other.agreement) == ("worse", "disagrees")


def test_arms_against_one_another_bytes_and_illegal_scores(recorded):
    (pair,) = find(claim(arm="lever=0.3", against="lever=0.5"), [recorded])
    assert pair.word == "better"
    assert pair.contrast["name"] == "lever=0.3 - lever=0.5"
    (none,) = find(claim(arm="lever=0.5", expected="none"), [recorded])
    assert (none.word, none.agreement) == ("equivalent", "agrees")
    (size,) = find(claim(arm="lever=0.5", metric="payload-bytes", expected="higher"), [recorded])
    assert (size.word, size.contrast["estimate"], size.unit) == ("worse", 2.0, "bytes")
    primary = {**recorded.metrics["primary"], "illegal": ["lever=0.3"]}
    marked = dataclasses.replace(recorded, metrics={"primary": primary})
    for against in (None, "lever=0.5"):
        (forbidden,) = find(claim(arm="lever=0.3", against=against), [marked])
        assert (forbidden.word, forbidden.agreement) == ("illegal", "agrees")


def test_a_lever_that_did_not_act_tests_nothing(recorded):
    (idle,) = find(claim(arm="lever=0.5", expected="none"), [dataclasses.replace(recorded, idle=["lever=0.5"])])
    assert (idle.word, idle.agreement) == ("not testable", "not testable")


@pytest.mark.parametrize(
    ("retest", "words"),
    [
        ({"arm": "lever=9"}, "no arm 'lever=9'. There are: lever=0.0"),
        ({"arm": "lever=0.3", "against": "lever=9"}, "no arm 'lever=9'"),
        ({"effect": "lever 0.0->0.3 x a 0->1"}, "no effect"),
        ({"arm": "lever=0.3", "metric": "colour"}, "no metric 'colour'. There are: primary, payload-bytes"),
    ],
)
def test_an_unknown_contrast_is_an_error(recorded, retest, words):
    with pytest.raises(ValueError, match=words):
        find(claim(**retest), [recorded])


def test_another_study_says_nothing(recorded):
    assert find(claim(study="other", arm="lever=0.3"), [recorded]) == []


def test_written_and_read_again_it_is_the_same(recorded, tmp_path):
    path = write(recorded, tmp_path)
    assert path.name == "toy-tiny-here.json"
    assert read_recorded(tmp_path) == (recorded,)
    path.rename(tmp_path / "other.json")
    with pytest.raises(ValueError, match="it holds toy-tiny-here"):
        read_recorded(tmp_path)
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(ValueError, match="no recorded result"):
        read_recorded(tmp_path)


def result(recorded):
    """Return what a study leaves as result.json, as far as recording reads it."""
    primary = {**recorded.metrics["primary"], "over_budget": [], "wrong_on_purpose": {}}
    cells = [
        {
            "arm": arm,
            "seed": int(seed),
            "status": "done",
            "artifact": {"payload_bytes": 1000 + int(seed)},
            "readings": [value],
            "address": {"scored_tokens": 5, "validation_documents": 1},
        }
        for arm, runs in primary["values"].items()
        for seed, value in runs.items()
    ]
    return {
        "study": recorded.config,
        "hash": recorded.hash,
        "baseline": "lever=0.0",
        "environments": recorded.environments,
        "arms": [{"name": arm, "levels": levels} for arm, levels in recorded.levels.items()],
        "cells": cells,
        "primary": primary,
        "secondary": [{"name": "payload-bytes", **recorded.metrics["payload-bytes"]}],
    }


def test_a_result_is_trimmed_to_what_verdicts_need(recorded):
    data = json.loads(json.dumps(result(recorded)))
    kept = trim(data, "toy", "tiny", "here", "2026-01-02")
    assert kept.metrics == recorded.metrics
    assert kept.payload_bytes["lever=0.3"] == {"0": 1000, "1": 1001, "2": 1002}
    assert kept.reading == {"scored_tokens": 5, "validation_documents": 1}
    assert kept.idle == []
    assert [one.word for one in find(claim(arm="lever=0.3"), [kept])] == ["better"]
    same = {**data, "cells": [{**cell, "readings": [1.0]} for cell in data["cells"]]}
    assert trim(same, "toy", "tiny", "here", "2026-01-02").idle == ["lever=0.3", "lever=0.5"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scale": "Tiny"}, "--scale Tiny"),
        ({"corpus": "my text"}, "--corpus my text"),
        ({"date": "today"}, "--date today"),
    ],
)
def test_names_and_dates_are_checked(recorded, change, words):
    given = {"study": "toy", "scale": "tiny", "corpus": "here", "date": "2026-01-02", **change}
    with pytest.raises(ValueError, match=words):
        trim(result(recorded), **given)


def test_a_cell_without_a_value_is_not_recorded(recorded):
    data = result(recorded)
    data["cells"][4]["status"] = "failed"
    with pytest.raises(ValueError, match=r"1 of 9 cells have no value \(lever=0\.3, seed 1: failed\)"):
        trim(data, "toy", "tiny", "here", "2026-01-02")
