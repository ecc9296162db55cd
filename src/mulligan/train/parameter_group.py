"""The split of parameters over optimizers: every parameter in exactly one group (B7, B8)."""

from dataclasses import dataclass

from torch import nn

MATRIX, TOKEN, HEAD, SCALAR = "matrix", "token", "head", "scalar"


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that one optimizer owns at one learning rate."""

    name: str
    parameters: dict[str, nn.Parameter]


def group_name(name: str, parameter: nn.Parameter) -> str:
    """Return the group of one parameter: matrices inside blocks to Muon, embeddings, head, and everything else to Adam."""
    if name == "tok_emb.weight":
        return TOKEN
    if name == "lm_head.weight":
        return HEAD
    if name.startswith("blocks.") and parameter.ndim == 2 and name.endswith(".weight"):
        return MATRIX
    return SCALAR


def split_parameters(model: nn.Module) -> list[ParameterGroup]:
    """Return the groups, none empty; together they hold every parameter that requires a gradient exactly once."""
    found: dict[str, dict[str, nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            found.setdefault(group_name(name, parameter), {})[name] = parameter
    return [ParameterGroup(name, found[name]) for name in (MATRIX, TOKEN, HEAD, SCALAR) if name in found]
