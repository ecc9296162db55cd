"""Shards in the challenge's format: bytes as it writes them, and damaged ones refused."""

import hashlib
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mulligan.data import shard as shard_module
from mulligan.data.shard import ShardWriter, read_shard


def shard_bytes(tokens, magic=20240520, version=1, num_tokens=None) -> bytes:
    """Return a shard, written independently of the code under test."""
    count = len(tokens) if num_tokens is None else num_tokens
    return struct.pack("<256i", magic, version, count, *[0] * 253) + struct.pack(f"<{len(tokens)}H", *tokens)


@settings(max_examples=30, deadline=None)
@given(
    pieces=st.lists(st.lists(st.integers(0, 65_535), max_size=12), max_size=10),
    shard_tokens=st.integers(1, 20),
    chunk_tokens=st.integers(1, 30),
)
def test_a_stream_is_cut_into_shards_of_the_challenges_format(tmp_path_factory, pieces, shard_tokens, chunk_tokens):
    folder = tmp_path_factory.mktemp("shards")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shard_module, "CHUNK_TOKENS", chunk_tokens)
        writer = ShardWriter(folder, "train", shard_tokens)
        for piece in pieces:
            writer.add(np.array(piece, np.int64))
        shards = writer.close()
    tokens = [token for piece in pieces for token in piece]
    cut = [tokens[i : i + shard_tokens] for i in range(0, len(tokens), shard_tokens)]
    assert writer.num_tokens == len(tokens)
    assert sorted(path.name for path in folder.iterdir()) == [f"train_{i:06d}.bin" for i in range(len(cut))]
    for i, (described, part) in enumerate(zip(shards, cut, strict=True)):
        content = (folder / f"train_{i:06d}.bin").read_bytes()
        assert content == shard_bytes(part)
        assert described == {
            "file": f"train_{i:06d}.bin",
            "tokens": len(part),
            "sha256": hashlib.sha256(content).hexdigest(),
        }
        np.testing.assert_array_equal(read_shard(folder / f"train_{i:06d}.bin", 65_536), part)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a shard begins with a header of 1024 bytes"),
        (shard_bytes([1, 2])[:1000], "a shard begins with a header of 1024 bytes"),
        (shard_bytes([1, 2], magic=20240521), "magic number 20240521, not 20240520"),
        (shard_bytes([1, 2], version=2), "format version 2"),
        (shard_bytes([1, 2], num_tokens=3), "the header's 3 tokens make 1030"),
        (shard_bytes([1, 2], num_tokens=1), "cut short or damaged"),
        (shard_bytes([1, 2], num_tokens=-1), "cut short or damaged"),
        (shard_bytes([1, 2]) + b"\0", "cut short or damaged"),
        (shard_bytes([]), "holds no token"),
        (shard_bytes([1, 2, 64, 3]), "token 64, and the tokenizer has 64 pieces"),
    ],
)
def test_a_shard_that_is_not_what_it_should_be_is_refused(tmp_path, content, message):
    (tmp_path / "fineweb_val_000000.bin").write_bytes(content)
    with pytest.raises(ValueError, match=rf"fineweb_val_000000\.bin: .*{message}"):
        read_shard(tmp_path / "fineweb_val_000000.bin", 64)


def test_a_token_beyond_the_vocabulary_is_found_in_any_chunk(tmp_path, monkeypatch):
    monkeypatch.setattr(shard_module, "CHUNK_TOKENS", 4)
    for position in range(10):
        tokens = [1] * 10
        tokens[position] = 9
        (tmp_path / "a.bin").write_bytes(shard_bytes(tokens))
        with pytest.raises(ValueError, match="token 9"):
            read_shard(tmp_path / "a.bin", 9)
