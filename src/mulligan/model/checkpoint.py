"""Reading a checkpoint with the starter script's parameter names into our weights; nothing in it is executed."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from mulligan.model.config import ModelConfig
from mulligan.model.gpt import GPT
from mulligan.values.weights import Weights

FITS = {
    "tok_emb.weight": "model.vocab_size, model.model_dim",
    "attn.c_k.weight": "model.num_kv_heads",
    "attn.c_v.weight": "model.num_kv_heads",
    "attn.q_gain": "model.num_heads",
    "mlp.fc.weight": "model.feed_forward.mult",
    "mlp.proj.weight": "model.feed_forward.mult",
    "skip_weights": "model.num_layers",
    "lm_head.weight": "model.embedding.kind",
}
SHOWN = 4


def read_checkpoint(path: Path, model: ModelConfig) -> Weights:
    """Return the float32 weights in a state dict (.pt with `weights_only=True`, or .safetensors).

    ValueError when names or shapes are not those of `model`; it says which fields of the recipe would fit.
    """
    tensors = _strip(_read(path))
    expected = {name: parameter.shape for name, parameter in GPT(model, seed=0).named_parameters()}
    missing, unexpected = sorted(expected.keys() - tensors.keys()), sorted(tensors.keys() - expected.keys())
    shapes = [
        f"{name} is {tuple(tensors[name].shape)} in the file and {tuple(shape)} in the recipe ({_field(name)})"
        for name, shape in expected.items()
        if name in tensors and tensors[name].shape != shape
    ]
    problems = [
        *([f"missing: {_some(missing)} ({_field(missing[0])})"] if missing else []),
        *([f"unexpected: {_some(unexpected)} ({_field(unexpected[0])})"] if unexpected else []),
        *shapes[:SHOWN],
    ]
    if problems:
        raise ValueError(f"{path} does not fit the recipe's network: {'; '.join(problems)}. Change the recipe with --set.")
    weights = {name: tensors[name].detach().to("cpu", torch.float32).contiguous() for name in expected}
    return Weights(weights, model.canonical(), {"kind": "imported"})


def _read(path: Path) -> dict[str, torch.Tensor]:
    if not path.is_file():
        raise ValueError(f"{path}: no such file. Give a .pt or .safetensors checkpoint.")
    try:
        found: Any = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except SafetensorError as error:
        raise ValueError(f"{path}: not a safetensors file ({error}).") from None
    except Exception as error:  # torch.load raises whatever the damaged or unsafe file provokes
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"{path}: not a checkpoint that can be read without executing it ({reason}). Save the bare state dict with "
            "torch.save(model.state_dict(), ...) or as safetensors."
        ) from None
    while isinstance(found, dict) and len(nested := [v for v in found.values() if isinstance(v, dict)]) == 1:
        found = nested[0]  # {"model": state_dict, "step": ...}
    if not isinstance(found, dict) or not found or not all(isinstance(v, torch.Tensor) for v in found.values()):
        raise ValueError(f"{path}: holds no state dict of tensors by name. Save model.state_dict().")
    return found


def _strip(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the tensors without the prefixes that torch.compile and DDP put before their names."""
    stripped = {}
    for name, tensor in tensors.items():
        for prefix in ("_orig_mod.", "module.", "_orig_mod."):
            name = name.removeprefix(prefix)
        stripped[name] = tensor
    return stripped


def _field(name: str) -> str:
    fields = [field for suffix, field in FITS.items() if name.endswith(suffix)]
    return fields[0] if fields else "model.num_layers, model.model_dim"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
