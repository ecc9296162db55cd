"""The quantize config: a kind, and nothing else yet."""

import pytest

from mulligan.core.config import parse_config
from mulligan.quantize.config import RoundToNearest


def test_round_to_nearest_is_written_by_its_kind():
    assert parse_config(RoundToNearest, {"kind": "round-to-nearest"}, "quantize") == RoundToNearest(kind="round-to-nearest")
    assert RoundToNearest(kind="round-to-nearest").canonical() == {"kind": "round-to-nearest"}


@pytest.mark.parametrize("data", [{}, {"kind": "gptq"}, {"kind": "round-to-nearest", "bits": 6}])
def test_anything_else_is_refused(data):
    with pytest.raises(ValueError, match="quantize"):
        parse_config(RoundToNearest, data, "quantize")
