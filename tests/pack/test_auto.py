"""Auto: never worse than one codec for everything, each group by its own, and proved."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mulligan.pack import auto
from mulligan.pack.auto import LEVELS, pack_auto
from mulligan.values.artifact import Artifact
from mulligan.values.container import FLOAT_SECTIONS, Coding, contents_of, pack_container, write_container
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


def least_of_one_codec(value):
    """The bytes of the smallest container by one codec and layout."""
    contents = contents_of(value)
    return min(
        len(write_container(contents, Coding(dict.fromkeys(contents.groups, way), dict.fromkeys(PARTS, way.codec), LEVELS)))
        for way in auto.BYTE_CODINGS
    )


PARTS = ("table", *FLOAT_SECTIONS)


@settings(max_examples=8, deadline=None)
@given(st.data())
def test_no_codec_alone_is_smaller_by_more_than_its_table(data):
    """Matrices of few kinds under many names: what comes again may lie in another role, turned, or in other bits."""
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    kinds = [rng.normal(0, data.draw(st.sampled_from([0.3, 2.0, 9.0])), (48, 64)) for _ in range(2)]
    tensors = {}
    for i in range(data.draw(st.integers(1, 4))):
        kind, role = data.draw(st.sampled_from(kinds)), data.draw(st.sampled_from("abc"))
        turned = data.draw(st.booleans())
        tensors[f"blocks.{i}.{role}"] = matrix(kind.T if turned else kind, data.draw(st.sampled_from([4, 6])))
    value = Quantized({**tensors, "gain": torch.linspace(0, 1, 64)}, {}, {})
    assert len(pack_auto(value)) <= least_of_one_codec(value) + 64


def twins(*names, rows=128, seed=0):
    noise = np.random.default_rng(seed).normal(0, 2.4, (rows, 128))
    return Quantized({name: matrix(noise) for name in names}, {}, {})


def test_what_comes_again_in_another_role_is_stored_once():
    value = twins("query", "key")
    assert len(pack_auto(value)) < 1.03 * len(pack_auto(twins("query")))


@pytest.mark.parametrize("names", [("query", "key"), ("blocks.0.w", "blocks.1.w")], ids=["another role", "the same role"])
def test_what_comes_again_is_found_among_many_codes_where_samples_do_not_reach(names, monkeypatch):
    monkeypatch.setattr(auto, "SAMPLE_BYTES", 1 << 13)
    value = twins(*names)
    assert len(pack_auto(value)) <= least_of_one_codec(value) + 64


@pytest.mark.parametrize("size", [0.5, 2.4, 40.0])
def test_many_codes_of_noise_do_not_come_again(size):
    """Where something does, packing takes as long as four codecs take on all of it."""
    noise = np.random.default_rng(0).normal(0, size, (5, 800, 128))
    unlike = {f"{name}.w": matrix(values, 8) for name, values in zip("abcd", noise, strict=False)}
    assert not auto._may_repeat(contents_of(Quantized(unlike, {}, {})))
    for seen in ("a.w", "d.w"):
        twice = {**unlike, "e.w": unlike[seen]}
        assert auto._may_repeat(contents_of(Quantized(twice, {}, {})))


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
