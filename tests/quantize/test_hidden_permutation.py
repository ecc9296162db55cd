"""Sorted hidden units: the same function, in order of norm."""

import pytest
import torch

from mulligan.model.network import load_network
from mulligan.quantize.hidden_permutation import sort_hidden_units
from mulligan.values.weights import Weights
from toy import model_config, random_network

KINDS = [
    {"kind": "relu-squared", "mult": 2},
    {"kind": "leaky-relu-squared", "mult": 2, "negative_slope": 0.5},
    {"kind": "swiglu", "mult": 2},
]


@pytest.mark.parametrize("feed_forward", KINDS, ids=lambda kind: kind["kind"])
def test_the_function_is_kept_and_rows_are_sorted(feed_forward):
    config = model_config(feed_forward=feed_forward)
    model = random_network(config).eval()
    given = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    moved = sort_hidden_units(config, given)
    tokens = torch.arange(20).view(2, 10)
    with torch.no_grad():
        again = load_network(Weights(moved, config.canonical(), {}), None, "cpu")
        torch.testing.assert_close(again.hidden(tokens), model.hidden(tokens), rtol=0, atol=1e-5)
    for layer in range(config.num_layers):
        norms = moved[f"blocks.{layer}.mlp.fc.weight"].norm(dim=1)
        assert bool((norms.diff() <= 1e-6).all())
    for name, tensor in moved.items():
        assert torch.equal(tensor, given[name]) == (".mlp." not in name or not name.endswith(".weight")), name
