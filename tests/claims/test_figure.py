"""What is computed from published figures: the numbers of an independent re-analysis, and errors that say what to mend."""

import math

import pytest

from mulligan.claims.figure import answer
from mulligan.claims.ledger import Claim

SLIDING = ["pr=989", "metric=val_bpb", "eval_mode=sliding64/T2048"]


def ask(**question):
    claim = {"id": "7-one", "words": "One.", "source": ["x"], "verdict": "holds", "basis": "y", "recomputed": [question]}
    return answer(Claim.model_validate(claim).recomputed[0])


@pytest.mark.parametrize(
    ("claim", "i", "value", "p"),
    [
        ("989-qat-beats-swa", 0, -0.003650, 0.0025),
        ("989-qat-beats-swa", 1, -0.003650, 0.0014),
        ("989-qat-beats-swa", 2, -0.004250, 0.0014),
        ("989-qat-beats-swa", 3, -0.004250, 0.028),
        ("989-antagonism", 0, 0.006223, 0.00017),
        ("989-antagonism", 1, 0.006223, 0.00019),
        ("989-combined-worse", 0, 0.004786, 0.024),
        ("989-combined-worse", 1, 0.001253, 0.15),
        ("989-swa-alone", 0, -0.001437, 0.015),
        ("989-compressibility", 0, 201720, 0.27),
        ("989-pruning", 0, 0.001801, None),
        ("989-pruning", 2, -196177, None),
        ("989-ratio", 0, 3.459, None),
        ("989-size", 0, 5, None),
        ("989-size", 1, 3, None),
        ("989-means", 1, 1.143426, None),
        ("989-means", 0, 1.139893, None),
        ("455-record", 0, -0.01288, 0.00056),
        ("455-record", 1, -0.01288, 0.0011),
        ("455-record", 2, 0.00452, None),
        ("455-all-seeds", 0, 0.01186, None),
        ("455-ttt-gain", 1, 0.0077, None),
        ("1716-record", 0, -0.000247, 0.048),
        ("1716-record", 1, -0.000247, 0.08),
        ("1716-record", 2, -0.002183, 0.00018),
        ("1718-ttt-epochs", 0, -0.0000896, None),
        ("1718-ttt-epochs", 1, 0.6269, None),
        ("1718-train-tokens", 0, 1 - 0.1266, None),
        ("199-swa-int8", 0, 0.000357, None),
        ("199-swa-int8", 1, 0.000265, None),
        ("199-doc-isolation", 0, 0.008226, None),
        ("96-nats", 0, -0.08635, None),
        ("96-warmdown-gap", 0, 0.007166, None),
    ],
)
def test_the_re_analysis_comes_out(found, claim, i, value, p):
    computed = found[claim].recomputed[i]
    assert computed.value == pytest.approx(value, rel=2e-3)
    assert computed.p is p is None or computed.p == pytest.approx(p, rel=0.04)


def test_intervals_and_degrees_of_freedom(found):
    welch = found["989-qat-beats-swa"].recomputed[0]
    assert (round(1000 * welch.low, 2), round(1000 * welch.high, 2), round(welch.df, 2)) == (-5.09, -2.21, 3.74)
    assert round(found["989-antagonism"].recomputed[0].t, 2) == 13.65
    gap = found["1797-lqer"].recomputed[0]
    assert 0.0002 < -gap.value < 0.0004  # against nine thousandths claimed


def test_a_gap_is_within_each_run():
    averaged = {"of": ["pr=455", "metric=val_bpb", "weights=averaged"], "minus": ["pr=455", "metric=val_bpb", "weights=raw"]}
    zero = ask(kind="difference", name="x", of=averaged, minus=averaged, test="paired")
    assert (zero.value, zero.p, zero.n) == (0.0, 1.0, "3")


def test_numbers_without_a_test_have_no_p():
    bare = ask(kind="difference", name="x", of=[*SLIDING, "seed=42"], minus=[*SLIDING, "seed=1337"], test="none")
    assert (bare.p, bare.low, bare.n) == (None, None, "4 + 4")
    assert math.isfinite(bare.value)
    assert bare.to_json()["unit"] == "bpb"


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ({"kind": "mean", "of": ["pr=4711"]}, "pr=4711 leaves no row"),
        ({"kind": "mean", "of": ["colour=red"]}, "No column 'colour'"),
        ({"kind": "mean", "of": ["pr=989"]}, "mix metric"),
        ({"kind": "spread", "of": [*SLIDING, "run=no_swa_seed42"]}, "two rows or more"),
        ({"kind": "difference", "of": SLIDING, "minus": SLIDING, "test": "paired"}, "two rows with seed"),
        ({"kind": "factorial", "where": [*SLIDING, "prune=5%"], "baseline": {"qat": "0"}, "effect": "x"}, "No column 'prune'"),
    ],
)
def test_what_is_not_there_is_an_error(question, words):
    with pytest.raises(ValueError, match=words):
        ask(name="x", **question)


def test_an_unknown_effect_is_named_with_those_there_are():
    where = [*SLIDING, "seed=42", "seed=1337"]
    with pytest.raises(ValueError, match=r"effect = 'nonsense': no such effect\. There are: qat 0->1"):
        ask(kind="factorial", name="x", where=where, baseline={"qat": "0", "swa": "0"}, effect="nonsense")
