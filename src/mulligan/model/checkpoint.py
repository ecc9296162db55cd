"""Reading a checkpoint with the challenge scripts' parameter names into our weights; nothing in it is executed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from mulligan.model.config import ModelConfig
from mulligan.model.gpt import parameter_shapes
from mulligan.model.kind import TiedEmbedding, UntiedEmbedding
from mulligan.values.weights import Weights

SHOWN = 4
Shapes = dict[str, tuple[int, ...]]


def read_checkpoint(path: Path, model: ModelConfig, others: Mapping[str, ModelConfig] | None = None) -> Weights:
    """Return the float32 weights in a state dict (.pt with `weights_only=True`, or .safetensors).

    ValueError when names, shapes or values are not those of `model`; where another network would fit, one of the `others` by
    name or the baseline with other sizes, it says which.
    """
    tensors = _without_temperature(path, _strip(_read(path)))
    found, expected = {name: tuple(tensor.shape) for name, tensor in tensors.items()}, parameter_shapes(model)
    if found != expected:
        differences = "; ".join(_differences(found, expected))
        raise ValueError(f"{path} does not fit the recipe's network: {differences}. {_advice(found, model, others or {})}")
    for name, tensor in tensors.items():
        if not tensor.is_floating_point():
            raise ValueError(
                f"{path}: {name} is {tensor.dtype}, and weights are floating-point. Export them before quantization."
            )
        if not tensor.isfinite().all():
            raise ValueError(f"{path}: {name} holds NaN or infinite values; the training diverged. Take an earlier checkpoint.")
    weights = {name: tensors[name].detach().to("cpu", torch.float32).contiguous() for name in expected}
    return Weights(weights, model.canonical(), {"kind": "imported"})


def _read(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise ValueError(f"{path}: no such file. Give a .pt or .safetensors checkpoint.")
    try:
        found: Any = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except SafetensorError as error:
        raise ValueError(f"{path}: not a safetensors file ({error}).") from None
    except Exception:  # torch.load raises whatever the file provokes, and then advises to read it unsafely
        raise ValueError(
            f"{path}: cannot be read without executing it: damaged, or more than tensors in plain containers. Save the bare "
            "state dict with torch.save(model.state_dict(), ...) or as safetensors."
        ) from None
    for _ in range(3):
        nested = [value for value in found.values() if isinstance(value, dict)] if isinstance(found, dict) else []
        found = nested[0] if len(nested) == 1 else found  # {"model": state_dict, "step": ...}
    if not isinstance(found, dict) or not found or not all(isinstance(v, torch.Tensor) for v in found.values()):
        raise ValueError(f"{path}: holds no state dict of tensors by name. Save model.state_dict().")
    return {str(name): tensor for name, tensor in found.items()}


def _strip(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors without the prefixes that torch.compile and DDP put before their names."""
    stripped = {}
    for name, tensor in tensors.items():
        for prefix in ("_orig_mod.", "module.", "_orig_mod."):
            name = name.removeprefix(prefix)
        stripped[name] = tensor
    return stripped


def _without_temperature(path: Path, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors without PR 1716's temperature of the logits, which does nothing where it is 1."""
    temperature = tensors.pop("logit_temp", None)
    if temperature is not None and not bool((temperature == 1).all()):
        raise ValueError(f"{path}: logit_temp is {temperature.item():g}. A temperature other than 1 is not known here.")
    return tensors


def _differences(found: Shapes, expected: Shapes) -> list[str]:
    """Return what is missing, what is unexpected, and which shapes differ, each cut after a few names."""
    missing, unexpected = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
    misshaped = [
        f"{name} is {found[name]} in the file and {shape} in the recipe"
        for name, shape in expected.items()
        if found.get(name, shape) != shape
    ]
    lists = [f"{what}: {_some(names)}" for what, names in (("missing", missing), ("unexpected", unexpected)) if names]
    return [*lists, *misshaped[:SHOWN]]


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _advice(found: Shapes, model: ModelConfig, others: Mapping[str, ModelConfig]) -> str:
    """Return the recipe, or the changes to the given one, with which the file fits, read off its shapes."""
    for name, other in others.items():
        if parameter_shapes(other) == found:
            return f"It fits with --recipe {name}."
    try:
        fitting = _fitting(found, model)
        if parameter_shapes(fitting) == found:
            return f"It fits with {' '.join(_changes(model, fitting))}."
    except (KeyError, IndexError, ValueError, ZeroDivisionError):
        pass  # shapes of no baseline network
    return "No shipped recipe's network has these tensors, nor the baseline with other sizes. Give the recipe of its network."


def _fitting(found: Shapes, model: ModelConfig) -> ModelConfig:
    vocab_size, model_dim = found["tok_emb.weight"]
    num_heads = found["blocks.0.attn.q_gain"][0]
    tied = model.embedding if isinstance(model.embedding, TiedEmbedding) else TiedEmbedding(kind="tied", init_std=0.005)
    return model.replace(
        vocab_size=vocab_size,
        num_layers=len({name.split(".")[1] for name in found if name.startswith("blocks.")}),
        model_dim=model_dim,
        num_heads=num_heads,
        num_kv_heads=found["blocks.0.attn.c_k.weight"][0] * num_heads // model_dim,
        feed_forward=model.feed_forward.replace(mult=found["blocks.0.mlp.fc.weight"][0] // model_dim),
        embedding=UntiedEmbedding(kind="untied") if "lm_head.weight" in found else tied,
    )


def _changes(model: ModelConfig, fitting: ModelConfig) -> list[str]:
    """Return one --set per field in which the two networks differ."""
    plain = ("vocab_size", "num_layers", "model_dim", "num_heads", "num_kv_heads")
    changes = [f"model.{name}={getattr(fitting, name)}" for name in plain if getattr(fitting, name) != getattr(model, name)]
    if fitting.feed_forward != model.feed_forward:
        changes.append(f"model.feed_forward.mult={fitting.feed_forward.mult}")
    if fitting.embedding != model.embedding:
        kind = 'kind="untied"' if isinstance(fitting.embedding, UntiedEmbedding) else 'kind="tied", init_std=0.005'
        changes.append(f"'model.embedding={{{kind}}}'")
    return [f"--set {change}" for change in changes]
