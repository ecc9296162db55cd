"""Holm and Benjamini-Hochberg against cases worked by hand."""

import pytest

from mulligan.compare.multiplicity import adjust

P = {"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}


def test_holm_by_hand():
    found = adjust(P, "holm")
    # sorted .005 x 4 = .02, .01 x 3 = .03, .03 x 2 = .06, .04 x 1 -> no less than .06
    assert found.adjusted == pytest.approx({"d": 0.02, "a": 0.03, "c": 0.06, "b": 0.06})
    assert set(found.rejected) == {"a", "d"}
    assert (found.method, found.alpha) == ("holm", 0.05)
    assert found.text.startswith("Holm")


def test_benjamini_hochberg_by_hand():
    found = adjust(P, "bh")
    # sorted .005 x 4/1, .01 x 4/2, .03 x 4/3, .04 x 4/4, each no greater than the next
    assert found.adjusted == pytest.approx({"d": 0.02, "a": 0.02, "c": 0.04, "b": 0.04})
    assert set(found.rejected) == {"a", "b", "c", "d"}
    assert found.text.startswith("Benjamini-Hochberg")


def test_one_test_needs_no_correction_and_none_gives_none():
    assert adjust({"a": 0.03}).adjusted == {"a": pytest.approx(0.03)}
    assert adjust({}).adjusted == {}
    assert adjust({"a": 0.03}, alpha=0.01).rejected == ()


@pytest.mark.parametrize(
    ("p", "method", "words"), [({"a": 1.5}, "holm", "a: p = 1.5"), ({"a": float("nan")}, "bh", "nan"), (P, "tukey", "tukey")]
)
def test_what_is_no_family_is_refused(p, method, words):
    with pytest.raises(ValueError, match=words):
        adjust(p, method)
