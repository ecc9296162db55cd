"""The quantize config: what is off is in no key, and half a setting is an error."""

import pytest
from pydantic import TypeAdapter

from mulligan.quantize.config import QuantizeConfig

TEXT = {"kind": "train-split", "num_sequences": 2, "seq_len": 4}

ROTATION = {"kind": "hadamard"}


def parse(**data):
    return TypeAdapter(QuantizeConfig).validate_python(data)


def test_what_is_off_is_left_out_of_the_key():
    assert parse(kind="round-to-nearest").canonical() == {"kind": "round-to-nearest"}
    assert parse(kind="gptq", calibration=TEXT).canonical() == {
        "kind": "gptq",
        "calibration": TEXT,
        "damping": 0.01,
        "block_columns": 128,
        "activation_order": True,
    }
    chosen = parse(kind="round-to-nearest", calibration=TEXT, rotation=ROTATION, hidden_permutation="by-row-norm")
    assert chosen.canonical() == {
        "kind": "round-to-nearest",
        "calibration": TEXT,
        "rotation": {"kind": "hadamard", "adaptive": False},
        "hidden_permutation": "by-row-norm",
    }


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({}, "kind"),
        ({"kind": "round-to-nearest", "bits": 6}, "bits"),
        ({"kind": "gptq"}, "calibration"),
        ({"kind": "gptq", "calibration": {"kind": "off"}}, "train-split"),
        ({"kind": "gptq", "calibration": TEXT, "damping": 0.0}, "damping"),
        ({"kind": "gptq", "calibration": {**TEXT, "temperature": 1.0}}, "temperature"),
        (
            {"kind": "gptq", "calibration": TEXT, "prune": {"kind": "magnitude", "fraction": 0.1}, "rotation": ROTATION},
            "nothing is pruned",
        ),
        ({"kind": "round-to-nearest", "prune": {"kind": "magnitude", "fraction": 0.0}}, "fraction"),
    ],
)
def test_anything_else_is_refused(data, told):
    with pytest.raises(ValueError, match=told):
        parse(**data)
