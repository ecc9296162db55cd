"""The split of parameters over optimizers: every parameter in exactly one group (B7, B8)."""

from dataclasses import dataclass

from torch import nn

MATRIX, TOKEN, HEAD, SCALAR = "matrix", "token", "head", "scalar"

TABLES = ("tok_emb.weight", "bigram.embed.weight", "ve_shared.embed.weight")
"""Rows looked up by token, or by a hash of tokens."""

PROJECTIONS = ("bigram.proj.weight", "ve_shared.proj.weight", "smear_gate.weight")
"""Matrices outside the blocks; the input-gated smear's single row is one in its published script (PR 1716)."""

GATES = (".attn.attn_gate_proj.weight",)
"""Two-dimensional weights of blocks that are no matrices to orthogonalise: one number per head out of a few channels."""


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters that one optimizer owns at one learning rate."""

    name: str
    parameters: dict[str, nn.Parameter]


def group_name(name: str, parameter: nn.Parameter) -> str:
    """Return the group of one parameter: matrices to Muon, token tables, head, and everything else (gates, gains) to Adam."""
    if name in TABLES:
        return TOKEN
    if name == "lm_head.weight":
        return HEAD
    in_block = name.startswith("blocks.") and name.endswith(".weight") and not name.endswith(GATES)
    return MATRIX if parameter.ndim == 2 and (in_block or name in PROJECTIONS) else SCALAR


def split_parameters(model: nn.Module) -> list[ParameterGroup]:
    """Return the groups, none empty; together they hold every parameter that requires a gradient exactly once."""
    found: dict[str, dict[str, nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            found.setdefault(group_name(name, parameter), {})[name] = parameter
    return [ParameterGroup(name, found[name]) for name in (MATRIX, TOKEN, HEAD, SCALAR) if name in found]
