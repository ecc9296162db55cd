"""Planning numbers: a published table, statsmodels' own solver, and simulation."""

from itertools import pairwise

import numpy as np
import pytest
from statsmodels.stats.power import TTestIndPower, TTestPower

from mulligan.compare.power import (
    DESIGNS,
    gain_for_record,
    power_at,
    seeds_needed,
    smallest_effect,
    standard_error,
    t_power,
    tost_power,
)

SD = 0.00186  # nats per token, published runs pooled


@pytest.mark.parametrize(
    ("n", "unpaired", "paired", "gain", "tost_2", "tost_5"),
    [
        (3, 0.0057, 0.0061, 0.0107, 0.15, 0.81),
        (5, 0.0038, 0.0031, 0.0084, 0.36, 1.0),
        (8, 0.0028, 0.0022, 0.0074, 0.72, 1.0),
        (10, 0.0025, 0.0019, 0.0071, 0.86, 1.0),
        (16, 0.0019, 0.0014, 0.0066, 0.99, 1.0),
    ],
)
def test_the_numbers_for_planning(n, unpaired, paired, gain, tost_2, tost_5):
    assert smallest_effect("unpaired", SD, n) == pytest.approx(unpaired, abs=5.1e-5)
    assert smallest_effect("paired", SD, n) == pytest.approx(paired, abs=5.1e-5)
    assert gain_for_record(SD, n) == pytest.approx(gain, abs=5.1e-5)
    assert tost_power(0.002, "paired", SD, n) == pytest.approx(tost_2, abs=0.01)
    assert tost_power(0.005, "paired", SD, n) == pytest.approx(tost_5, abs=0.01)


def test_seeds_needed():
    assert seeds_needed(0.005, "unpaired", SD) == 4
    assert seeds_needed(0.005, "unpaired", SD, alpha=0.01, sided=1) in (5, 6)
    assert (seeds_needed(0.002, "unpaired", SD), seeds_needed(0.002, "paired", SD)) == (15, 9)
    assert (seeds_needed(0.001, "unpaired", SD), seeds_needed(-0.001, "paired", SD)) == (56, 30)


def test_an_interaction_costs_four_times_the_seeds_of_a_main_effect():
    assert standard_error("interaction", SD, 7) == pytest.approx(2 * standard_error("main", SD, 7))
    main, interaction = seeds_needed(0.0003, "main", SD), seeds_needed(0.0003, "interaction", SD)
    assert interaction / main == pytest.approx(4, abs=0.1)


@pytest.mark.parametrize("n", [3, 5, 16])
def test_smallest_effects_are_those_of_statsmodels(n):
    solver = {"effect_size": None, "alpha": 0.05, "power": 0.8}
    theirs = float(np.ravel(TTestIndPower().solve_power(nobs1=n, **solver))[0])
    assert smallest_effect("unpaired", 1.0, n) == pytest.approx(theirs, rel=1e-4)
    theirs = float(np.ravel(TTestPower().solve_power(nobs=n, **solver))[0])
    assert smallest_effect("paired", 1.0, n, rho=0.5) == pytest.approx(theirs, rel=1e-4)


@pytest.mark.parametrize("design", DESIGNS)
def test_smallest_effect_seeds_and_power_agree(design):
    effect = smallest_effect(design, SD, 6, rho=0.3)
    assert power_at(effect, design, SD, 6, rho=0.3) == pytest.approx(0.8)
    assert power_at(-effect, design, SD, 6, rho=0.3) == pytest.approx(0.8)
    assert seeds_needed(1.001 * effect, design, SD, rho=0.3) == 6
    assert power_at(0.0, design, SD, 6) == pytest.approx(0.05)


@pytest.mark.parametrize("df", [1, 2, 5, 30, 1000])
@pytest.mark.parametrize("alpha", [0.05, 0.001])
def test_power_grows_with_the_effect_and_is_never_nan(df, alpha):
    powers = [t_power(size, 1.0, df, alpha) for size in (*np.arange(0, 10, 0.25), *np.arange(10, 100, 3.5))]
    assert all(one <= other + 1e-6 for one, other in pairwise(powers))
    assert all(alpha - 1e-9 <= power <= 1 + 1e-9 for power in powers)


@pytest.mark.parametrize(("effect", "n"), [(0.0, 4), (0.0007, 8), (0.0015, 3)])
def test_tost_power_is_what_simulation_gives(effect, n):
    from scipy import stats

    sd, margin, times = 0.001, 0.0015, 20_000
    differences = np.random.default_rng(n).normal(effect, sd, (times, n))
    se = differences.std(axis=1, ddof=1) / np.sqrt(n)
    reach = stats.t.ppf(0.95, n - 1) * se
    means = differences.mean(axis=1)
    simulated = np.mean((means - reach > -margin) & (means + reach < margin))
    assert tost_power(margin, "paired", sd, n, effect=effect, rho=0.5) == pytest.approx(simulated, abs=0.012)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: standard_error("latin", 1.0, 3), "latin"),
        (lambda: standard_error("paired", 0.0, 3), "sd = 0.0"),
        (lambda: standard_error("paired", 1.0, 1), "n = 1"),
        (lambda: standard_error("paired", 1.0, 3, rho=1.0), "rho = 1.0"),
        (lambda: smallest_effect("paired", 1.0, 3, power=1.0), "power = 1.0"),
        (lambda: seeds_needed(0.0, "paired", 1.0), "effect = 0"),
        (lambda: tost_power(0.0, "paired", 1.0, 3), "margin"),
        (lambda: power_at(1.0, "paired", 1.0, 3, alpha=0.7), "alpha = 0.7"),
    ],
)
def test_bad_plans_are_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_more_seeds_than_anyone_has_is_an_error(monkeypatch):
    monkeypatch.setattr("mulligan.compare.power.MAX_SEEDS", 20)
    with pytest.raises(ValueError, match="more than 20 seeds"):
        seeds_needed(0.0001, "unpaired", SD)
