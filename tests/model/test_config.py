"""The network's config: derived widths, and what each refusal says."""

import re

import pytest

from mulligan.core.config import parse_config
from mulligan.model.config import ModelConfig
from toy import model_config


def refusal(**changes):
    data = {**model_config().model_dump(mode="json"), **changes}
    with pytest.raises(ValueError, match=r"^model") as caught:
        parse_config(ModelConfig, {name: value for name, value in data.items() if value is not ...}, "model")
    return str(caught.value)


def test_a_config_survives_its_canonical_form():
    config = model_config(embedding={"kind": "untied"})
    assert ModelConfig.model_validate(config.canonical()) == config


def test_widths_follow_from_the_heads():
    config = model_config(model_dim=48, num_heads=6, num_kv_heads=2, feed_forward={"kind": "relu-squared", "mult": 3})
    assert (config.head_dim, config.kv_dim, config.hidden_dim) == (8, 16, 144)


def test_matrix_parameters_are_those_of_the_blocks_and_the_head():
    config = model_config(num_layers=3)
    block = 2 * 16 * 16 + 2 * 8 * 16 + 2 * 32 * 16
    assert config.num_matrix_parameters == 3 * block + 32 * 16


def test_a_width_that_the_heads_do_not_divide_is_refused():
    assert "model_dim = 18 is not a multiple of num_heads = 4" in refusal(model_dim=18)


def test_query_heads_that_the_key_heads_do_not_divide_are_refused():
    assert "num_heads = 4 is not a multiple of num_kv_heads = 3" in refusal(num_kv_heads=3)
    assert "num_heads = 4 is not a multiple of num_kv_heads = 8" in refusal(num_kv_heads=8)


def test_an_odd_head_is_refused_because_rotation_needs_pairs():
    said = refusal(model_dim=12)
    assert "head_dim = model_dim / num_heads = 3 is odd" in said
    assert "need an even one" in said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"vocab_size": 1}, r"model\.vocab_size = 1: .*greater than or equal to 2"),
        ({"vocab_size": 65_537}, r"model\.vocab_size = 65537: .*less than or equal to 65536"),
        ({"num_layers": 0}, r"model\.num_layers = 0: .*greater than or equal to 1"),
        ({"num_heads": 0}, r"model\.num_heads = 0: .*greater than or equal to 1"),
        ({"num_kv_heads": -1}, r"model\.num_kv_heads = -1: .*greater than or equal to 1"),
        ({"logit_softcap": 0}, r"model\.logit_softcap = 0: .*greater than 0"),
        ({"qk_gain_init": float("inf")}, r"model\.qk_gain_init = inf: .*finite"),
        ({"positions": {"kind": "rope", "base": 1}}, r"model\.positions\.base = 1: .*greater than 1"),
        ({"positions": {"kind": "ropes"}}, r"model\.positions: unknown kind 'ropes'.*Did you mean 'rope'"),
        ({"embedding": {"kind": "tide"}}, r"embedding: unknown kind 'tide'. Allowed: tied, untied. Did you mean 'tied'\?"),
        ({"embedding": {"init_std": 1}}, r"model\.embedding: no kind given"),
        ({"embedding": {"kind": "tied", "init_std": 0}}, r"model\.embedding\.init_std = 0: .*greater than 0"),
        ({"embedding": {"kind": "untied", "init_std": 1}}, r"model\.embedding\.init_std: unknown key"),
        ({"feed_forward": {"kind": "relu-squared", "mult": 0}}, r"model\.feed_forward\.mult = 0"),
        ({"num_layer": 3}, r"model\.num_layer: unknown key. Did you mean 'num_layers'\?"),
        ({"model_dim": ...}, r"model\.model_dim: required, and not given"),
    ],
)  # fmt: skip
def test_each_refusal_names_the_key_and_what_is_allowed(changes, said):
    assert re.search(said, refusal(**changes))
