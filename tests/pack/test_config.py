"""Codec configs: the codec's own name for its level, within its own range."""

import pytest

from mulligan.core.config import parse_config
from mulligan.pack.config import PackConfig


def test_a_codec_without_a_level_takes_its_default_and_writes_it_into_the_key():
    config = parse_config(PackConfig, {"codec": {"kind": "brotli"}}, "pack")
    assert config.canonical() == {"codec": {"kind": "brotli", "quality": 11}}


@pytest.mark.parametrize(
    ("codec", "told"),
    [
        ({"kind": "zlip"}, "Did you mean 'zlib'"),
        ({"kind": "zstd", "level": 23}, "less than or equal to 22"),
        ({"kind": "lzma", "level": 6}, "Did you mean|Allowed here"),
        ({"kind": "brotli", "quality": 12}, "less than or equal to 11"),
        ({"level": 9}, "no kind given"),
    ],
)
def test_a_wrong_codec_is_told_what_is_allowed(codec, told):
    with pytest.raises(ValueError, match=told):
        parse_config(PackConfig, {"codec": codec}, "pack")
