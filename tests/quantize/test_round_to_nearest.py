"""Round to nearest ships exactly what the grid's one definition says (B10)."""

import torch

from mulligan.numerics.config import GridConfig
from mulligan.numerics.grid import assign, dequantize_rows, quantize_rows
from mulligan.quantize.config import RoundToNearest
from mulligan.quantize.round_to_nearest import round_to_nearest
from mulligan.values.quantized import QuantizedTensor

GRID = GridConfig.model_validate(
    {
        "families": [
            {"match": ["*.weight"], "format": {"kind": "int", "bits": 5, "scale": {"kind": "row-max"}}},
            {"match": ["gain"], "format": {"kind": "fp32"}},
            {"match": ["*"], "format": {"kind": "fp16"}},
        ]
    }
)


def test_each_tensor_is_in_the_format_of_its_family():
    torch.manual_seed(0)
    weights = {"a.weight": torch.randn(4, 6), "gain": torch.randn(5), "b": torch.randn(3)}
    formats = assign(GRID, {name: tuple(tensor.shape) for name, tensor in weights.items()})
    tensors = round_to_nearest(RoundToNearest(kind="round-to-nearest"), formats, weights)
    quantized = tensors["a.weight"]
    assert isinstance(quantized, QuantizedTensor)
    assert quantized.bits == 5
    fake = dequantize_rows(*quantize_rows(weights["a.weight"], formats["a.weight"]), (4, 6))
    assert torch.equal(quantized.dequantize(), fake)
    assert torch.equal(tensors["gain"], weights["gain"])
    assert torch.equal(tensors["b"], weights["b"].half())
