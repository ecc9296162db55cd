"""What README and submission.json state, with the line of each figure."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mulligan.records.stated import agrees, json_leaves, read_readme, read_submission, resolution
from mulligan.records.table import Row

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
documents = st.recursive(scalars, lambda x: st.lists(x, max_size=4) | st.dictionaries(st.text(), x, max_size=4), max_leaves=12)


def leaves(value, path=()):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if items is None:
        return [(path, value)]
    return [leaf for key, inner in items for leaf in leaves(inner, (*path, key))]


@given(documents, st.sampled_from([None, 1]), st.booleans())
def test_every_leaf_of_a_json_text_with_its_line(value, indent, ascii_only):
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    found = list(json_leaves(text))
    assert [(path, item) for path, item, _, _ in found] == leaves(value)
    for _, _, written, line in found:
        assert written in text.split("\n")[line - 1]


def test_a_submission():
    text = json.dumps(
        {
            "author": "A",
            "val_bpb": 1.1902,
            "delta_vs_sota_bpb": -0.01,
            "bytes_total": 15990000,
            "seeds": [1, 2],
            "seed_results": {"1": {"val_bpb": 1.19, "artifact_bytes": 7}, "arm": {"seed_2": 1.1905, "mean": 1.1}},
            "runs": [{"seed": 3, "val_bpb": 1.3}],
            "post_quant_val_bpb": 1.21,
        },
        indent=2,
    )
    rows = read_submission("submission.json", text)
    stated = [(row.name, row.value, row.seed, row.reading) for row in rows if row.kind == "stated"]
    assert stated == [
        ("bits_per_byte", 1.1902, None, "val_bpb"),
        ("total_bytes", 15990000, None, "bytes_total"),
        ("seed", 1, 1, "seeds.0"),
        ("seed", 2, 2, "seeds.1"),
        ("bits_per_byte", 1.19, 1, "seed_results.1.val_bpb"),
        ("total_bytes", 7, 1, "seed_results.1.artifact_bytes"),
        ("bits_per_byte", 1.1905, 2, "seed_results.arm.seed_2"),
        ("bits_per_byte", 1.3, 3, "runs.0.val_bpb"),
        ("bits_per_byte", 1.21, None, "post_quant_val_bpb"),
    ]
    assert [row.line for row in rows][:3] == [2, 3, 5]


def test_tables_of_a_readme():
    text = (
        "# Title (val_bpb: 1.1194)\n\n| Run | Seed | steps | **Post-TTT bpb** | TTT gain | Artifact |\n|--|--|--|--|--|--|\n"
        "| a | 42 | ~7,180 | **1.1200** | -0.0027 | 15.88 MB |\n| mean | | | 1.1194 | | |\n\n"
        "| Change | BPB |\n|--|--|\n| 42 | 1.5 |\n"
    )
    found = [(row.name, row.value, row.text, row.seed, row.line) for row in read_readme("README.md", text)]
    assert found == [
        ("bits_per_byte", 1.1194, "1.1194", None, 1),
        ("steps", 7180, "~7,180", 42, 5),
        ("bits_per_byte", 1.12, "1.1200", 42, 5),
        ("total_bytes", 15.88e6, "15.88 MB", 42, 5),
    ]


@pytest.mark.parametrize(
    ("written", "half_a_unit"), [("1.1200", 5e-5), ("15.88 MB", 5000.0), ("15,990,000", 0.5), ("~7,000", 70.0), ("none", 0.0)]
)
def test_half_a_unit_of_the_last_digit(written, half_a_unit):
    assert resolution(written) == pytest.approx(half_a_unit)


@given(st.decimals("0.5", "2", places=8), st.integers(2, 7))
def test_a_rounded_figure_agrees_with_its_source_and_not_two_units_away(exact, digits):
    stated = Row("stated", "bits_per_byte", round(float(exact), digits), f"{float(exact):.{digits}f}")
    assert agrees(stated, float(exact))
    assert not agrees(stated, float(exact) + 2 * 10.0**-digits)
