"""Auto: never worse than one codec for everything, each group by its own, and proved."""

import numpy as np
import pytest
import torch

from mulligan.pack import auto
from mulligan.pack.auto import LEVELS, pack_auto
from mulligan.values.artifact import Artifact
from mulligan.values.container import pack_container
from mulligan.values.quantized import Quantized, QuantizedTensor
from random_quantized import assert_same


def matrix(values, bits=6):
    limit = 2 ** (bits - 1)
    codes = np.clip(np.rint(values), -limit, limit - 1).astype(np.int8)
    scale = np.linspace(0.01, 0.02, len(codes)).astype(np.float16)
    return QuantizedTensor(torch.from_numpy(codes), torch.from_numpy(scale), bits, codes.shape)


def weights():
    """Return noise of one size, noise of columns of many sizes, and a text-like matrix that repeats itself."""
    rng = np.random.default_rng(0)
    repeats = np.tile(rng.normal(0, 9, (8, 64)), (16, 1))
    tensors = {
        "blocks.0.noise": matrix(rng.normal(0, 2.4, (128, 128))),
        "blocks.1.noise": matrix(rng.normal(0, 2.4, (128, 128))),
        "columns": matrix(rng.normal(0, 2, (128, 128)) * 2 ** rng.normal(0, 1, 128)),
        "repeats": matrix(repeats),
        "gain": torch.linspace(0, 1, 64),
    }
    return Quantized(tensors, {"num_layers": 2}, {})


def test_each_group_has_the_codec_that_suits_it_and_the_whole_is_smallest():
    value = weights()
    packed = pack_auto(value)
    summary = Artifact(packed).summary()
    codecs = {group: coding["codec"] for group, coding in summary["groups"].items()}
    assert codecs["blocks.*.noise"] == codecs["columns"] == "range-coder"
    assert codecs["repeats"] in LEVELS
    singles = [len(pack_container(value, codec, level)) for codec, level in LEVELS.items()]
    assert len(packed) < 0.99 * min(singles)
    assert_same(Artifact(packed).unpack(), value)
    assert packed == pack_auto(value)


def test_a_layout_is_chosen_where_it_pays():
    rng = np.random.default_rng(0)
    columns = np.repeat(rng.integers(-9, 9, (1, 64)), 40, axis=0) * rng.integers(0, 2, (1, 64))
    value = Quantized({"w": matrix(np.where(rng.random((40, 64)) < 0.02, 3, columns)[:, :8].repeat(3, axis=1))}, {}, {})
    group = Artifact(pack_auto(value)).summary()["groups"]["w"]
    assert group["layout"] == "transposed"


def test_groups_that_the_range_coder_may_not_hold_go_to_the_others():
    """Small matrices, and more zeros than its stream may ask for."""
    zeros = QuantizedTensor(torch.zeros(1, 1 << 10, dtype=torch.int8), torch.ones(1, dtype=torch.float16), 8, (1 << 10,))
    value = Quantized({"small": matrix(np.ones((3, 3))), "zeros": zeros}, {}, {})
    packed = pack_auto(value)
    assert_same(Artifact(packed).unpack(), value)
    assert Artifact(packed).summary()["groups"]["small"]["codec"] in LEVELS


def test_nothing_at_all_is_packed_too():
    assert Artifact(pack_auto(Quantized({}, {}, {}))).unpack().tensors == {}


def test_a_codec_that_does_not_give_back_what_it_got_is_found_out(monkeypatch):
    wrong = pack_container(Quantized({**weights().tensors, "gain": torch.linspace(0, 2, 64)}, {"num_layers": 2}, {}), "zlib", 9)
    monkeypatch.setattr(auto, "write_container", lambda contents, coding: wrong)
    with pytest.raises(RuntimeError, match="decode to other values"):
        pack_auto(weights())


def test_groups_that_the_range_coder_may_hold_together_but_not_alone_take_another_codec(monkeypatch):
    value, real = weights(), auto._fits
    assert "range-coder" in {coding["codec"] for coding in Artifact(pack_auto(value)).summary()["groups"].values()}
    asked = []

    def fits(matrices, num_bytes):
        asked.append((len(matrices), num_bytes))
        return real(matrices, num_bytes) and (num_bytes is None or len(matrices) == 4)

    monkeypatch.setattr(auto, "_fits", fits)
    packed = Artifact(pack_auto(value))
    assert any(number < 4 and num_bytes is not None for number, num_bytes in asked)
    assert "range-coder" not in {coding["codec"] for coding in packed.summary()["groups"].values()}
    assert_same(packed.unpack(), value)
