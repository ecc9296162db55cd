"""Late QAT: what training sees from the trigger on is what the exporter writes, and nothing else changes (B3, B4, B5, B10)."""

import pytest
import torch

from mulligan.core.execution import Execution
from mulligan.model.gpt import GPT
from mulligan.numerics.config import GridConfig, IntFormat
from mulligan.numerics.grid import assign
from mulligan.quantize import stage as quantize
from mulligan.quantize.config import RoundToNearest
from mulligan.train.parameter_swap import parameter_swap
from mulligan.train.trainer import Trainer
from mulligan.values.quantized import QuantizedTensor
from mulligan.values.weights import Weights
from toy import GRID, ToyStream, model_config, random_network, train_config

SCALES = [
    {"kind": "row-max"},
    {"kind": "percentile", "p": 0.9},
    {"kind": "standard-deviations", "k": 2.5},
    {"kind": "clip-search", "percentiles": [0.8, 1.0]},
    {"kind": "legacy-row-max-floored"},
]
WHOLE = {"kind": "int", "bits": 8, "scale": {"kind": "row-max"}, "scale_per": "tensor"}


def grid(bits=6, scale=None, range="symmetric"):
    return GridConfig.model_validate(
        {
            "families": [
                {
                    "match": ["*.mlp.*.weight"],
                    "format": {"kind": "int", "bits": bits - 1, "scale": scale or SCALES[0], "range": range},
                },
                {"match": ["*.attn.c_k.weight"], "format": {"kind": "fp16"}},
                {"match": ["*.resid_mix", "*.attn_scale"], "format": WHOLE},
                {"match": ["*.weight"], "format": {"kind": "int", "bits": bits, "scale": scale or SCALES[0], "range": range}},
                {"match": ["*"], "format": {"kind": "fp32"}},
            ]
        }
    )


def swapping(start=0, **changes):
    return train_config(fake_quantize={"kind": "parameter-swap", "start": {"kind": "at-step", "step": start}}, **changes)


def weights_of(model):
    return dict(model.named_parameters())


@pytest.mark.parametrize("range", ["symmetric", "legacy"])
@pytest.mark.parametrize("scale", SCALES, ids=lambda scale: scale["kind"])
@pytest.mark.parametrize("bits", [8, 6, 5, 3])
def test_what_training_sees_is_bit_for_bit_what_is_exported(bits, scale, range):
    """Contract 5, B4 and B10: the same tensors, the same values; the others are untouched."""
    model, chosen = random_network(model_config()), grid(bits, scale, range)
    weights = weights_of(model)
    latent = {name: weight.detach().clone() for name, weight in weights.items()}
    exported = quantize.run(RoundToNearest(kind="round-to-nearest"), chosen, Weights(latent, {}, {}))
    with parameter_swap(weights, chosen).rounded():
        seen = {name: weight.detach().clone() for name, weight in weights.items()}
    stored = exported.dequantize()
    integers = {name for name, tensor in exported.tensors.items() if isinstance(tensor, QuantizedTensor)}
    assert integers == {
        name
        for name, format in assign(chosen, {n: w.shape for n, w in latent.items()}).items()
        if isinstance(format, IntFormat)
    }
    assert "blocks.0.attn.c_k.weight" not in integers
    for name in weights:
        assert torch.equal(seen[name], stored[name] if name in integers else latent[name]), name
        assert torch.equal(weights[name], latent[name]), f"{name} was not put back"


def test_the_weights_are_put_back_when_the_step_fails():
    model = random_network(model_config())
    before = {name: weight.detach().clone() for name, weight in weights_of(model).items()}
    with pytest.raises(RuntimeError, match="no memory"), parameter_swap(weights_of(model), GRID).rounded():
        raise RuntimeError("no memory")
    assert all(torch.equal(weight, before[name]) for name, weight in weights_of(model).items())


def trained(config, until):
    trainer = Trainer(config, model_config(), ToyStream(), 0, Execution(), grid=GRID)
    trainer.advance(until_step=until)
    return {name: weight.detach().clone() for name, weight in trainer.weights.items()}


def test_it_acts_from_its_trigger_on_and_not_before():
    plain, late = train_config(), swapping(start=5)
    before = trained(plain, 5), trained(late, 5)
    assert all(torch.equal(before[0][name], before[1][name]) for name in before[0])
    after = trained(plain, 6), trained(late, 6)
    assert any(not torch.equal(after[0][name], after[1][name]) for name in after[0])


@pytest.mark.parametrize(
    ("trigger", "first"),
    [
        ({"kind": "at-fraction", "value": 0.5}, 4),
        ({"kind": "lr-scale-below", "value": 0.7}, 6),
        ({"kind": "at-step", "step": 3}, 3),
    ],
)
def test_every_trigger_begins_at_the_step_that_the_plan_names(trigger, first):
    """8 steps, warmdown over the last 4: scales 1, 1, 1, 1, 1, 0.75, 0.5, 0.25."""
    from mulligan.train.history import History

    late = train_config(fake_quantize={"kind": "parameter-swap", "start": trigger})
    assert History(late, GRID).fake_from == first
    plain = train_config()
    same, other = trained(late, first), trained(late, first + 1)
    assert all(torch.equal(weight, trained(plain, first)[name]) for name, weight in same.items())
    assert any(not torch.equal(weight, trained(plain, first + 1)[name]) for name, weight in other.items())


def test_gradients_are_those_at_the_rounded_weights():
    """Straight through: the gradient at Q(W), applied to W."""
    model = random_network(model_config())
    tokens, targets = torch.randint(0, 32, (2, 8)), torch.randint(0, 32, (2, 8))
    swap = parameter_swap(weights_of(model), GRID)
    with swap.rounded():
        model(tokens, targets).mean().backward()
    found = {name: weight.grad.clone() for name, weight in weights_of(model).items()}
    rounded = GPT(model_config(), 0)
    with swap.rounded():
        rounded.load_state_dict(model.state_dict())
    rounded(tokens, targets).mean().backward()
    assert all(torch.equal(found[name], weight.grad) for name, weight in weights_of(rounded).items())


def test_a_compiled_network_sees_the_switch():
    """B3: a flag that the compiler folds away would leave the compiled loss where it was."""
    torch._dynamo.reset()
    model = random_network(model_config())
    compiled = torch.compile(model, backend="eager", fullgraph=True, dynamic=False)
    tokens, targets = torch.randint(0, 32, (2, 8)), torch.randint(0, 32, (2, 8))
    off = compiled(tokens, targets)
    with parameter_swap(weights_of(model), grid(bits=4)).rounded():
        on, eager = compiled(tokens, targets), model(tokens, targets)
    assert not torch.equal(off, on)
    assert torch.equal(on, eager)
    assert torch.equal(compiled(tokens, targets), off)


def test_scoring_after_training_is_that_of_the_weights_as_they_are():
    """B5: nothing of fake quantization is left in the network, in train or in eval mode."""
    trainer = Trainer(swapping(), model_config(), ToyStream(), 0, Execution(), grid=GRID)
    trainer.advance()
    fresh = GPT(model_config(), 1)
    fresh.load_state_dict(trainer.state().weights)
    tokens, targets = torch.randint(0, 32, (2, 8)), torch.randint(0, 32, (2, 8))
    for mode in (True, False):
        trainer.model.train(mode)
        fresh.train(mode)
        assert torch.equal(trainer.model(tokens, targets), fresh(tokens, targets))


def test_it_resumes_bit_for_bit():
    config = swapping(start=2)
    whole = trained(config, 8)
    first = Trainer(config, model_config(), ToyStream(), 0, Execution(), grid=GRID)
    first.advance(until_step=5)
    second = Trainer(config, model_config(), ToyStream(), 0, Execution(), grid=GRID)
    second.load(first.state())
    second.advance()
    assert all(torch.equal(whole[name], weight) for name, weight in second.weights.items())


def test_a_grid_without_integers_is_refused():
    only_fp16 = GridConfig.model_validate({"families": [{"match": ["*"], "format": {"kind": "fp16"}}]})
    with pytest.raises(ValueError, match="no tensor has one"):
        Trainer(swapping(), model_config(), ToyStream(), 0, Execution(), grid=only_fp16)


def test_a_trigger_that_never_fires_is_refused():
    from mulligan.train.history import History

    with pytest.raises(ValueError, match="never fires"):
        History(swapping(start=8), GRID)


def test_a_part_of_the_stored_integers_is_rounded_and_the_rest_is_left():
    """Levers 7.6: matrices alone, the table not, though both are stored as integers."""
    model = random_network(model_config())
    weights = weights_of(model)
    latent = {name: weight.detach().clone() for name, weight in weights.items()}
    with parameter_swap(weights, GRID, ["blocks.*"]).rounded():
        moved = {name for name, weight in weights.items() if not torch.equal(weight, latent[name])}
    assert moved == {name for name in weights if name.startswith("blocks.") and name.endswith(".weight")}
    with pytest.raises(ValueError, match=r"match: 'block\.\*' matches no tensor that the grid stores as integers"):
        parameter_swap(weights, GRID, ["block.*"])
