"""The configs of the data stage: a union of kinds, without paths."""

import pytest
from pydantic import TypeAdapter

from mulligan.core.config import FrozenConfig, parse_config
from mulligan.data.config import DataConfig, EmbeddedData, PreparedData


class Holder(FrozenConfig):
    data: DataConfig


def test_the_kind_chooses_the_config():
    adapter = TypeAdapter(DataConfig)
    assert adapter.validate_python({"kind": "embedded"}) == EmbeddedData(kind="embedded")
    assert adapter.validate_python({"kind": "prepared"}) == PreparedData(kind="prepared")


def test_all_validation_documents_is_off_and_a_number_is_part_of_the_config():
    assert EmbeddedData(kind="embedded").canonical() == {"kind": "embedded", "vocab_size": 1024}
    assert PreparedData(kind="prepared", validation_documents=5).canonical() == {"kind": "prepared", "validation_documents": 5}


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"kind": "fineweb"},
        {"kind": "embedded", "vocab_size": 65_537},
        {"kind": "prepared", "validation_documents": 0},
        {"kind": "prepared", "folder": "/tmp/corpus"},
    ],
)
def test_other_configs_are_refused(data):
    with pytest.raises(ValueError, match="data"):
        parse_config(Holder, {"data": data}, "")
