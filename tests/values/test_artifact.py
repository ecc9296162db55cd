"""The artifact: its bytes are counted to the last one (B15), saved, and read back from a file from anywhere."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from mulligan.pack.auto import pack_auto
from mulligan.values.artifact import ATTRIBUTION, MAGIC, Artifact, entropy_bits
from mulligan.values.container import pack_container
from mulligan.values.quantized import Quantized, QuantizedTensor
from random_quantized import assert_same, codecs, quantized


def codes_of_entropy(levels, rows=256, cols=256):
    codes = np.random.default_rng(levels).integers(0, levels, (rows, cols)).astype(np.int8)
    return QuantizedTensor(torch.from_numpy(codes), torch.ones(rows, dtype=torch.float16), 8, (rows, cols))


EXAMPLE = Quantized(
    {
        "fine": codes_of_entropy(64),
        "coarse": codes_of_entropy(4),
        "gain": torch.randn(50),
        "constant": codes_of_entropy(1),
    },
    {"num_layers": 2},
    {},
)


def example(codec="zlib", level=9):
    return Artifact(pack_container(EXAMPLE, codec, level))


@settings(max_examples=40, deadline=None)
@given(value=quantized, codec=codecs)
def test_the_bytes_of_the_tensors_and_the_container_sum_to_the_payload(value, codec):
    artifact = Artifact(pack_container(value, *codec))
    summary = artifact.summary()
    shares = [tensor["bytes"] for tensor in summary["tensors"].values()]
    assert min(shares, default=0) >= 0
    assert sum(shares) + summary["container_bytes"] == summary["payload_bytes"] == len(artifact.payload)
    table_bytes = int.from_bytes(artifact.payload[15:19], "little")
    assert summary["container_bytes"] == 19 + table_bytes + 32
    assert sum(stream["bytes"] for stream in summary["streams"]) == summary["payload_bytes"] - summary["container_bytes"]
    groups = sum(group["bytes"] for group in summary["groups"].values())
    assert groups == sum(stream["bytes"] for stream in summary["streams"] if stream["section"] == "codes")
    assert_same(artifact.unpack(), value)


def test_codes_of_the_range_coder_are_shared_by_their_length_in_it():
    """Order-0 entropy would give both halves of the second tensor the same share as the first tensor's."""
    rng = np.random.default_rng(0)
    rows = np.where(np.arange(128)[:, None] % 2, 2, 60)
    tensors = {}
    for name, codes in (("even", rng.normal(0, 20, (128, 64))), ("uneven", rng.normal(0, 1, (128, 64)) * rows)):
        codes = np.clip(np.rint(codes), -127, 127).astype(np.int8)
        tensors[name] = QuantizedTensor(torch.from_numpy(codes), torch.ones(128, dtype=torch.float16), 8, (128, 64))
    artifact = Artifact(pack_auto(Quantized(tensors, {}, {})))
    summary = artifact.summary()
    assert [group["codec"] for group in summary["groups"].values()] == ["range-coder", "range-coder"]
    for name, tensor in tensors.items():
        alone = Artifact(pack_auto(Quantized({name: tensor}, {}, {}))).summary()["groups"][name]["bytes"]
        assert summary["groups"][name]["bytes"] == pytest.approx(alone, rel=0.02)


@pytest.mark.parametrize("codec", [("zstd", 19), ("brotli", 9)])
def test_shares_come_near_what_each_tensor_costs_alone(codec):
    summary = example(*codec).summary()
    for name, tensor in EXAMPLE.tensors.items():
        alone = Artifact(pack_container(Quantized({name: tensor}, {}, {}), *codec)).summary()["tensors"][name]["bytes"]
        assert summary["tensors"][name]["bytes"] == pytest.approx(alone, rel=0.2, abs=50)
    assert summary["attribution"] == ATTRIBUTION


def test_entropy_is_that_of_the_codes():
    assert entropy_bits(np.array([[0, 1, 2, 3]], dtype=np.int8)) == pytest.approx(8.0)
    assert entropy_bits(np.array([[-1, -1]], dtype=np.int8)) == 0.0
    assert entropy_bits(np.empty((0, 3), dtype=np.int8)) == 0.0


def test_a_saved_artifact_is_its_bytes_and_loads_as_itself(tmp_path):
    example().save(tmp_path)
    assert (tmp_path / "artifact.bin").read_bytes() == example().payload
    assert Artifact.load(tmp_path) == example()
    summary = json.loads((tmp_path / "summary.json").read_text("utf-8"))
    assert summary == example().summary()
    assert summary["payload_bytes"] == (tmp_path / "artifact.bin").stat().st_size
    assert summary["model"] == EXAMPLE.model


def test_the_artifact_is_its_payload_and_begins_with_the_magic():
    assert example().payload.startswith(MAGIC)
    assert example().payload_bytes == len(example().payload)


@pytest.mark.parametrize("changes", [slice(-1, None), slice(200, 201)], ids=["cut short", "a byte left out"])
def test_a_damaged_file_is_told_by_its_name(changes, tmp_path):
    path, payload = tmp_path / "mine.bin", bytearray(example().payload)
    del payload[changes]
    path.write_bytes(payload)
    with pytest.raises(ValueError, match=r"mine\.bin: The artifact"):
        Artifact.from_file(path)


def test_a_large_file_of_another_kind_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "other.bin"
    path.write_bytes(b"something else" * 10)
    with pytest.raises(ValueError, match="begins with b'somethin'"):
        Artifact.from_file(path)
    monkeypatch.setattr("mulligan.values.artifact.MAX_FILE_BYTES", 100)
    with pytest.raises(ValueError, match="larger than 100 B"):
        Artifact.from_file(path)
