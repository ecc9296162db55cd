"""The quantize stage: Weights -> Quantized, by way of Hessians where it calibrates: a value of their own, shared by all grids.

A lever of this stage may touch codes, scales and bits per tensor, with calibration tokens of the train split alone;
not the parameter set, and no validation token.
"""

from collections.abc import Mapping
from dataclasses import replace

import torch

from mulligan.core.canonical import Json
from mulligan.core.config import parse_config
from mulligan.core.execution import Execution
from mulligan.model.config import ModelConfig
from mulligan.model.network import load_network
from mulligan.numerics.config import Format, Fp32Format, GridConfig, IntFormat
from mulligan.numerics.grid import FP16_MAX, assign
from mulligan.numerics.hadamard import rotate
from mulligan.quantize.calibration import generated_sequences, mean_products, train_sequences
from mulligan.quantize.check import check_acts, check_hidden_units
from mulligan.quantize.config import VERSION as VERSION
from mulligan.quantize.config import (
    Gptq,
    HadamardRotation,
    LowRankCorrection,
    MagnitudePruning,
    PlusMinusOnePruning,
    Quantizer,
    SelfGenerated,
    TrainSplit,
    UserQuantizer,
)
from mulligan.quantize.error import excess_kurtosis, relative_hessian_errors, relative_rms_errors
from mulligan.quantize.gptq import gptq
from mulligan.quantize.hidden_permutation import sort_hidden_units
from mulligan.quantize.low_rank import correct_worst
from mulligan.quantize.magnitude_pruning import prune_by_magnitude
from mulligan.quantize.plus_minus_one_pruning import prune_plus_minus_ones
from mulligan.quantize.rotation import rotate_hessian, rotation_seed
from mulligan.quantize.round_to_nearest import round_to_nearest
from mulligan.values.corpus import Corpus
from mulligan.values.hessians import Hessians
from mulligan.values.quantized import Quantized, QuantizedTensor
from mulligan.values.weights import Weights


def calibrate(
    config: Quantizer,
    weights: Weights,
    corpus: Corpus | None = None,
    seed: int = 0,
    execution: Execution | None = None,
) -> Hessians:
    """Return the Hessian of each matrix whose inputs are observed on the calibration text; ValueError as `run`.

    `corpus`: given where the text is of its train split; `seed`: read where the network writes the text. Nothing here
    depends on a grid, nor on anything else of `config` than `config.before_observing()`.
    """
    for name, tensor in weights.tensors.items():
        _check_finite(name, tensor)
    execution = execution or Execution()
    given = _pruned(config, _sorted(config, weights))
    if isinstance(config.calibration, TrainSplit):
        assert corpus is not None
        model = load_network(given, corpus, execution.device)
        return Hessians(mean_products(model, train_sequences(config.calibration, corpus.tokens("train")), execution))
    assert isinstance(config.calibration, SelfGenerated)
    model = load_network(given, None, execution.device)
    return Hessians(mean_products(model, generated_sequences(config.calibration, model, seed, execution), execution))


def run(config: Quantizer | UserQuantizer, grid: GridConfig, weights: Weights, observed: Hessians | None = None) -> Quantized:
    """Return `weights` on the grid, with what that did to each tensor in the record; ValueError as `on_grid`."""
    quantized = on_grid(config, grid, weights, observed)
    given, stored, record = _given(config, weights), quantized.dequantize(), dict(quantized.record)
    record["relative_rms_error"] = dict(relative_rms_errors(given.tensors, stored))
    record["excess_kurtosis"] = dict(excess_kurtosis(given.tensors))
    if observed is not None and observed.tensors:
        record["relative_hessian_error"] = dict(relative_hessian_errors(given.tensors, stored, observed.tensors))
    return replace(quantized, record=record)


def on_grid(
    config: Quantizer | UserQuantizer, grid: GridConfig, weights: Weights, observed: Hessians | None = None
) -> Quantized:
    """Return `weights` on the grid; ValueError for weights that are not finite or that fp16 cannot hold.

    `observed`: what `calibrate` returned for the same config and weights, where the config calibrates.
    """
    shapes = {name: tuple(tensor.shape) for name, tensor in weights.tensors.items()}
    formats = assign(grid, shapes)
    for name, tensor in weights.tensors.items():
        _check_range(name, tensor, formats[name])
    record: dict[str, Json] = {"kind": config.kind, "weights": weights.record}
    if isinstance(config, UserQuantizer):
        tensors = config.quantize(formats, {name: tensor.clone() for name, tensor in weights.tensors.items()})
        _check_formats(config.kind, formats, tensors)
    else:
        assert (observed is None) == (config.calibration.kind == "off")
        check_acts(config, formats, shapes)
        hessians = observed.tensors if observed else {}
        tensors = _quantize(config, formats, _sorted(config, weights), hessians)
        if isinstance(config, Gptq):
            record["rounded_to_nearest"] = _unobserved(formats, hessians)
    return Quantized(tensors, weights.model, record)


def _given(config: Quantizer | UserQuantizer, weights: Weights) -> Weights:
    """Return the weights that were to be rounded."""
    return weights if isinstance(config, UserQuantizer) else _sorted(config, weights)


def _sorted(config: Quantizer, weights: Weights) -> Weights:
    if config.hidden_permutation == "off":
        return weights
    model = parse_config(ModelConfig, weights.model, "model")
    check_hidden_units(config, model)
    return replace(weights, tensors=sort_hidden_units(model, weights.tensors))


def _pruned(config: Quantizer, weights: Weights) -> Weights:
    if not isinstance(config.prune, MagnitudePruning):
        return weights
    return replace(weights, tensors=prune_by_magnitude(config.prune, weights.tensors))


def _quantize(
    config: Quantizer, formats: Mapping[str, Format], weights: Weights, hessians: Mapping[str, torch.Tensor]
) -> dict[str, QuantizedTensor | torch.Tensor]:
    """Return every tensor in its format: prune, round, prune, correct."""
    given = _pruned(config, weights).tensors
    tensors = {name: _in_format(config, formats[name], tensor, hessians.get(name)) for name, tensor in given.items()}
    if isinstance(config.prune, PlusMinusOnePruning):
        tensors = prune_plus_minus_ones(config.prune, tensors)
    if isinstance(config.correction, LowRankCorrection):
        tensors = correct_worst(config.correction, weights.tensors, tensors)
    return tensors


def _in_format(
    config: Quantizer, format: Format, tensor: torch.Tensor, hessian: torch.Tensor | None
) -> QuantizedTensor | torch.Tensor:
    """Return a tensor in its format: codes with scales, or a float16 or float32 tensor."""
    if not isinstance(format, IntFormat):
        return tensor.to(torch.float32 if isinstance(format, Fp32Format) else torch.float16)
    seed = rotation_seed(config.rotation, format, tensor) if isinstance(config.rotation, HadamardRotation) else None
    weight = tensor if seed is None else rotate(tensor, seed)
    if isinstance(config, Gptq) and hessian is not None:
        codes, scale = gptq(config, format, weight, hessian if seed is None else rotate_hessian(hessian, seed))
    else:
        codes, scale = round_to_nearest(format, weight)
    return QuantizedTensor(codes, scale, format.bits, tuple(tensor.shape), seed)


def _unobserved(formats: Mapping[str, Format], hessians: Mapping[str, torch.Tensor]) -> list[Json]:
    """Return the integer tensors that GPTQ must round to nearest; ValueError where there is no other."""
    integers = [name for name, format in formats.items() if isinstance(format, IntFormat)]
    nearest = [name for name in integers if name not in hessians]
    if len(nearest) == len(integers):
        raise ValueError(
            "quantize.kind = gptq treats matrices whose inputs are observed, and the grid stores none of them as integers. "
            'Give the family of blocks.*.weight an integer format, or quantize = {kind = "round-to-nearest"}.'
        )
    return list(nearest)


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
    _check_finite(name, tensor)
    greatest = float(tensor.abs().max()) if tensor.numel() else 0.0
    if greatest > FP16_MAX and not isinstance(format, Fp32Format):
        raise ValueError(
            f"{name}: the greatest |weight| is {greatest:g}; the format {format.kind} holds up to {FP16_MAX:g}. "
            "Trained weights are seldom above 100, so it has most likely diverged: lower its learning rate. If the weights "
            'are meant to be so, give their family format = {kind = "fp32"}.'
        )


def _check_finite(name: str, tensor: torch.Tensor) -> None:
    num_bad = int((~torch.isfinite(tensor)).sum())
    if num_bad:
        raise ValueError(
            f"{name}: {num_bad:,} of {tensor.numel():,} weights are NaN or infinite; only finite weights can be "
            "quantized. The training that made them diverged: lower its learning rate, or take an earlier state."
        )
