"""The quantize stage: formats by the grid, errors per tensor, bad weights told by name."""

import pytest
import torch

from mulligan.numerics.config import GridConfig
from mulligan.quantize import stage
from mulligan.quantize.config import RoundToNearest
from mulligan.values.quantized import Quantized, QuantizedTensor
from mulligan.values.weights import Weights

CONFIG = RoundToNearest(kind="round-to-nearest")
RECORD = {"kind": "last", "num_snapshots": 1, "first_step": 8, "last_step": 8, "every_steps": 0}


def grid(bits=6, scale=None, rest="fp16"):
    int_format = {"kind": "int", "bits": bits, "scale": scale or {"kind": "row-max"}}
    families = [
        {"match": ["*.weight"], "min_elements": 10, "format": int_format},
        {"match": ["*"], "format": {"kind": rest}},
    ]
    return GridConfig.model_validate({"families": families})


def weights(**changes):
    torch.manual_seed(0)
    tensors = {"a.weight": torch.randn(4, 6), "b.weight": torch.randn(2, 3), "gain": torch.randn(5), **changes}
    return Weights(tensors, {"num_layers": 1}, RECORD)


def test_large_matrices_are_codes_and_the_rest_falls_through(tmp_path):
    quantized = stage.run(CONFIG, grid(), weights())
    assert [name for name, tensor in quantized.tensors.items() if isinstance(tensor, QuantizedTensor)] == ["a.weight"]
    assert quantized.model == {"num_layers": 1}
    assert quantized.record["weights"] == RECORD
    quantized.save(tmp_path)
    assert Quantized.load(tmp_path).record == quantized.record


def test_the_reported_error_is_that_of_the_stored_weights():
    given = weights()
    quantized = stage.run(CONFIG, grid(4), given)
    stored = quantized.dequantize()
    for name, weight in given.tensors.items():
        plain = float((weight.double() - stored[name]).norm() / weight.double().norm())
        assert quantized.record["relative_rms_error"][name] == pytest.approx(plain, rel=1e-5)
    assert 0.03 < quantized.record["relative_rms_error"]["a.weight"] < 0.2


def test_fewer_bits_mean_more_error():
    errors = [stage.run(CONFIG, grid(bits), weights()).record["relative_rms_error"]["a.weight"] for bits in range(2, 9)]
    assert errors == sorted(errors, reverse=True)
    assert len(set(errors)) == 7


def test_a_tensor_of_zeros_has_no_error():
    zeros = {"a.weight": torch.zeros(4, 6), "empty": torch.zeros(0, 6)}
    errors = stage.run(CONFIG, grid(), weights(**zeros)).record["relative_rms_error"]
    assert (errors["a.weight"], errors["empty"]) == (0.0, 0.0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", ["a.weight", "b.weight", "gain"])
@pytest.mark.parametrize("rest", ["fp16", "fp32"])
def test_weights_that_are_not_finite_are_told_by_name(name, value, rest):
    bad = weights()
    bad.tensors[name].view(-1)[2] = value
    with pytest.raises(ValueError, match=f"^{name}: 1 of .* weights are NaN or infinite"):
        stage.run(CONFIG, grid(rest=rest), bad)


@pytest.mark.parametrize("name", ["a.weight", "gain"])
def test_weights_beyond_fp16_are_told_by_name(name):
    bad = weights()
    bad.tensors[name].view(-1)[2] = -70_000.0
    with pytest.raises(ValueError, match=rf"^{name}: the greatest \|weight\| is 70000"):
        stage.run(CONFIG, grid(), bad)


def test_fp32_takes_what_fp16_cannot_hold():
    quantized = stage.run(CONFIG, grid(rest="fp32"), weights(gain=torch.tensor([1e30])))
    assert quantized.dequantize()["gain"].tolist() == [torch.tensor(1e30).item()]
