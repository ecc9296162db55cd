"""Verdicts: which rule comes first, what is flagged, how many more seeds."""

import dataclasses

import numpy as np
import pytest

from mulligan.compare.contrast import contrast, make_contrast, paired, welch
from mulligan.compare.power import equivalence_power, t_power
from mulligan.compare.table import PUBLISHED, read_rows, samples
from mulligan.compare.verdict import alpha_per_look, more_seeds, verdict

MARGIN = 0.001


def an_effect(estimate, se=0.0001, n=5):
    """A paired contrast; with n = 5 the 0.95 interval reaches 2.78 standard errors, the 0.90 one 2.13."""
    return make_contrast("x", "paired by seed", estimate, se, n - 1, n, 0.05, estimate / se, 0.01)


@pytest.mark.parametrize(
    ("estimate", "se", "margin", "word"),
    [
        (-0.0050, 0.0001, MARGIN, "better"),
        (+0.0050, 0.0001, MARGIN, "worse"),
        (+0.0000, 0.0001, MARGIN, "equivalent"),
        (-0.0005, 0.0001, MARGIN, "equivalent"),  # excludes 0 as well: equivalence comes first
        (-0.0009, 0.0001, MARGIN, "better"),  # reaches over the margin
        (-0.0005, 0.0001, None, "better"),  # no margin, no equivalence
        (+0.0002, 0.0010, MARGIN, "inconclusive"),
        (-0.0020, 0.0010, MARGIN, "inconclusive"),
        (-0.00025, 0.0001, 0.0004, "inconclusive"),  # the outer interval holds 0, the inner leaves the margin
    ],
)
def test_the_first_rule_that_holds_gives_the_word(estimate, se, margin, word):
    found = verdict(an_effect(estimate, se), margin)
    assert found.word == word
    assert f"{estimate:+.4g}" in found.text
    assert (found.more_seeds is not None) == (word == "inconclusive")


def test_equivalence_notes_that_zero_is_left_out():
    assert "leaves out 0" in verdict(an_effect(-0.0005), MARGIN).text
    assert "leaves out 0" not in verdict(an_effect(0.0001), MARGIN).text


def test_one_run_per_arm_is_not_testable():
    arms = samples(read_rows(PUBLISHED, where=("pr=199", "eval_mode=sliding64/T1024"), split="config"), ["swa"])
    found = contrast("swa", arms["0",], arms["1",])
    assert round(1000 * found.estimate, 2) == 0.36
    for margin in (None, 0.1):
        judged = verdict(found, margin)
        assert (judged.word, judged.more_seeds) == ("not testable", None)
        assert "+0.0003569" in judged.text


def test_the_published_arms(as_reported):
    control = as_reported["0", "1"]
    words = {arm: verdict(contrast("x", control, runs), MARGIN).word for arm, runs in as_reported.items() if arm != ("0", "1")}
    assert words == {("1", "0"): "better", ("0", "0"): "worse", ("1", "1"): "inconclusive"}


def test_over_the_budget_is_never_better():
    better = verdict(an_effect(-0.005), MARGIN, over_budget=True)
    assert (better.word, better.over_budget) == ("over budget", True)
    assert "-0.005" in better.text
    for estimate, word in ((0.005, "worse"), (0.0, "equivalent")):
        found = verdict(an_effect(estimate), MARGIN, over_budget=True)
        assert (found.word, found.over_budget) == (word, True)
        assert "over the byte budget" in found.text
    assert verdict(an_effect(-0.005), MARGIN).over_budget is False
    one = dataclasses.replace(an_effect(-0.005), n=1)
    assert verdict(one, MARGIN, over_budget=True).word == "not testable"


def test_higher_may_be_better():
    assert verdict(an_effect(0.005), MARGIN, lower_is_better=False).word == "better"
    assert verdict(an_effect(-0.005), MARGIN, lower_is_better=False).word == "worse"


def test_looks_split_alpha():
    assert alpha_per_look(0.05, 5) == pytest.approx(0.01)
    near = an_effect(-0.0030, 0.001)  # 3 standard errors: within the 0.99 interval (4.6), outside the 0.95 one (2.78)
    assert verdict(near, None).word == "better"
    found = verdict(near, None, looks=5)
    assert found.word == "inconclusive"
    assert "0.99 interval" in found.text
    assert "exploratory" in verdict(an_effect(0.0002, 0.001), MARGIN).text
    assert "exploratory" not in verdict(an_effect(0.0002, 0.001), MARGIN, looks=2).text
    with pytest.raises(ValueError, match="looks = 0"):
        alpha_per_look(0.05, 0)


def test_another_alpha_is_heeded():
    near = an_effect(-0.0030, 0.001)
    assert verdict(near, None, alpha=0.01).word == "inconclusive"


def test_a_family_must_agree_before_a_difference_is_named():
    assert verdict(an_effect(-0.005), MARGIN, adjusted_p=0.03).word == "better"
    found = verdict(an_effect(-0.005), MARGIN, adjusted_p=0.2)
    assert found.word == "inconclusive"
    assert "0.2 after correction" in found.text
    assert verdict(an_effect(0.0), MARGIN, adjusted_p=1.0).word == "equivalent"


def test_more_seeds_are_just_enough_whichever_is_true():
    effect = an_effect(0.0002, 0.001)
    more = more_seeds(effect, MARGIN)

    def weakest(n):
        se = effect.sd / n**0.5
        return min(t_power(MARGIN, se, n - 1, 0.05), equivalence_power(MARGIN, se, n - 1, 0.05))

    assert weakest(5 + more) >= 0.8 > weakest(5 + more - 1)
    assert f"about {more} more seeds per arm" in verdict(effect, MARGIN).text


def test_more_seeds_deliver_in_simulation():
    sd, rng = 0.001, np.random.default_rng(3)
    n = 4 + more_seeds(an_effect(0.0, sd / 2, n=4), MARGIN)
    found = [
        verdict(paired("x", dict.fromkeys(range(n), 0.0), dict(enumerate(rng.normal(0.0, sd, n)))), MARGIN).word
        for _ in range(300)
    ]
    assert found.count("equivalent") / 300 > 0.73


def test_more_seeds_are_unknown_without_margin_or_spread_or_hope():
    assert more_seeds(an_effect(0.0002, 0.001), None) is None
    flat = paired("x", {1: 1.0, 2: 1.0}, {1: 1.0, 2: 1.0})
    assert more_seeds(flat, MARGIN) is None
    hopeless = an_effect(0.0, 1.0)
    assert more_seeds(hopeless, MARGIN) is None
    assert "no number of seeds below 1,000" in verdict(hopeless, MARGIN).text
    assert "give a margin" in verdict(an_effect(0.0, 1.0), None).text


def test_no_spread_at_all_is_judged_and_remarked():
    shifted = paired("x", {1: 1.0, 2: 1.5}, {1: 0.9, 2: 1.4})
    found = verdict(shifted, MARGIN)
    assert found.word == "better"
    assert "nothing varies between seeds" in found.text
    assert verdict(paired("x", {1: 1.0, 2: 1.5}, {1: 1.0, 2: 1.5}), MARGIN).word == "equivalent"


def test_the_unit_is_named():
    assert "+0.005 bpb" in verdict(an_effect(0.005), MARGIN, unit="bpb").text


@pytest.mark.parametrize(("margin", "alpha", "words"), [(0.0, 0.05, "margin"), (-1.0, 0.05, "margin"), (0.1, 0.6, "alpha")])
def test_bad_questions_are_refused(margin, alpha, words):
    with pytest.raises(ValueError, match=words):
        verdict(welch("x", [1.0, 2.0], [1.0, 2.0]), margin, alpha)
