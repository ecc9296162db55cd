"""The network against a plain float64 reference; its initial values, compilation, rotation, causality and gradients."""

import math

import numpy as np
import pytest
import torch

from model import reference
from mulligan.model.attention import Attention
from mulligan.model.config import ModelConfig
from mulligan.model.gpt import GPT, parameter_shapes
from mulligan.model.kind import Rope
from mulligan.model.positions import rotate, rotation
from mulligan.numerics.trigger import Moment
from mulligan.train.optimizer import Optimizer
from toy import model_config, random_network, train_config

CPU = torch.device("cpu")
TIED, UNTIED = {"kind": "tied", "init_std": 0.05}, {"kind": "untied"}


def random_tokens(config: ModelConfig, batch: int, seq_len: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    tokens = torch.from_numpy(np.random.default_rng(seed).integers(0, config.vocab_size, (batch, seq_len + 1)))
    return tokens[:, :-1], tokens[:, 1:]


SHAPES = [
    {"num_layers": 1, "model_dim": 8, "num_heads": 2, "num_kv_heads": 1, "embedding": TIED},
    {"num_layers": 2, "model_dim": 16, "num_heads": 4, "num_kv_heads": 2, "embedding": TIED},
    {"num_layers": 2, "model_dim": 16, "num_heads": 4, "num_kv_heads": 4, "embedding": UNTIED},
    {"num_layers": 3, "model_dim": 24, "num_heads": 6, "num_kv_heads": 2, "embedding": UNTIED, "logit_softcap": 5.0},
    {"num_layers": 3, "model_dim": 12, "num_heads": 1, "num_kv_heads": 1, "embedding": TIED},
    {"num_layers": 5, "model_dim": 32, "num_heads": 4, "num_kv_heads": 1, "embedding": TIED, "vocab_size": 50},
    {"num_layers": 5, "model_dim": 16, "num_heads": 2, "num_kv_heads": 2, "embedding": UNTIED,
     "positions": {"kind": "rope", "base": 50.0}, "feed_forward": {"kind": "relu-squared", "mult": 3}},
]  # fmt: skip


@pytest.mark.parametrize("seq_len", [1, 2, 13])
@pytest.mark.parametrize(
    "shape", SHAPES, ids=lambda shape: f"{shape['num_layers']}x{shape['model_dim']}-{shape['embedding']['kind']}"
)
def test_nats_per_token_agree_with_the_reference(shape, seq_len):
    config = model_config(**shape)
    model = random_network(config, seed=seq_len)
    tokens, targets = random_tokens(config, 2, seq_len)
    with torch.no_grad():
        found = model(tokens, targets)
    assert found.dtype == torch.float32
    assert found.shape == (2, seq_len)
    parameters = reference.parameters_of(model)
    for row in range(2):
        expected = reference.nats(config, parameters, tokens[row].numpy(), targets[row].numpy())
        np.testing.assert_allclose(found[row].numpy(), expected, rtol=0, atol=1e-5)


def test_a_long_sequence_agrees_with_the_reference():
    config = model_config(num_layers=3)
    model = random_network(config)
    tokens, targets = random_tokens(config, 1, 150)
    with torch.no_grad():
        found = model(tokens, targets)[0].numpy()
    expected = reference.nats(config, reference.parameters_of(model), tokens[0].numpy(), targets[0].numpy())
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("scored_from", [0, 1, 6, 8])
def test_scored_from_gives_the_tail_of_the_full_result(scored_from):
    config = model_config(num_layers=3)
    model = random_network(config)
    tokens, targets = random_tokens(config, 3, 9)
    with torch.no_grad():
        full, tail = model(tokens, targets), model(tokens, targets, scored_from)
    assert tail.shape == (3, 9 - scored_from)
    torch.testing.assert_close(tail, full[:, scored_from:], rtol=0, atol=1e-5)


def test_gradients_through_a_scored_tail_are_those_of_the_tail_of_the_full_result():
    """Adaptation trains on the scored part of a window; the last block is then computed there alone."""
    config = model_config(num_layers=3)
    full, tail = random_network(config), random_network(config)
    tokens, targets = random_tokens(config, 3, 9)
    full(tokens, targets)[:, 4:].mean().backward()
    tail(tokens, targets, 4).mean().backward()
    for (name, a), b in zip(full.named_parameters(), tail.parameters(), strict=True):
        torch.testing.assert_close(b.grad, a.grad, rtol=1e-4, atol=1e-6, msg=name)


def test_a_new_network_predicts_every_token_alike_when_its_head_starts_at_zero():
    config = model_config(embedding=UNTIED)
    tokens, targets = random_tokens(config, 2, 7)
    nats = GPT(config, 0)(tokens, targets)
    torch.testing.assert_close(nats, torch.full_like(nats, math.log(config.vocab_size)))


def test_no_token_changes_a_score_before_it():
    config = model_config(num_layers=3)
    model = random_network(config)
    tokens, _ = random_tokens(config, 1, 12)
    with torch.no_grad():
        before = model.logits(model.hidden(tokens))
        for position in range(12):
            changed = tokens.clone()
            changed[0, position] = (changed[0, position] + 1) % config.vocab_size
            after = model.logits(model.hidden(changed))
            torch.testing.assert_close(after[:, :position], before[:, :position], rtol=0, atol=1e-5)
            assert (after[0, position:] - before[0, position:]).abs().amax(-1).min() > 1e-4


def test_the_softcap_bounds_every_logit():
    config = model_config(logit_softcap=2.0)
    model = random_network(config)
    with torch.no_grad():
        model.tok_emb.weight.mul_(100.0)
        logits = model.logits(model.hidden(random_tokens(config, 2, 5)[0]))
    assert logits.dtype == torch.float32
    assert logits.abs().max() <= 2.0
    assert logits.abs().max() > 1.9


def test_attention_logits_stay_below_gain_times_root_of_head_dim():
    config = model_config()
    attention = Attention(config, 0)
    x = torch.randn(1, 20, config.model_dim, generator=torch.Generator().manual_seed(0)) * 50
    cos, sin = rotation(config.positions, config.head_dim, 20, CPU)
    heads = (attention.c_q(x).view(1, 20, 4, 4).transpose(1, 2), attention.c_k(x).view(1, 20, 2, 4).transpose(1, 2))
    q, k = (rotate(torch.nn.functional.rms_norm(head, (4,)), cos, sin) for head in heads)
    logits = 1.5 * q @ k.repeat_interleave(2, 1).transpose(-1, -2) / 4**0.5
    assert logits.abs().max() <= 1.5 * 2 + 1e-5


# Initial values


def test_more_layers_move_no_initial_value_of_the_earlier_ones():
    shallow, deep = GPT(model_config(num_layers=2), 3).state_dict(), GPT(model_config(num_layers=5), 3).state_dict()
    assert set(shallow) < set(deep)
    for name, value in shallow.items():
        if name == "skip_weights":
            value, deep[name] = value[:1], deep[name][:1]
        assert torch.equal(value, deep[name]), name


def test_no_two_parameters_share_their_random_numbers():
    drawn = [
        p.flatten()[:16]
        for name, p in GPT(model_config(num_layers=3), 0).named_parameters()
        if "weight" in name and p.std() > 0
    ]
    assert len(drawn) == 1 + 3 * 4
    scaled = torch.stack([numbers / numbers.abs().max() for numbers in drawn])
    assert len(torch.unique(scaled, dim=0)) == len(drawn)


def test_building_a_network_does_not_depend_on_the_global_random_state():
    torch.manual_seed(1)
    first = GPT(model_config(), 0).state_dict()
    torch.manual_seed(2)
    second = GPT(model_config(), 0).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_seeds_differ_in_every_drawn_parameter():
    first, second = GPT(model_config(), 0).state_dict(), GPT(model_config(), 1).state_dict()
    for name in first:
        drawn = name == "tok_emb.weight" or name.endswith((".c_q.weight", ".c_k.weight", ".c_v.weight", ".fc.weight"))
        assert torch.equal(first[name], second[name]) != drawn, name


@pytest.mark.parametrize("embedding", [TIED, UNTIED])
def test_projections_into_the_stream_and_an_untied_head_start_at_zero(embedding):
    state = GPT(model_config(embedding=embedding), 0).state_dict()
    zero = {name for name, value in state.items() if not value.any()}
    expected = {f"blocks.{i}.{part}.proj.weight" for i in range(2) for part in ("attn", "mlp")}
    assert zero == expected | ({"lm_head.weight"} if embedding is UNTIED else set())


@pytest.mark.parametrize(("embedding", "std"), [({"kind": "tied", "init_std": 0.005}, 0.005), (UNTIED, 1.0)])
def test_the_embedding_starts_with_its_standard_deviation(embedding, std):
    table = GPT(model_config(embedding=embedding, vocab_size=1000, model_dim=64), 0).tok_emb.weight
    assert table.std().item() == pytest.approx(std, rel=0.02)
    assert table.mean().item() == pytest.approx(0.0, abs=0.02 * std)


def test_matrices_start_uniform_within_one_over_the_root_of_their_inputs():
    model = GPT(model_config(model_dim=64, num_layers=1), 0)
    for weight in (model.blocks[0].attn.c_q.weight, model.blocks[0].attn.c_k.weight, model.blocks[0].mlp.fc.weight):
        assert weight.abs().max() <= 1 / 8
        assert weight.abs().max() > 0.99 / 8
        assert weight.std().item() == pytest.approx(1 / 8 / math.sqrt(3), rel=0.03)


def test_gains_scales_mixes_and_skip_weights_start_as_configured():
    state = GPT(model_config(num_layers=5, qk_gain_init=1.25), 0).state_dict()
    assert state["skip_weights"].shape == (2, 16)
    assert (state["skip_weights"] == 1).all()
    for i in range(5):
        assert (state[f"blocks.{i}.attn.q_gain"] == 1.25).all()
        assert (state[f"blocks.{i}.attn_scale"] == 1).all()
        assert (state[f"blocks.{i}.mlp_scale"] == 1).all()
        assert torch.equal(state[f"blocks.{i}.resid_mix"], torch.tensor([[1.0], [0.0]]).expand(2, 16))


def test_the_challenge_baseline_has_its_published_number_of_parameters():
    config = model_config(vocab_size=1024, num_layers=9, model_dim=512, num_heads=8, num_kv_heads=4)
    shapes = {name: math.prod(shape) for name, shape in parameter_shapes(config).items()}
    assert sum(shapes.values()) == 17_059_912
    assert config.num_matrix_parameters == sum(size for name, size in shapes.items() if name.endswith(".weight"))


# Compilation


@pytest.mark.parametrize("embedding", [TIED, UNTIED])
def test_the_traced_network_gives_the_bits_of_the_plain_one(embedding):
    config = model_config(num_layers=3, embedding=embedding)
    plain, traced = random_network(config), random_network(config)
    tokens, targets = random_tokens(config, 2, 9)
    expected = plain(tokens, targets)
    torch._dynamo.reset()
    found = torch.compile(traced, backend="eager", fullgraph=True)(tokens, targets)
    assert torch.equal(found, expected)
    expected.mean().backward()
    found.mean().backward()
    for (name, a), b in zip(plain.named_parameters(), traced.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad), name


# Rotation


def test_scoring_under_inference_mode_leaves_the_network_trainable():
    config = model_config()
    model, fresh = random_network(config), random_network(config)
    tokens, targets = random_tokens(config, 2, 9)
    with torch.inference_mode():
        model(tokens, targets)
        model(tokens[:, :4], targets[:, :4])
    for network in (model, fresh):
        network(tokens, targets).mean().backward()
    for (name, a), b in zip(model.named_parameters(), fresh.parameters(), strict=True):
        assert torch.equal(a.grad, b.grad), name


@pytest.mark.parametrize("seq_len", [2, 7, 64, 1024, 1025, 2048, 3000])
@pytest.mark.parametrize("base", [50.0, 10_000.0, 200_000.0])
def test_the_effective_base_is_the_configured_one_at_every_length(seq_len, base):
    cos, sin = rotation(Rope(kind="rope", base=base), 16, seq_len, CPU)
    assert cos.shape == sin.shape == (seq_len, 8)
    first = torch.atan2(sin[1], cos[1]).double()
    assert first[0].item() == pytest.approx(1.0)
    for j in range(1, 8):
        assert (first[0] / first[j]).item() ** (16 / (2 * j)) == pytest.approx(base, rel=1e-4)


def test_all_lengths_see_the_same_angles_in_any_order_of_use():
    config = Rope(kind="rope", base=10_000.0)
    long = rotation(config, 8, 2048, CPU)
    for seq_len in (5, 1024, 1025, 17, 2048):
        short = rotation(config, 8, seq_len, CPU)
        assert all(torch.equal(a, b[:seq_len]) for a, b in zip(short, long, strict=True))


def test_rotated_products_depend_on_distance_alone():
    cos, sin = rotation(Rope(kind="rope", base=100.0), 8, 30, CPU)
    q, k = torch.randn(2, 8, generator=torch.Generator().manual_seed(0))
    products = rotate(q.expand(30, 8), cos, sin) @ rotate(k.expand(30, 8), cos, sin).T
    for distance in range(30):
        diagonal = products.diagonal(-distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), rtol=0, atol=1e-5)


# Gradients


@pytest.mark.parametrize("embedding", [TIED, UNTIED])
def test_every_parameter_has_a_gradient_after_two_optimizer_steps(embedding):
    config = model_config(num_layers=5, embedding=embedding)
    model = GPT(config, 0)
    optimizer = Optimizer(train_config(optimizer={"kind": "muon-adam", "head_lr": 0.008}).optimizer, model, "fp32")
    for step in range(3):
        tokens, targets = random_tokens(config, 4, 16, seed=step)
        model.zero_grad()
        model(tokens, targets).mean().backward()
        if step < 2:
            optimizer.step(Moment(step, 0.0, 1.0), 0.9)
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name
