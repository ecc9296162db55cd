"""Round to nearest ships exactly what the grid's one definition says (B10)."""

import torch

from mulligan.numerics.config import IntFormat
from mulligan.numerics.fake_quantize import fake_quantize
from mulligan.numerics.grid import dequantize_rows
from mulligan.quantize.round_to_nearest import round_to_nearest

FORMAT = IntFormat.model_validate({"kind": "int", "bits": 5, "scale": {"kind": "row-max"}})


def test_what_ships_is_what_training_sees():
    weight = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    codes, scale = round_to_nearest(FORMAT, weight)
    assert torch.equal(dequantize_rows(codes, scale, (4, 6)), fake_quantize(weight, FORMAT))
