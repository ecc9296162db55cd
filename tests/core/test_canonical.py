"""Canonical JSON is one text per value and refuses whatever has no such text."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mulligan.core.canonical import canonical_json, digest

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(), JSON, max_size=6))
def test_key_order_does_not_matter(value):
    assert canonical_json(value) == canonical_json(dict(reversed(list(value.items()))))


def test_different_values_have_different_digests():
    values = [None, False, 0, 0.0, "", [], {}, [[]], {"a": None}, "0", 1, True]
    assert len({digest(value) for value in values}) == len(values)


@pytest.mark.parametrize("value", [{1, 2}, Path("x"), b"x", object(), len, {1: 2}, 1j])
def test_a_value_without_canonical_text_is_refused(value):
    with pytest.raises(TypeError):
        canonical_json({"inner": [value]})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_is_not_finite_is_refused_and_named(value):
    with pytest.raises(ValueError, match=r"value\.inner\[0\]"):
        canonical_json({"inner": [value]})


def test_a_tuple_is_a_list():
    assert canonical_json((1, 2)) == canonical_json([1, 2]) == "[1,2]"
