"""The quantize stage: Weights -> Quantized.

A lever of this stage may touch codes, scales and bits per tensor, with calibration tokens of the train split alone;
not the parameter set, and no validation token.
"""

from collections.abc import Mapping

import numpy as np
import torch

from mulligan.core.canonical import Json
from mulligan.numerics.config import Format, Fp32Format, GridConfig, IntFormat
from mulligan.numerics.grid import FP16_MAX, assign
from mulligan.quantize.config import VERSION as VERSION
from mulligan.quantize.config import QuantizeConfig, UserQuantizer
from mulligan.quantize.round_to_nearest import round_to_nearest
from mulligan.values.quantized import Quantized, QuantizedTensor
from mulligan.values.weights import Weights


def run(config: QuantizeConfig, grid: GridConfig, weights: Weights) -> Quantized:
    """Return `weights` on the grid; ValueError for weights that are not finite or that fp16 cannot hold."""
    formats = assign(grid, {name: tuple(tensor.shape) for name, tensor in weights.tensors.items()})
    for name, tensor in weights.tensors.items():
        _check_range(name, tensor, formats[name])
    if isinstance(config, UserQuantizer):
        tensors = config.quantize(formats, {name: tensor.clone() for name, tensor in weights.tensors.items()})
        _check_formats(config.kind, formats, tensors)
    else:
        tensors = round_to_nearest(config, formats, weights.tensors)
    quantized = Quantized(tensors, weights.model, {})
    errors = relative_rms_errors(weights.tensors, quantized.dequantize())
    record: dict[str, Json] = {"kind": config.kind, "weights": weights.record, "relative_rms_error": dict(errors)}
    return Quantized(tensors, weights.model, record)


def _check_formats(kind: str, formats: Mapping[str, Format], tensors: Mapping[str, QuantizedTensor | torch.Tensor]) -> None:
    """Raise ValueError where a quantizer of the user's own leaves the recipe's grid."""
    if tensors.keys() != formats.keys():
        raise ValueError(f"The quantizer {kind!r} returned other tensors than it was given. Return one of each name.")
    for name, format in formats.items():
        made = tensors[name]
        bits = made.bits if isinstance(made, QuantizedTensor) else {torch.float16: 16, torch.float32: 32}.get(made.dtype)
        asked = format.bits if isinstance(format, IntFormat) else 32 if isinstance(format, Fp32Format) else 16
        if bits != asked:
            raise ValueError(f"The quantizer {kind!r} stored {name} on {bits} bits, and the grid asks for {asked}.")


def _check_range(name: str, tensor: torch.Tensor, format: Format) -> None:
    num_bad = int((~torch.isfinite(tensor)).sum())
    if num_bad:
        raise ValueError(
            f"{name}: {num_bad:,} of {tensor.numel():,} weights are NaN or infinite; only finite weights can be "
            "quantized. The training that made them diverged: lower its learning rate, or take an earlier state."
        )
    greatest = float(tensor.abs().max()) if tensor.numel() else 0.0
    if greatest > FP16_MAX and not isinstance(format, Fp32Format):
        raise ValueError(
            f"{name}: the greatest |weight| is {greatest:g}; the format {format.kind} holds up to {FP16_MAX:g}. "
            "Trained weights are seldom above 100, so it has most likely diverged: lower its learning rate. If the weights "
            'are meant to be so, give their family format = {kind = "fp32"}.'
        )


def relative_rms_errors(weights: Mapping[str, torch.Tensor], stored: Mapping[str, torch.Tensor]) -> dict[str, float]:
    """Return sqrt(sum (W - Q)^2 / sum W^2) per tensor to six digits, 0 for a tensor of zeros.

    In numpy, whose sums do not depend on the number of threads as torch's do.
    """
    errors = {}
    for name, weight in weights.items():
        exact = weight.numpy().astype(np.float64)
        power = float(np.square(exact).sum())
        noise = float(np.square(exact - stored[name].numpy()).sum())
        errors[name] = float(f"{np.sqrt(noise / power):.6g}") if power else 0.0
    return errors
