"""The grid's schema: kinds are named, bounds are held, off is left out of the key."""

import pytest

from mulligan.core.config import parse_config
from mulligan.numerics.config import GridConfig, IntFormat, RowMax

ROW_MAX = RowMax(kind="row-max")


def grid(**family):
    return {"families": [{"match": ["*"], "format": {"kind": "fp16"}, **family}]}


def test_min_elements_at_zero_is_left_out_of_the_key():
    assert GridConfig.model_validate(grid(min_elements=0)).canonical() == {
        "families": [{"match": ["*"], "format": {"kind": "fp16"}}]
    }
    assert GridConfig.model_validate(grid(min_elements=7)).canonical()["families"][0]["min_elements"] == 7


def test_a_scale_per_row_is_left_out_of_the_key():
    config = IntFormat(kind="int", bits=6, scale=ROW_MAX)
    assert config.canonical() == {"kind": "int", "bits": 6, "scale": {"kind": "row-max"}, "range": "symmetric"}
    assert config.replace(scale_per="tensor").canonical()["scale_per"] == "tensor"


@pytest.mark.parametrize(
    ("bits", "code_range", "expected"),
    [(2, "symmetric", (-1, 1)), (6, "legacy", (-32, 31)), (8, "legacy", (-128, 127))],
)
def test_codes_lie_in_the_named_range(bits, code_range, expected):
    config = IntFormat(kind="int", bits=bits, scale=ROW_MAX, range=code_range)
    assert (config.min_code, config.max_code) == expected


@pytest.mark.parametrize(
    ("family", "told"),
    [
        ({"format": {"kind": "int", "bits": 9, "scale": {"kind": "row-max"}}}, "less than or equal to 8"),
        ({"format": {"kind": "int", "bits": 8, "scale": {"kind": "row-maximum"}}}, "row-max"),
        ({"format": {"kind": "int", "bits": 8, "scale": {"kind": "percentile", "p": 99.9}}}, "less than or equal to 1"),
        ({"format": {"kind": "int", "bits": 8, "scale": {"kind": "row-max", "floor": 0.1}}}, "unknown key"),
        ({"format": {"kind": "int", "bits": 8, "scale": {"kind": "clip-search", "percentiles": [1.0]}}}, "at least 2"),
        ({"format": {"kind": "int", "bits": 8, "scale": {"kind": "row-max"}, "scale_per": "group"}}, "'row' or 'tensor'"),
        ({"format": {"kind": "fp16", "bits": 8}}, "unknown key"),
        ({"match": []}, "at least 1"),
    ],
)
def test_a_wrong_family_is_told_what_is_allowed(family, told):
    with pytest.raises(ValueError, match=told):
        parse_config(GridConfig, grid(**family), "grid")
