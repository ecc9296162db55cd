"""Record rules: the published claim, conversions, and too few runs."""

import math

import pytest

from mulligan.compare.contrast import welch
from mulligan.compare.record import bpb_to_nats, nats_to_bpb, record

SP8192 = 2.583


def test_the_claim_of_pr_1716(scorefirst):
    reference, arm = [round(value, 4) for value in scorefirst["1493"]], scorefirst["1716"]
    assert reference == [1.0808, 1.0810, 1.0812]  # as the record table printed them
    found = record(reference, arm, unit="bits per byte", nats_per_bpb=SP8192)
    fixed, free, applied = (found.rule(name) for name in ("written, fixed reference", "written, Welch", "applied"))
    assert (round(fixed.p, 3), fixed.df, fixed.alpha, fixed.passes) == (0.048, 2, 0.01, False)
    assert (round(free.p, 3), round(free.df, 1), free.alpha, free.passes) == (0.082, 3.6, 0.01, False)
    assert (round(applied.p, 4), applied.alpha, applied.passes) == (0.0001, 0.25, True)
    assert round(welch("x", reference, arm).p, 4) == 0.0002
    assert found.gain_bpb == pytest.approx(0.00218, abs=5e-6)
    assert 1.0810 - found.margin_bpb == pytest.approx(1.079064, abs=1e-6)


def test_the_same_with_every_published_digit(scorefirst):
    found = record(scorefirst["1493"], scorefirst["1716"], unit="bits per byte", nats_per_bpb=SP8192)
    assert round(found.rule("written, Welch").p, 3) == 0.080
    assert round(found.rule("written, fixed reference").p, 3) == 0.048


def test_both_units_give_one_answer(scorefirst):
    bpb = record(scorefirst["1493"], scorefirst["1716"], unit="bits per byte", nats_per_bpb=SP8192)
    in_nats = [[value * SP8192 for value in scorefirst[pr]] for pr in ("1493", "1716")]
    nats = record(*in_nats, unit="nats per token", nats_per_bpb=SP8192)
    assert [rule.p for rule in nats.rules] == pytest.approx([rule.p for rule in bpb.rules])
    assert (nats.gain_nats, nats.gain_bpb) == pytest.approx((bpb.gain_nats, bpb.gain_bpb))
    mixed = record(scorefirst["1493"], scorefirst["1716"], unit="nats per token", nats_per_bpb=SP8192)
    assert mixed.rule("written, Welch").p > 0.9  # the unit matters: the wrong one asks 2.6 times as much


@pytest.mark.parametrize(("factor", "margin"), [(1.688, 0.00296), (2.301, 0.00217), (2.583, 0.00194), (2.188, 0.00229)])
def test_five_thousandths_of_a_nat_in_bits_per_byte(factor, margin):
    assert nats_to_bpb(0.005, factor) == pytest.approx(margin, abs=6e-6)
    assert bpb_to_nats(nats_to_bpb(0.005, factor), factor) == pytest.approx(0.005)


def test_a_nat_per_token_of_one_byte_tokens():
    assert nats_to_bpb(math.log(2.0), math.log(2.0)) == 1.0


def test_a_clear_record_passes_and_a_worse_run_fails():
    reference = [1.0810, 1.0812, 1.0808]
    clear = record(reference, [1.0710, 1.0711, 1.0712], unit="bits per byte", nats_per_bpb=SP8192)
    assert all(rule.passes for rule in clear.rules)
    worse = record(reference, [1.0820, 1.0822, 1.0821], unit="bits per byte", nats_per_bpb=SP8192)
    assert not any(rule.passes for rule in worse.rules)
    assert worse.gain_nats < 0
    nearly = record(reference, [1.0800, 1.0801, 1.0802], unit="bits per byte", nats_per_bpb=SP8192)
    assert [rule.passes for rule in nearly.rules] == [False, False, True]


def test_one_run_proves_nothing():
    one = record([1.08], [1.05], unit="bits per byte", nats_per_bpb=SP8192)
    assert [(rule.p, rule.passes) for rule in one.rules] == [(None, False)] * 3
    known = record([1.08], [1.05, 1.051], unit="bits per byte", nats_per_bpb=SP8192)
    assert [rule.p is None for rule in known.rules] == [False, True, True]


def test_no_spread_is_no_crash():
    found = record([1.08, 1.08], [1.05, 1.05], unit="bits per byte", nats_per_bpb=SP8192)
    assert [rule.p for rule in found.rules] == [0.0, 0.0, 0.0]
    found = record([1.08, 1.08], [1.08, 1.08], unit="bits per byte", nats_per_bpb=SP8192)
    assert [rule.p for rule in found.rules] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("reference", "arm", "unit", "factor", "words"),
    [
        ([1.0], [1.0], "bpb", SP8192, "unit = 'bpb'"),
        ([1.0], [1.0], "bits per byte", 0.0, "nats_per_bpb = 0.0"),
        ([], [1.0], "bits per byte", SP8192, "one or more"),
        ([1.0, math.nan], [1.0], "bits per byte", SP8192, "nan"),
    ],
)
def test_what_cannot_be_judged_is_refused(reference, arm, unit, factor, words):
    with pytest.raises(ValueError, match=words):
        record(reference, arm, unit=unit, nats_per_bpb=factor)
