"""The pack stage is lossless for every codec and level, and deterministic."""

import pytest
from hypothesis import given, settings

from mulligan.pack import stage
from mulligan.pack.config import PackConfig
from random_quantized import assert_same, quantized

CODECS = (
    {"kind": "zlib", "level": 0},
    {"kind": "zlib", "level": 9},
    {"kind": "lzma", "preset": 9, "extreme": True},
    {"kind": "zstd", "level": 19},
    {"kind": "brotli", "quality": 11},
    {"kind": "auto"},
)


@pytest.mark.parametrize("codec", CODECS, ids=lambda codec: codec["kind"])
@settings(max_examples=15, deadline=None)
@given(value=quantized)
def test_what_is_unpacked_is_what_was_packed(codec, value):
    config = PackConfig.model_validate({"codec": codec})
    artifact = stage.run(config, value)
    assert_same(artifact.unpack(), value)
    assert artifact == stage.run(config, value)
    assert codec["kind"] in ("auto", artifact.summary()["codec"])


def test_a_higher_level_is_not_ignored():
    import torch

    from mulligan.values.quantized import Quantized

    value = Quantized({"w": torch.linspace(0, 1, 5000)}, {}, {})
    sizes = [stage.run(PackConfig.model_validate({"codec": codec}), value).payload_bytes for codec in CODECS[:2]]
    assert sizes[1] < sizes[0]
