"""The quantize config: what is off is in no key, and half a setting is an error."""

import pytest
from pydantic import TypeAdapter

from mulligan.quantize.config import QuantizeConfig

TEXT = {"kind": "train-split", "num_sequences": 2, "seq_len": 4}


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
    assert parse(kind="round-to-nearest", calibration=TEXT).canonical()["calibration"] == TEXT


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ({}, "kind"),
        ({"kind": "round-to-nearest", "bits": 6}, "bits"),
        ({"kind": "gptq"}, "calibration"),
        ({"kind": "gptq", "calibration": {"kind": "off"}}, "train-split"),
        ({"kind": "gptq", "calibration": TEXT, "damping": 0.0}, "damping"),
        ({"kind": "gptq", "calibration": {**TEXT, "temperature": 1.0}}, "temperature"),
    ],
)
def test_anything_else_is_refused(data, told):
    with pytest.raises(ValueError, match=told):
        parse(**data)
