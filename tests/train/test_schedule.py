"""One scheduler: what it says at each step, for every kind of budget and warmdown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mulligan.numerics.trigger import AtFraction, AtStep, LrScaleBelow
from mulligan.train.schedule import Schedule
from toy import steps
from toy import train_config as make


def test_warmdown_in_steps_ends_the_run_one_step_above_zero():
    schedule = Schedule(make(steps(10), steps(4)))
    assert [schedule.lr_scale(step) for step in range(10)] == [1, 1, 1, 1, 1, 1, 1, 0.75, 0.5, 0.25]


def test_a_warmdown_longer_than_the_run_is_always_decaying():
    schedule = Schedule(make(steps(10), steps(16)))
    assert schedule.lr_scale(0) == 10 / 16
    assert schedule.lr_scale(9) == 1 / 16


@given(st.integers(1, 400), st.floats(0.05, 1.0), st.floats(0.0, 0.9))
def test_fractional_warmdown_agrees_with_its_definition(total, fraction, floor):
    """1 until frac >= 1 - f, then max((1 - frac) / f, floor)."""
    schedule = Schedule(make(steps(total), {"kind": "fraction", "fraction": fraction, "floor": floor}))
    for step in range(total):
        frac = step / total
        expected = 1.0 if frac < 1 - fraction else max((1 - frac) / fraction, floor)
        assert schedule.lr_scale(step) == pytest.approx(min(expected, 1.0), abs=1e-9)


def test_tokens_are_steps_of_the_batch_size():
    by_tokens = Schedule(make({"kind": "tokens", "tokens": 155}, {"kind": "tokens", "tokens": 64}))
    by_steps = Schedule(make(steps(10), steps(4)))
    assert by_tokens.num_steps == 10
    assert [by_tokens.lr_scale(step) for step in range(10)] == [by_steps.lr_scale(step) for step in range(10)]


def test_the_wallclock_warmdown_reproduces_the_check_of_the_levers():
    """w = 3000, cap 600 s, 90 ms a step -> decay starts at step 3,667; .716 at 4,520; .556 at 5,000."""
    schedule = Schedule(make({"kind": "seconds", "seconds": 600}, steps(3000)))
    scale = [schedule.lr_scale(step, step * 0.09) for step in range(6600)]
    assert next(step for step, value in enumerate(scale) if value < 1) == 3667
    assert scale[4520] == pytest.approx(0.716, abs=1e-3)
    assert scale[5000] == pytest.approx(0.556, abs=1e-3)
    assert scale[0] == 1.0


@pytest.mark.parametrize("warmdown", [steps(20_000), {"kind": "tokens", "tokens": 16 * 20_000}], ids=lambda w: w["kind"])
def test_a_wallclock_warmdown_longer_than_the_run_decays_from_the_first_timed_step_on(warmdown):
    """600 s at 48 ms a step are 12,500 steps: 12,499 / 20,000 when one is done, 0 at the end; nothing is timed at step 0."""
    schedule = Schedule(make({"kind": "seconds", "seconds": 600}, warmdown))
    assert schedule.lr_scale(0, 0.0) == 1.0
    scales = [schedule.lr_scale(step, 0.048 * step) for step in (1, 6250, 12_500)]
    assert scales == pytest.approx([12_499 / 20_000, 6_250 / 20_000, 0.0])
    assert schedule.lr_scale(12_501, 600.5) == 0.0  # the last step may end after the budget


def test_a_warmdown_over_the_whole_budget_decays_from_its_beginning():
    whole = Schedule(make(steps(8), {"kind": "fraction", "fraction": 1.0}))
    assert [whole.lr_scale(step) for step in range(8)] == [1 - step / 8 for step in range(8)]
    clocked = Schedule(make({"kind": "seconds", "seconds": 10}, {"kind": "seconds", "seconds": 40}))
    assert [clocked.lr_scale(step, 2.5 * step) for step in range(5)] == [0.25, 0.1875, 0.125, 0.0625, 0.0]


@pytest.mark.parametrize("budget", [steps(9), {"kind": "seconds", "seconds": 9}], ids=lambda budget: budget["kind"])
def test_a_constant_scale_stays_one(budget):
    schedule = Schedule(make(budget, {"kind": "constant"}))
    assert {schedule.lr_scale(step, float(step)) for step in range(10)} == {1.0}
    assert schedule.warmdown is None


@given(st.integers(1, 200), st.integers(1, 300), st.one_of(st.none(), st.floats(0.01, 1.0)))
def test_a_warmdown_begins_at_the_first_step_below_one(total, over, fraction):
    """What the history names is what the trainer does; a warmdown over one step never comes below 1."""
    warmdown = {"kind": "fraction", "fraction": fraction, "floor": 0.3} if fraction else steps(over)
    schedule = Schedule(make(steps(total), warmdown))
    below = [step for step in range(total) if schedule.lr_scale(step) < 1.0]
    assert schedule.warmdown.first_step == (below[0] if below else total)


def test_seconds_know_their_fraction_and_floor():
    schedule = Schedule(make({"kind": "seconds", "seconds": 100}, {"kind": "fraction", "fraction": 0.5, "floor": 0.1}))
    assert schedule.fraction(7, 25.0) == 0.25
    assert schedule.lr_scale(7, 50.0) == 1.0
    assert schedule.lr_scale(7, 75.0) == 0.5
    assert schedule.lr_scale(7, 99.0) == 0.1
    assert Schedule(make({"kind": "seconds", "seconds": 100}, {"kind": "seconds", "seconds": 20})).lr_scale(7, 90.0) == 0.5


def test_momentum_warms_up_linearly():
    optimizer = {"kind": "muon-adam", "momentum": 0.95, "momentum_start": 0.85, "momentum_warmup_steps": 10}
    schedule = Schedule(make(steps(30), steps(1), optimizer=optimizer))
    assert schedule.momentum(0) == 0.85
    assert schedule.momentum(5) == pytest.approx(0.9)
    assert [schedule.momentum(step) for step in (10, 29)] == [0.95, 0.95]


def test_triggers_resolve_to_the_number_of_steps_done():
    schedule = Schedule(make(steps(10), steps(4)))
    assert schedule.resolve(LrScaleBelow(kind="lr-scale-below", value=0.75)) == AtStep(kind="at-step", step=9)
    assert schedule.resolve(AtFraction(kind="at-fraction", value=0.7)) == AtStep(kind="at-step", step=7)
    assert schedule.resolve(AtStep(kind="at-step", step=3)) == AtStep(kind="at-step", step=3)


def test_a_trigger_that_never_fires_is_an_error():
    schedule = Schedule(make(steps(10), {"kind": "constant"}))
    with pytest.raises(ValueError, match="never fires in 10 steps"):
        schedule.resolve(LrScaleBelow(kind="lr-scale-below", value=0.5))


def test_a_batch_that_does_not_divide_is_refused_with_one_that_does():
    with pytest.raises(ValueError, match="give 16"):
        make(steps(10), steps(4), batch_tokens=20)


def test_a_warmdown_in_seconds_needs_a_budget_in_seconds():
    with pytest.raises(ValueError, match=r"needs budget\.kind"):
        make(steps(10), {"kind": "seconds", "seconds": 5})
