"""The search against size functions that are known: it lands under the cap, never over, in few tries."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mulligan.fit.search import MAX_TRIES, TOLERANCE, Tried, best_of, combinations, next_value, turning_point
from mulligan.numerics.size_model import gaussian_entropy_bits
from mulligan.pack.knob import Choice, Number, Setting


def search(knob, cap, size, predict):
    tried = []
    while (value := next_value(knob, cap, tried, predict)) is not None:
        assert all(one.value != value for one in tried), "asked twice"
        tried.append(Tried(value, size(value)))
    return tried


def rate(value, scale=1.0, slope=1.0):
    return scale * (1_000_000 - slope * 150_000 * math.log2(value[0]))


@given(st.floats(0.85, 1.15), st.floats(0.8, 1.2), st.integers(400_000, 800_000), st.integers(0, 50))
def test_a_number_lands_within_the_tolerance_though_the_model_is_off(scale, slope, cap, noise):
    knob = Number(kind="number", path="grid.k", low=1.0, high=40.0)

    def size(value):
        return int(rate(value, scale, slope)) + hash(value) % (noise + 1)

    tried = search(knob, cap, size, rate)
    fitting = [one.total_bytes for one in tried if one.total_bytes <= cap]
    if size((knob.high,)) > cap:
        assert not fitting
    else:
        assert max(fitting) >= min((1 - TOLERANCE) * cap, size((knob.low,)))
    assert len(tried) <= 8, tried


@pytest.mark.parametrize("sign", [1, -1])
def test_a_knob_that_the_model_does_not_see_is_measured_at_both_ends_first(sign):
    knob = Number(kind="number", path="quantize.prune.fraction", low=0.0, high=0.5)

    def size(value):
        return int(500_000 - sign * 300_000 * (value[0] - 0.25))

    tried = search(knob, 470_000, size, lambda value: 500_000.0)
    assert [one.value[0] for one in tried[:2]] == [0.0, 0.5]
    assert any(0.999 * 470_000 <= one.total_bytes <= 470_000 for one in tried)
    assert len(tried) <= 10


def test_a_staircase_ends_after_few_tries_with_the_step_below_the_cap():
    knob = Number(kind="number", path="grid.k", low=1.0, high=40.0)
    tried = search(knob, 655_000, lambda value: round(rate(value) / 20_000) * 20_000, rate)
    assert max(one.total_bytes for one in tried if one.total_bytes <= 655_000) == 640_000
    assert len(tried) <= MAX_TRIES


@pytest.mark.parametrize(("cap", "value"), [(2_000_000, 1.0), (100_000, 40.0)])
def test_a_cap_beyond_the_bounds_ends_at_the_bound(cap, value):
    tried = search(Number(kind="number", path="grid.k", low=1.0, high=40.0), cap, lambda v: int(rate(v)), rate)
    assert tried[-1].value == (value,)
    assert len(tried) <= 3


def choice():
    return Choice(
        kind="choice",
        settings=(Setting(path="grid.a.bits", values=(4, 5, 6)), Setting(path="grid.b.bits", values=(6, 8))),
    )


def bits(value):
    return 100_000.0 * value[0] + 10_000 * value[1]


def test_every_combination_that_may_fit_is_tried_and_those_that_cannot_are_not():
    tried = search(choice(), 570_000, bits, bits)
    assert {one.value for one in tried} >= {(4, 6), (4, 8), (5, 6)}
    assert tried[0].value in {(5, 6), (5, 8)}  # the nearest to the cap comes first
    assert (6, 8) not in {one.value for one in tried}


def test_where_nothing_fits_the_smallest_is_tried_too():
    assert (4, 6) in {one.value for one in search(choice(), 100_000, bits, bits)}


@pytest.mark.parametrize("order", [(0.05, 0.5, 0.9, 0.1), (0.9, 0.1, 0.5, 0.05)])
def test_a_setting_that_the_model_does_not_see_is_tried_whole_in_any_order(order):
    knob = Choice(kind="choice", settings=(Setting(path="quantize.prune.fraction", values=order),))
    tried = search(knob, 30_000, lambda value: int(60_000 * (1 - value[0])), lambda value: 60_000.0)
    assert {one.value[0] for one in tried} == set(order)


def test_seen_and_unseen_settings_are_told_apart():
    """zlib takes more than the model says and auto less: what zlib is refused, auto is not."""
    codecs = Setting(path="pack.codec.kind", values=("zlib", "auto"))
    knob = Choice(kind="choice", settings=(codecs, Setting(path="grid.a.bits", values=(4, 5, 6))))
    factor = {"zlib": 1.2, "auto": 0.9}
    tried = search(knob, 500, lambda value: int(100 * value[1] * factor[value[0]]), lambda value: 100.0 * value[1])
    fitting = {one.value for one in tried if one.total_bytes <= 500}
    assert fitting == {("zlib", 4), ("auto", 4), ("auto", 5)}


def test_a_long_choice_is_tried_to_its_end():
    values = tuple(float(k) for k in range(2, 62))
    knob = Choice(kind="choice", settings=(Setting(path="grid.k", values=values),))
    assert len(search(knob, 10_000_000, lambda value: int(rate(value)), rate)) == 60


@pytest.mark.parametrize(("low", "turns"), [(0.05, True), (2.5, False)])
def test_a_clip_so_low_that_bytes_rise_with_it_is_a_turn(low, turns):
    """Of 6 bits: where everything is clipped, few codes are left."""
    knob = Number(kind="number", path="grid.k", low=low, high=40.0)
    found = turning_point(knob, lambda value: 1000 * gaussian_entropy_bits(value[0] / 31, -31, 31))
    assert (found is not None) == turns
    assert found is None or 0.5 < found < 3.0


def test_the_best_score_is_taken_and_for_a_number_only_near_the_cap():
    near, far = Tried((2.0,), 999_500), Tried((3.0,), 900_000)
    scored = [(near, 1.2), (far, 1.1)]
    assert best_of(Number(kind="number", path="grid.k", low=1.0, high=9.0), 1_000_000, scored) is near
    assert best_of(choice(), 1_000_000, scored) is far
    assert best_of(Number(kind="number", path="grid.k", low=1.0, high=9.0), 2_000_000, scored) is far


def test_combinations_are_a_product():
    assert len(combinations(choice())) == 6
