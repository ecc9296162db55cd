"""Factorial effects: the published 2x2, the algebra of contrasts, incomplete data."""

import itertools
import math

import numpy as np
import pytest

from mulligan.compare.contrast import paired
from mulligan.compare.factorial import factorial


def rows_of(arms, factors=("qat", "swa")):
    return [
        {**dict(zip(factors, arm, strict=True)), "seed": seed, "value": value}
        for arm, runs in arms.items()
        for seed, value in runs.items()
    ]


def by_name(effects):
    return {effect.name: effect for effect in effects}


@pytest.mark.parametrize("published", ["as_reported", "consistent"])
@pytest.mark.parametrize(
    ("block", "t", "df", "p", "interval"),
    [(False, 13.65, 4, 0.00017, (4.96, 7.49)), (True, 22.4, 3, 0.00019, (5.34, 7.11))],
)
def test_the_interaction_of_pr_989(published, block, t, df, p, interval, request):
    fit = factorial(rows_of(request.getfixturevalue(published)), ["qat", "swa"], block_by_seed=block)
    (interaction,) = fit.interactions
    assert fit.seeds == (42, 1337)
    assert fit.dropped_seeds == (2024,)
    assert interaction.name == "qat 0->1 x swa 0->1"
    assert round(1000 * interaction.estimate, 2) == 6.22
    assert interaction.t == pytest.approx(t, abs=0.05)
    assert (interaction.df, round(interaction.p, 5)) == (df, p)
    assert (1000 * interaction.low, 1000 * interaction.high) == pytest.approx(interval, abs=0.0055)
    assert [round(1000 * each, 2) for each in interaction.differences] == [6.01, 6.44]
    main = by_name(fit.main)
    assert [round(1000 * main[name].estimate, 2) for name in ("qat 0->1", "swa 0->1")] == [-1.86, 1.67]
    simple = by_name(fit.simple)
    found = [round(1000 * simple[name].estimate, 2) for name in ("qat 0->1 at swa=0", "qat 0->1 at swa=1")]
    assert found == [-4.97, 1.25]
    found = [round(1000 * simple[name].estimate, 2) for name in ("swa 0->1 at qat=0", "swa 0->1 at qat=1")]
    assert found == [-1.44, 4.79]
    assert fit.residual_sd == pytest.approx(0.000322 if not block else 0.000196, abs=1e-6)


def test_simple_effects_as_pairs_and_two_seed_means(as_reported):
    two = {arm: {seed: runs[seed] for seed in (42, 1337)} for arm, runs in as_reported.items()}
    means = {arm: round(float(np.mean(list(runs.values()))), 6) for arm, runs in two.items()}
    assert means == {("0", "1"): 1.143426, ("1", "1"): 1.144679, ("0", "0"): 1.144863, ("1", "0"): 1.139893}
    expected = {
        ("00", "10"): (-4.97, 0.012),
        ("01", "11"): (1.25, 0.15),
        ("00", "01"): (-1.44, 0.015),
        ("10", "11"): (4.79, 0.024),
    }
    for (baseline, arm), (estimate, p) in expected.items():
        pairs = paired("x", two[tuple(baseline)], two[tuple(arm)])
        assert round(1000 * pairs.estimate, 2) == estimate
        assert pairs.p == pytest.approx(p, rel=0.05)


def test_another_baseline_turns_the_sign(as_reported):
    fit = factorial(rows_of(as_reported), ["qat", "swa"], baseline={"swa": "1"})
    assert fit.levels == {"qat": ("0", "1"), "swa": ("1", "0")}
    assert round(1000 * fit.interactions[0].estimate, 2) == -6.22


def made(levels, effect, seeds=(1, 2, 3), noise=0.0, rng=None):
    names = list(levels)
    rng = rng or np.random.default_rng(0)
    return [
        {**dict(zip(names, cell, strict=True)), "seed": seed, "value": 1 + 0.1 * seed + effect(*cell) + noise * rng.normal()}
        for cell in itertools.product(*levels.values())
        for seed in seeds
    ]


def test_three_levels_are_each_against_the_baseline_level():
    size = {"4": 0.3, "6": 0.1, "10": 0.0}
    levels = {"bits": ("10", "4", "6"), "swa": ("off", "on")}
    rows = made(levels, lambda bits, swa: size[bits] + (swa == "on") * (0.02 + 0.05 * (bits == "4")), noise=1e-4)
    fit = factorial(rows, ["bits", "swa"], baseline={"bits": "10"})
    assert fit.levels["bits"] == ("10", "4", "6")
    main, interactions = by_name(fit.main), by_name(fit.interactions)
    assert main["bits 10->4"].estimate == pytest.approx(0.3 + 0.025, abs=5e-4)
    assert main["bits 10->6"].estimate == pytest.approx(0.1, abs=5e-4)
    assert main["swa off->on"].estimate == pytest.approx(0.02 + 0.05 / 3, abs=5e-4)
    assert interactions["bits 10->4 x swa off->on"].estimate == pytest.approx(0.05, abs=5e-4)
    assert interactions["bits 10->6 x swa off->on"].estimate == pytest.approx(0.0, abs=5e-4)
    assert [(row.term, row.df) for row in fit.anova] == [("bits", 2), ("swa", 1), ("bits x swa", 2)]
    assert all(row.p < 1e-3 for row in fit.anova)
    assert fit.df == 18 - 6 - 2


def test_the_f_of_two_levels_is_t_squared():
    rng = np.random.default_rng(1)
    fit = factorial(made({"a": "01", "b": "01"}, lambda a, b: 0.02 * (a == "1"), noise=0.01, rng=rng), ["a", "b"])
    for row, effect in zip(fit.anova, (*fit.main, *fit.interactions), strict=True):
        assert row.f == pytest.approx(effect.t**2)
        assert row.p == pytest.approx(effect.p)


def test_blocks_take_the_spread_of_seeds_away():
    rows = made({"a": "01", "b": "01"}, lambda a, b: 0.01 * (a == b), noise=1e-3)
    blocked, free = (factorial(rows, ["a", "b"], block_by_seed=block).interactions[0] for block in (True, False))
    assert blocked.estimate == pytest.approx(free.estimate)
    assert (blocked.df, free.df) == (6, 8)
    assert blocked.se < free.se / 10


def test_the_standard_error_of_an_interaction_is_twice_a_main_effects():
    fit = factorial(made({"a": "01", "b": "01"}, lambda a, b: 0.0, noise=1e-3), ["a", "b"])
    assert fit.interactions[0].se == pytest.approx(2 * fit.main[0].se)


def test_three_factors_average_over_the_third():
    rows = made({"a": "01", "b": "01", "c": "01"}, lambda a, b, c: 0.1 * int(a) * int(b) * (1 + int(c)), noise=1e-6)
    fit = factorial(rows, ["a", "b", "c"])
    interactions = by_name(fit.interactions)
    assert interactions["a 0->1 x b 0->1"].estimate == pytest.approx(0.15, abs=1e-5)
    assert interactions["a 0->1 x c 0->1"].estimate == pytest.approx(0.05, abs=1e-5)
    assert "a 0->1 at b=1,c=1" in by_name(fit.simple)


def test_one_factor_has_main_effects_alone():
    fit = factorial(made({"a": "012"}, lambda a: float(a), noise=1e-3), ["a"])
    assert [effect.name for effect in fit.main] == ["a 0->1", "a 0->2"]
    assert fit.interactions == fit.simple == ()


@pytest.mark.parametrize("block", [True, False])
def test_no_residual_spread_is_certain_not_nan(block):
    rows = made({"a": "01", "b": "01"}, lambda a, b: 0.25 * int(a))
    for row in rows:
        row["value"] -= 0.1 * row["seed"] * (not block)
    fit = factorial(rows, ["a", "b"], block_by_seed=block)
    assert (fit.main[0].estimate, fit.main[0].p, fit.main[0].t) == (pytest.approx(0.25), 0.0, math.inf)
    assert (fit.main[1].estimate, fit.main[1].p, fit.interactions[0].p) == (0.0, 1.0, 1.0)
    assert [(row.f, row.p) for row in fit.anova] == [(math.inf, 0.0), (0.0, 1.0), (0.0, 1.0)]


GOOD = made({"a": "01", "b": "01"}, lambda a, b: 0.0, noise=1e-3)


@pytest.mark.parametrize(
    ("rows", "factors", "options", "words"),
    [
        ([row for row in GOOD if (row["a"], row["b"]) != ("1", "0")], ["a", "b"], {}, "no run with a=1,b=0"),
        ([row for row in GOOD if row["seed"] == 1 or row["a"] == "0"], ["a", "b"], {}, r"only \[1\]"),
        ([*GOOD, GOOD[0]], ["a", "b"], {}, "Two rows with a=0,b=0 and seed 1"),
        ([row for row in GOOD if row["a"] == "0"], ["a", "b"], {}, "factor a has the one level 0"),
        (GOOD, ["a", "c"], {}, "has no c"),
        (GOOD, ["a", "seed"], {}, "none of them seed"),
        (GOOD, [], {}, "one or more names"),
        (GOOD, ["a", "b"], {"baseline": {"a": "7"}}, "a=7: there is no run"),
        (GOOD, ["a", "b"], {"baseline": {"x": "7"}}, "x, which is no factor"),
        ([{**GOOD[0], "value": math.nan}, *GOOD[1:]], ["a", "b"], {}, "value nan"),
        (GOOD, ["a", "b"], {"alpha": 1.0}, "alpha"),
    ],
)
def test_what_is_no_factorial_is_refused(rows, factors, options, words):
    with pytest.raises(ValueError, match=words):
        factorial(rows, factors, **options)
