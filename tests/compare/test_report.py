"""The whole report: families, looks, arms that cannot be tested."""

import json

import pytest

from mulligan.compare.report import Question, report

FACTORS = ["qat", "swa"]


def test_the_published_2x2(as_reported):
    found = report(as_reported, FACTORS, ("0", "1"), Question(margin=0.001, unit="bpb"))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    contrasts = {item["name"]: item for item in found["contrasts"]}
    assert {name: item["verdict"] for name, item in contrasts.items()} == {
        "qat=0,swa=0 - qat=0,swa=1": "worse",
        "qat=1,swa=0 - qat=0,swa=1": "better",
        "qat=1,swa=1 - qat=0,swa=1": "inconclusive",
    }
    claim = contrasts["qat=1,swa=0 - qat=0,swa=1"]
    assert (round(claim["paired"]["p"], 4), round(claim["welch"]["p"], 4)) == (0.0014, 0.0025)
    assert claim["p_holm"] == pytest.approx(3 * claim["paired"]["p"])
    assert claim["family_size"] == 3
    assert claim["tost_p"] > 0.5
    assert contrasts["qat=0,swa=0 - qat=0,swa=1"]["unpaired_seeds"] == [2024]
    fits = found["factorial"]
    assert round(1000 * fits["seeds_as_blocks"]["interactions"][0]["estimate"], 2) == -6.22
    assert [round(fits[name]["interactions"][0]["t"], 1) for name in fits] == [-22.4, -13.7]
    assert fits["seeds_as_blocks"]["dropped_seeds"] == [2024]
    assert found["noise"]["df"] == 6


def test_correction_may_take_a_verdict_back():
    baseline = {1: 1.0, 2: 1.1, 3: 1.2, 4: 1.3}
    near = {1: 0.990, 2: 1.085, 3: 1.195, 4: 1.288}
    null = {1: 1.010, 2: 1.088, 3: 1.205, 4: 1.295}
    alone = report({("0",): baseline, ("1",): near}, ["x"], ("0",), Question())
    assert alone["contrasts"][0]["verdict"] == "better"
    many = {("0",): baseline, ("1",): near, **{(str(i),): null for i in range(2, 6)}}
    crowd = report(many, ["x"], ("0",), Question())
    assert crowd["contrasts"][0]["paired"]["p"] == alone["contrasts"][0]["paired"]["p"] < 0.05 < crowd["contrasts"][0]["p_holm"]
    assert crowd["contrasts"][0]["verdict"] == "inconclusive"


def test_over_budget_and_untestable_arms_are_shown():
    arms = {("0",): {1: 1.0, 2: 1.1}, ("1",): {1: 0.5, 2: 0.6001}, ("2",): {1: 0.5}}
    found = report(arms, ["x"], ("0",), Question(over_budget=(("1",),)))
    assert [item["verdict"] for item in found["contrasts"]] == ["over budget", "not testable"]
    assert [arm["over_budget"] for arm in found["arms"]] == [False, True, False]
    assert [item["family_size"] for item in found["contrasts"]] == [1, 1]
    assert found["contrasts"][1]["difference"] == pytest.approx(-0.55)
    assert found["arms"][2]["sd"] is None


def test_unshared_seeds_are_compared_unpaired():
    found = report({("0",): {1: 1.0, 2: 1.1}, ("1",): {3: 0.5, 4: 0.6}}, ["x"], ("0",), Question(margin=2.0))
    (item,) = found["contrasts"]
    assert (item["judged_by"], item["paired"], item["verdict"]) == ("Welch", None, "equivalent")
    assert item["tost_p"] < 0.05


def test_no_noise_floor_without_repeats():
    assert report({("0",): {1: 1.0}, ("1",): {1: 1.1}}, ["x"], ("0",), Question())["noise"] is None


def test_arms_that_form_no_factorial_say_why():
    arms = {("0", "0"): {1: 1.0, 2: 1.1}, ("1", "0"): {1: 1.0, 2: 1.2}, ("0", "1"): {1: 1.3, 2: 1.1}}
    found = report(arms, FACTORS, ("0", "0"), Question())
    assert found["factorial"] is None
    assert "qat=1,swa=1" in found["factorial_reason"]
    with pytest.raises(ValueError, match="no such arm"):
        report(arms, FACTORS, ("1", "1"), Question())


def test_looks_narrow_everything(as_reported):
    found = report(as_reported, FACTORS, ("0", "1"), Question(looks=5))
    assert found["contrasts"][1]["paired"]["alpha"] == pytest.approx(0.01)
    assert found["factorial"]["seeds_as_blocks"]["main"][0]["alpha"] == pytest.approx(0.01)
