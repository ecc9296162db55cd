"""Nats and losses of five published training scripts on weights drawn here, and ours beside them.

published_nats.json holds what each script computed in float64 from the weights of `draw` and a span of 49 tokens: nats per
token, the losses of 6 optimizer steps, and the root mean square of each parameter group after them. Where a script leaks
across documents or hides an NTK length, the changes to our recipe say so. PR 1716's bigram table was given to its optimizer.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from mulligan.core.execution import Execution
from mulligan.model.gpt import GPT, parameter_shapes
from mulligan.recipe import load_recipe
from mulligan.train.parameter_group import split_parameters
from mulligan.train.trainer import Trainer

PUBLISHED = json.loads((Path(__file__).parent / "published_nats.json").read_text())
TABLES = ("tok_emb.weight", "bigram.embed.weight", "ve_shared.embed.weight")
LOADER = 'train.loader={kind = "sequential", start = "fixed"}'

each_case = pytest.mark.parametrize("name", PUBLISHED["cases"])


def draw(shapes, seed):
    """Return weights for every parameter: none is zero, so that none can hide."""
    random, drawn = np.random.RandomState(seed), {}
    for name in sorted(shapes):
        noise = np.asarray(random.standard_normal(shapes[name]))
        if name in TABLES:
            value = 0.5 * noise
        else:
            value = 1.2 * noise / noise.shape[-1] ** 0.5 if name.endswith(".weight") else 0.6 + 0.3 * noise
        drawn[name] = torch.from_numpy(np.asarray(value, np.float32))
    return drawn


class Stream:
    def __init__(self, tokens):
        self.tokens, self.num_tokens = np.array(tokens), len(tokens)

    def take(self, start, count):
        return self.tokens[(start + np.arange(count)) % self.num_tokens]


def recipe_of(name):
    return load_recipe(name, [LOADER, *PUBLISHED["cases"][name]["set"]])


@each_case
def test_nats_per_token_are_those_of_the_published_script(name):
    case, recipe = PUBLISHED["cases"][name], recipe_of(name)
    model = GPT(recipe.model, 0)
    model.load_state_dict(draw(parameter_shapes(recipe.model), case["seed"]))
    span = torch.tensor(PUBLISHED["tokens"])
    for how, expected in case["nats"].items():
        model.looping = how == "looping"
        with torch.no_grad():
            found = model(span[:-1].view(-1, PUBLISHED["seq_len"]), span[1:].view(-1, PUBLISHED["seq_len"]))
        np.testing.assert_allclose(found.flatten().numpy(), expected, rtol=0, atol=2e-5)


@each_case
def test_six_optimizer_steps_follow_the_published_script(name):
    case, recipe = PUBLISHED["cases"][name], recipe_of(name)
    trainer = Trainer(recipe.train, recipe.model, Stream(PUBLISHED["tokens"]), 0, Execution())
    trainer.model.load_state_dict(draw(parameter_shapes(recipe.model), case["seed"]))
    trainer.advance()
    np.testing.assert_allclose(trainer.state().metrics["loss_nats"], case["losses"], rtol=0, atol=1e-5)
    for group in split_parameters(trainer.model):
        values = torch.cat([parameter.detach().flatten() for parameter in group.parameters.values()]).double()
        assert float(values.square().mean().sqrt()) == pytest.approx(case["rms_after"][group.name], rel=1e-6), group.name
