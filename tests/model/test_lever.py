"""Every lever of the network: against the plain reference, causal, compiled, alive from the first steps."""

import re

import numpy as np
import pytest
import torch

from model import reference
from mulligan.core.config import parse_config
from mulligan.model.config import ModelConfig
from mulligan.model.gpt import GPT
from mulligan.model.kind import Ntk, Rope
from mulligan.model.positions import effective_base
from mulligan.numerics.trigger import Moment
from mulligan.train.optimizer import Optimizer
from toy import model_config, random_network, train_config

ROPE = {"kind": "rope", "base": 10000.0}
LEVERS = {
    "hidden size": {"feed_forward": {"kind": "relu-squared", "hidden_dim": 23}},
    "leaky": {"feed_forward": {"kind": "leaky-relu-squared", "mult": 2, "negative_slope": 0.5}},
    "swiglu": {"feed_forward": {"kind": "swiglu", "hidden_dim": 20}},
    "partial rope": {"positions": {**ROPE, "rotated_dims": 4}},
    "ntk": {"positions": {**ROPE, "extension": {"kind": "ntk", "from_len": 4}}},
    "partial ntk": {"positions": {**ROPE, "rotated_dims": 4, "extension": {"kind": "ntk", "from_len": 4}}},
    "yarn": {"positions": {**ROPE, "extension": {"kind": "yarn", "from_len": 4, "to_len": 12}}},
    "no positions": {"positions": {"kind": "none"}},
    "alibi": {"positions": {"kind": "alibi"}},
    "buckets": {"positions": {"kind": "relative-buckets", "num_buckets": 6, "max_distance": 9}},
    "poly-5": {"softcap": "poly-5", "logit_softcap": 4.0},
    "orthogonal": {"initialisation": {"kind": "orthogonal", "min_dim": 8, "scale_projections": True}},
    "xor bigrams": {"bigram_hash": {"kind": "xor", "num_buckets": 37, "dim": 6}},
    "linear bigrams": {"bigram_hash": {"kind": "linear", "num_buckets": 37, "dim": 6}},
    "static smear": {"smear": {"kind": "static"}},
    "input-gated smear": {"smear": {"kind": "input-gated", "width": 5}},
    "value embedding": {"value_embedding": {"kind": "shared", "dim": 6, "layers": [3, 1]}},
    "value residual": {"value_residual": "first-layer"},
    "exclusive": {"num_exclusive_layers": 2},
    "biased gate": {"attention_gate": {"kind": "biased-sigmoid", "bias_init": 1.0}},
    "sigmoid gate": {"attention_gate": {"kind": "sigmoid"}},
    "doubled gate": {"attention_gate": {"kind": "doubled-sigmoid", "width": 5}},
    "sparse gate": {"attention_gate": {"kind": "sparse-sigmoid", "width": 5, "scale": 0.5}},
    "window": {"attention_window": {"kind": "causal", "tokens": 3}},
    "window in some layers": {"attention_window": {"kind": "causal", "tokens": 3, "layers": [0, 2]}},
    "isolated": {"document_attention": "isolated"},
    "norm scale": {"layer_norm_scale": "inverse-sqrt-depth"},
    "mhc": {"residual_mixing": "mhc"},
    "parallel": {"parallel_from_layer": 2},
    "skip gates": {"skip_gates": "sigmoid"},
    "loop": {"recurrence": {"kind": "loop", "first": 1, "last": 2, "num_repeats": 2}},
    "loop of an even order": {"recurrence": {"kind": "loop", "first": 3, "last": 3, "num_repeats": 1}},
}
LEVERS["all"] = {
    **LEVERS["leaky"], **LEVERS["partial ntk"], **LEVERS["orthogonal"], **LEVERS["xor bigrams"], **LEVERS["static smear"],
    **LEVERS["value embedding"], **LEVERS["value residual"], **LEVERS["exclusive"], **LEVERS["doubled gate"],
    **LEVERS["window in some layers"], **LEVERS["isolated"], **LEVERS["norm scale"], **LEVERS["mhc"], **LEVERS["parallel"],
    **LEVERS["skip gates"], **LEVERS["loop"],
}  # fmt: skip
KEEPS_DOCUMENTS_APART = ("xor bigrams", "linear bigrams", "static smear", "input-gated smear")
BOS = 1

each_lever = pytest.mark.parametrize("name", LEVERS)


def config_of(name: str, **changes: object) -> ModelConfig:
    """Return a toy network of 5 layers with a lever on; heads are 8 wide, so that a part of them can be rotated."""
    return model_config(**{"num_layers": 5, "model_dim": 32, **LEVERS[name], **changes})


def documents(seq_len: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Return two rows of tokens in which documents begin at positions 0, 4 and 9, and their targets."""
    tokens = np.random.default_rng(seed).integers(2, 32, (2, seq_len + 1))
    tokens[:, [place for place in (0, 4, 9) if place < seq_len]] = BOS
    both = torch.from_numpy(tokens)
    return both[:, :-1], both[:, 1:]


@each_lever
@pytest.mark.parametrize("looping", [True, False])
def test_nats_agree_with_the_reference(name, looping):
    config = config_of(name)
    model = random_network(config)
    model.looping = looping
    tokens, targets = documents(13)
    with torch.no_grad():
        found = model(tokens, targets)
    expected = reference.nats(config, reference.parameters_of(model), tokens[1].numpy(), targets[1].numpy(), looping=looping)
    np.testing.assert_allclose(found[1].numpy(), expected, rtol=0, atol=2e-5)


@each_lever
def test_a_lever_moves_the_scores(name):
    """Else every other test of it would hold for a lever that never runs. Initial values are seen at step 0 alone."""
    config, plain = config_of(name), model_config(num_layers=5, model_dim=32)
    tokens, targets = documents(13)
    networks = [GPT(c, 0) if name == "orthogonal" else random_network(c) for c in (config, plain)]
    if name == "orthogonal":
        assert not torch.equal(networks[0].blocks[0].attn.c_q.weight, networks[1].blocks[0].attn.c_q.weight)
        return
    shared = {key: value for key, value in networks[1].state_dict().items() if key in networks[0].state_dict()}
    same_shape = {key: value for key, value in shared.items() if networks[0].state_dict()[key].shape == value.shape}
    networks[0].load_state_dict(same_shape, strict=False)
    with torch.no_grad():
        assert (networks[0](tokens, targets) - networks[1](tokens, targets)).abs().max() > 1e-4


@each_lever
@pytest.mark.parametrize("scored_from", [0, 5, 12])
def test_scored_from_gives_the_tail_of_the_full_result(name, scored_from):
    model = random_network(config_of(name))
    tokens, targets = documents(13)
    with torch.no_grad():
        full, tail = model(tokens, targets), model(tokens, targets, scored_from)
    torch.testing.assert_close(tail, full[:, scored_from:], rtol=0, atol=2e-5)


@each_lever
def test_no_token_changes_a_score_before_it(name):
    model = random_network(config_of(name))
    tokens, _ = documents(12)
    with torch.no_grad():
        before = model.logits(model.hidden(tokens))
        for position in range(12):
            changed = tokens.clone()
            changed[:, position] = 2 + (changed[:, position] + 1) % 30
            after = model.logits(model.hidden(changed))
            torch.testing.assert_close(after[:, :position], before[:, :position], rtol=0, atol=2e-5)
            assert (after[:, position] - before[:, position]).abs().max() > 1e-4


@pytest.mark.parametrize("name", ["isolated", "all", *KEEPS_DOCUMENTS_APART])
def test_no_token_of_a_document_changes_a_score_of_the_next(name):
    """B13: what remembers the last token forgets it where a document begins."""
    config = config_of(name, document_attention="isolated")
    model = random_network(config)
    tokens, _ = documents(12)
    changed = tokens.clone()
    changed[:, 1:4] = 2 + (changed[:, 1:4] + 1) % 30
    with torch.no_grad():
        before, after = model.logits(model.hidden(tokens)), model.logits(model.hidden(changed))
    torch.testing.assert_close(after[:, 4:], before[:, 4:], rtol=0, atol=2e-5)
    assert (after[:, :4] - before[:, :4]).abs().max() > 1e-3


@pytest.mark.parametrize("name", KEEPS_DOCUMENTS_APART)
def test_the_published_leak_is_there_under_its_own_name(name):
    config = config_of(name, document_attention="isolated", legacy_document_leak=True)
    model = random_network(config)
    tokens, targets = documents(12)
    changed = tokens.clone()
    changed[:, 3] = 2 + (changed[:, 3] + 1) % 30
    with torch.no_grad():
        difference = model.logits(model.hidden(tokens)) - model.logits(model.hidden(changed))
        found = model(tokens, targets)[0].numpy()
    assert difference[:, 4:].abs().max() > 1e-3
    expected = reference.nats(config, reference.parameters_of(model), tokens[0].numpy(), targets[0].numpy())
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)


@each_lever
def test_the_traced_network_gives_the_bits_of_the_plain_one_before_and_after_it_loops(name):
    config = config_of(name)
    plain, traced = random_network(config), random_network(config)
    tokens, targets = documents(9)
    torch._dynamo.reset()
    results = []
    for looping in (False, True):
        plain.looping = traced.looping = looping
        expected = plain(tokens, targets)
        found = torch.compile(traced, backend="eager", fullgraph=True)(tokens, targets)
        assert torch.equal(found, expected)
        results.append(found.detach())
    assert torch.equal(*results) == (config.recurrence.kind == "off")
    for network, nats in ((plain, expected), (traced, found)):
        network.zero_grad()
        nats.mean().backward()
    for (key, a), b in zip(plain.named_parameters(), traced.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad), key


@each_lever
def test_every_parameter_moves_and_has_a_gradient_within_three_steps(name):
    """B6, B7: no factor of zero times zero, and no parameter that no optimizer owns."""
    model = GPT(config_of(name), 0)
    optimizer = Optimizer(train_config().optimizer, model, "fp32")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    for step in range(4):
        tokens, targets = documents(16, seed=step)
        model.zero_grad()
        model(tokens, targets).mean().backward()
        optimizer.step(Moment(step, 0.0, 1.0), 0.9)
    for key, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all(), key
        assert parameter.grad.any(), key
        assert not torch.equal(parameter, before[key]), key


@each_lever
def test_a_lever_moves_no_initial_value_of_the_network_without_it(name):
    plain, network = GPT(model_config(num_layers=5, model_dim=32), 3).state_dict(), GPT(config_of(name), 3).state_dict()
    if "initialisation" in LEVERS[name]:
        return
    for key, value in plain.items():
        if key in network and network[key].shape == value.shape:
            assert torch.equal(network[key], value), key


def test_an_extension_does_nothing_at_the_length_trained_at():
    """B19: at `from_len` the base is the configured one; beyond it the published values of levers 3.8 and section 15."""
    whole = Rope(kind="rope", base=10_000.0, extension=Ntk(kind="ntk", from_len=2048))
    assert effective_base(whole, 64, 2048) == 10_000.0
    hidden = whole.replace(extension=Ntk(kind="ntk", from_len=1024))
    assert effective_base(hidden, 64, 2048) == pytest.approx(20_452, abs=1)
    assert effective_base(hidden, 64, 4096) == pytest.approx(41_829, abs=1)
    assert effective_base(hidden.replace(rotated_dims=16), 64, 2048) == pytest.approx(22_082, abs=1)


def test_a_padded_row_sees_the_base_of_its_context():
    model = random_network(config_of("ntk"))
    tokens, targets = documents(13)
    with torch.no_grad():
        short, long = model(tokens[:, :6], targets[:, :6], 0, 13), model(tokens, targets)
        other = model(tokens[:, :6], targets[:, :6])
    torch.testing.assert_close(short, long[:, :6], rtol=0, atol=2e-5)
    assert (other - short).abs().max() > 1e-4


@pytest.mark.parametrize(
    ("changes", "steps", "num_skips"),
    [({"first": 3, "last": 5}, [0, 1, 2, 3, 4, 5, 3, 4, 5, 3, 4, 5, 6, 7, 8, 9, 10], 8),
     ({"first": 4, "last": 5}, [0, 1, 2, 3, 4, 5, 4, 5, 4, 5, 6, 7, 8, 9, 10], 7)],
)  # fmt: skip
def test_the_published_loops_have_their_published_order(changes, steps, num_skips):
    config = model_config(num_layers=11, recurrence={"kind": "loop", "num_repeats": 2, **changes})
    assert list(config.layer_order()) == steps
    assert config.num_skips == num_skips
    assert list(config.layer_order(looping=False)) == list(range(11))


def test_orthogonal_matrices_are_orthogonal_and_small_ones_as_before():
    config = config_of("orthogonal", bigram_hash=LEVERS["xor bigrams"]["bigram_hash"])
    network = GPT(config, 0)
    for weight in (network.blocks[0].attn.c_q.weight, network.blocks[3].mlp.fc.weight.t()):
        torch.testing.assert_close(weight @ weight.t(), torch.eye(32), rtol=0, atol=1e-5)
    narrow = network.bigram.proj.weight
    torch.testing.assert_close(narrow.t() @ narrow, torch.eye(6) / 10, rtol=0, atol=1e-5)
    small = GPT(config.replace(initialisation={"kind": "orthogonal", "min_dim": 33}), 0).blocks[0].attn.c_q.weight
    assert torch.equal(small, GPT(model_config(num_layers=5, model_dim=32), 0).blocks[0].attn.c_q.weight)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"feed_forward": {"kind": "swiglu"}}, "either mult .* or hidden_dim"),
        ({"feed_forward": {"kind": "swiglu", "mult": 2, "hidden_dim": 3}}, "either mult .* or hidden_dim"),
        ({"positions": {**ROPE, "rotated_dims": 3}}, "rotated_dims = 3"),
        ({"positions": {**ROPE, "rotated_dims": 8}}, "rotated_dims = 8: give an even number below head_dim = 8"),
        ({"positions": {**ROPE, "rotated_dims": 2, "extension": {"kind": "ntk", "from_len": 4}}}, "more than 2 rotated"),
        ({"positions": {**ROPE, "extension": {"kind": "yarn", "from_len": 4, "to_len": 4}}}, "nothing is stretched"),
        ({"positions": {"kind": "relative-buckets", "num_buckets": 64, "max_distance": 32}}, "max_distance = 32"),
        ({"value_embedding": {"kind": "shared", "dim": 4, "layers": [5]}}, "layers are 0 to 4"),
        ({"value_embedding": {"kind": "shared", "dim": 4, "layers": [1, 1]}}, "each named once"),
        ({"attention_window": {"kind": "causal", "tokens": 4, "layers": [-1]}}, "layers are 0 to 4"),
        ({"parallel_from_layer": 5}, "layers are 0 to 4"),
        ({"num_exclusive_layers": 6}, "above num_layers = 5"),
        ({"recurrence": {"kind": "loop", "first": 3, "last": 2, "num_repeats": 1}}, "first = 3 comes after last = 2"),
        ({"attention_gate": {"kind": "doubled-sigmoid", "width": 33}}, "attention_gate.width = 33 is above model_dim"),
        ({"legacy_document_leak": True}, "both are off"),
        ({"bos_id": 32}, "bos_id = 32 is no token"),
        ({"value_residual": "first-layer", "num_layers": 1}, "needs a second layer"),
    ],
)
def test_what_cannot_act_is_refused(changes, said):
    data = {**model_config(num_layers=5, model_dim=32).model_dump(mode="json"), **changes}
    with pytest.raises(ValueError, match="model") as caught:
        parse_config(ModelConfig, data, "model")
    assert re.search(said, str(caught.value))
