"""Which optimizer owns a parameter, by its name; the partition of a whole network is tested with the trainer."""

import pytest
import torch
from torch import nn

from mulligan.train.parameter_group import HEAD, MATRIX, SCALAR, TOKEN, group_name, split_parameters

GROUPS = {
    "tok_emb.weight": ((32, 16), TOKEN),
    "bigram.embed.weight": ((64, 8), TOKEN),
    "ve_shared.embed.weight": ((32, 8), TOKEN),
    "bigram.proj.weight": ((16, 8), MATRIX),
    "ve_shared.proj.weight": ((8, 8), MATRIX),
    "lm_head.weight": ((32, 16), HEAD),
    "blocks.0.attn.c_q.weight": ((16, 16), MATRIX),
    "blocks.11.attn.proj.weight": ((16, 16), MATRIX),
    "blocks.0.mlp.fc.weight": ((32, 16), MATRIX),
    "blocks.0.mlp.proj.weight": ((16, 32), MATRIX),
    "blocks.0.attn.attn_gate_proj.weight": ((4, 12), SCALAR),
    "blocks.11.attn.attn_gate_proj.weight": ((4, 12), SCALAR),
    "blocks.0.attn.q_gain": ((4,), SCALAR),
    "blocks.0.attn_scale": ((16,), SCALAR),
    "blocks.0.resid_mix": ((2, 16), SCALAR),
    "skip_weights": ((1, 16), SCALAR),
    "smear_gate.weight": ((1, 12), MATRIX),
    "relative_bias.weight": ((4, 32), SCALAR),
    "bigram.scale": ((), SCALAR),
    "ve_shared.scale": ((), SCALAR),
}


@pytest.mark.parametrize("name", GROUPS)
def test_a_parameter_has_the_group_of_its_name(name):
    shape, group = GROUPS[name]
    assert group_name(name, nn.Parameter(torch.zeros(shape))) == group


def test_a_split_is_a_partition_without_empty_groups():
    model = nn.Module()
    model.bigram = nn.Module()
    model.bigram.embed, model.bigram.proj = nn.Embedding(8, 4), nn.Linear(4, 6, bias=False)
    model.frozen = nn.Parameter(torch.zeros(3), requires_grad=False)
    groups = {group.name: list(group.parameters) for group in split_parameters(model)}
    assert groups == {MATRIX: ["bigram.proj.weight"], TOKEN: ["bigram.embed.weight"]}
