"""Quantized: parts that do not fit are refused, files are deterministic, dequantize is codes times scale."""

import json

import pytest
import torch
from hypothesis import given, settings

from mulligan.numerics.hadamard import rotate
from mulligan.values.quantized import Factor, LowRank, Quantized, QuantizedTensor
from random_quantized import assert_same, float_tensor, int_tensor, quantized

CODES, SCALE = torch.tensor([[1, -2, 3], [4, 5, -6]], dtype=torch.int8), torch.tensor([0.5, 2.0], dtype=torch.float16)


# A 2-bit column (one group) times a 4-bit row in groups of two.
CORRECTION = LowRank(
    Factor(torch.tensor([[1], [-2]], dtype=torch.int8), torch.tensor([0.5], dtype=torch.float16), 2, 2),
    Factor(torch.tensor([[7, -8, 1]], dtype=torch.int8), torch.tensor([1.0, 4.0], dtype=torch.float16), 4, 2),
)


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@settings(max_examples=40, deadline=None)
@given(value=quantized)
def test_what_is_saved_is_loaded_and_files_do_not_depend_on_order(value, tmp_path_factory):
    folders = [tmp_path_factory.mktemp("value") for _ in range(2)]
    value.save(folders[0])
    assert_same(Quantized.load(folders[0]), value)
    Quantized(dict(reversed(value.tensors.items())), value.model, value.record).save(folders[1])
    assert files(folders[0]) == files(folders[1])


def test_the_summary_holds_each_tensors_format_and_error(tmp_path):
    value = Quantized(
        {"w": QuantizedTensor(CODES, SCALE, 4, (2, 3)), "g": torch.ones(3, dtype=torch.float16)},
        {"num_layers": 1},
        {"kind": "round-to-nearest", "relative_rms_error": {"w": 0.25, "g": 0.0}},
    )
    value.save(tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text("utf-8"))
    assert summary["tensors"]["w"] == {"kind": "int", "bits": 4, "shape": [2, 3], "relative_rms_error": 0.25}
    assert summary["tensors"]["g"] == {"kind": "fp16", "bits": 16, "shape": [3], "relative_rms_error": 0.0}
    assert summary["model"] == {"num_layers": 1}
    assert summary["record"] == {"kind": "round-to-nearest"}
    assert Quantized.load(tmp_path).record == value.record


def test_tensors_that_share_memory_are_saved(tmp_path):
    weight = torch.arange(6.0)
    Quantized({"a": weight, "b": weight[:3], "c": weight}, {}, {}).save(tmp_path)
    assert torch.equal(Quantized.load(tmp_path).tensors["b"], weight[:3])


def test_dequantized_weights_are_codes_times_scale_in_float32():
    value = Quantized({"w": QuantizedTensor(CODES, SCALE, 4, (2, 3)), "g": torch.ones(3, dtype=torch.float16)}, {}, {})
    weights = value.dequantize()
    assert weights["w"].tolist() == [[0.5, -1.0, 1.5], [8.0, 10.0, -12.0]]
    assert {tensor.dtype for tensor in weights.values()} == {torch.float32}


def test_a_correction_is_added_to_its_matrix_and_saved_with_it(tmp_path):
    tensor = QuantizedTensor(CODES, SCALE, 4, (2, 3), None, CORRECTION)
    expected = [[0.5 + 0.5 * 7, -1.0 - 0.5 * 8, 1.5 + 0.5 * 4], [8.0 - 7, 10.0 + 8, -12.0 - 4]]
    assert tensor.dequantize().tolist() == expected
    Quantized({"w": tensor}, {}, {}).save(tmp_path)
    loaded = Quantized.load(tmp_path).tensors["w"]
    assert isinstance(loaded, QuantizedTensor)
    assert loaded.dequantize().tolist() == expected
    described = json.loads((tmp_path / "summary.json").read_text("utf-8"))["tensors"]["w"]["correction"]
    assert described == {"rank": 1, "left": {"bits": 2, "group_size": 2}, "right": {"bits": 4, "group_size": 2}}


def test_rotated_codes_come_back_in_the_weights_own_basis(tmp_path):
    codes = torch.tensor([[1, -2, 3, 7]], dtype=torch.int8)
    tensor = QuantizedTensor(codes, torch.tensor([0.5], dtype=torch.float16), 4, (1, 4), rotation_seed=9)
    torch.testing.assert_close(rotate(tensor.dequantize(), 9), codes * 0.5)
    Quantized({"w": tensor}, {}, {}).save(tmp_path)
    loaded = Quantized.load(tmp_path).tensors["w"]
    assert isinstance(loaded, QuantizedTensor)
    assert torch.equal(loaded.dequantize(), tensor.dequantize())


def test_one_float32_scale_may_serve_the_whole_tensor():
    assert QuantizedTensor(CODES, torch.tensor([0.25]), 4, (2, 3)).dequantize().tolist() == (CODES * 0.25).tolist()


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"shape": (6,), "codes": CODES.reshape(1, 6), "scale": SCALE[:1], "correction": CORRECTION}, "matrices"),
        ({"shape": (6,), "codes": CODES.reshape(1, 6), "scale": SCALE[:1], "rotation_seed": 1}, "matrices"),
        ({"shape": (3, 2), "codes": CODES.reshape(3, 2), "scale": torch.ones(1), "correction": CORRECTION}, "does not fit"),
        ({"rotation_seed": -1}, "rotation_seed"),
        ({"shape": (0, 3), "codes": CODES[:0], "scale": SCALE[:0], "rotation_seed": 1}, "of some size"),
    ],
)
def test_a_rotation_or_correction_that_does_not_fit_is_refused(changes, told):
    with pytest.raises(ValueError, match=told):
        QuantizedTensor(**{"codes": CODES, "scale": SCALE, "bits": 4, "shape": (2, 3), **changes})


def test_a_factor_whose_parts_do_not_fit_is_refused():
    with pytest.raises(ValueError, match="3 groups of 2 need"):
        Factor(CODES[:, :3], torch.ones(2, dtype=torch.float16), 4, 2)
    with pytest.raises(ValueError, match="group_size"):
        Factor(CODES, torch.ones(6, dtype=torch.float16), 4, 0)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"bits": 3}, "outside"),
        ({"bits": 9}, "2 to 8"),
        ({"shape": (3, 2)}, "needs"),
        ({"shape": (6,)}, "needs"),
        ({"codes": CODES.to(torch.int16)}, "needs"),
        ({"scale": SCALE.to(torch.float32)}, "needs"),
        ({"scale": SCALE * 0}, "scale"),
        ({"scale": SCALE * float("nan")}, "scale"),
    ],
)
def test_parts_that_do_not_fit_one_another_are_refused(changes, told):
    with pytest.raises(ValueError, match=told):
        QuantizedTensor(**{"codes": CODES, "scale": SCALE, "bits": 4, "shape": (2, 3), **changes})


def test_a_float_tensor_of_another_width_is_refused():
    with pytest.raises(ValueError, match="float16 or float32"):
        Quantized({"w": torch.zeros(2, dtype=torch.bfloat16)}, {}, {})


def test_the_strategies_make_what_they_say():
    assert int_tensor((2, 3), 4, 0).codes.shape == (2, 3)
    assert float_tensor((2, 3), 16, 0).dtype == torch.float16
