"""The quantize stage: formats by the grid, errors per tensor, bad weights told by name."""

import pytest
import torch
from pydantic import TypeAdapter

from mulligan.numerics.config import GridConfig
from mulligan.quantize import stage
from mulligan.quantize.config import QuantizeConfig, RoundToNearest
from mulligan.values.quantized import Quantized, QuantizedTensor
from mulligan.values.weights import Weights
from toy import model_config, random_network, write_corpus

CONFIG = RoundToNearest(kind="round-to-nearest")
RECORD = {"kind": "last", "num_snapshots": 1, "first_step": 8, "last_step": 8, "every_steps": 0}


def grid(bits=6, scale=None, rest="fp16"):
    int_format = {"kind": "int", "bits": bits, "scale": scale or {"kind": "row-max"}}
    families = [
        {"match": ["*.weight"], "min_elements": 10, "format": int_format},
        {"match": ["*"], "format": {"kind": rest}},
    ]
    return GridConfig.model_validate({"families": families})


def weights(**changes):
    torch.manual_seed(0)
    tensors = {"a.weight": torch.randn(4, 6), "b.weight": torch.randn(2, 3), "gain": torch.randn(5), **changes}
    return Weights(tensors, {"num_layers": 1}, RECORD)


def test_large_matrices_are_codes_and_the_rest_falls_through(tmp_path):
    quantized = stage.run(CONFIG, grid(), weights())
    assert [name for name, tensor in quantized.tensors.items() if isinstance(tensor, QuantizedTensor)] == ["a.weight"]
    assert quantized.model == {"num_layers": 1}
    assert quantized.record["weights"] == RECORD
    quantized.save(tmp_path)
    assert Quantized.load(tmp_path).record == quantized.record


def test_the_reported_error_is_that_of_the_stored_weights():
    given = weights()
    quantized = stage.run(CONFIG, grid(4), given)
    stored = quantized.dequantize()
    for name, weight in given.tensors.items():
        plain = float((weight.double() - stored[name]).norm() / weight.double().norm())
        assert quantized.record["relative_rms_error"][name] == pytest.approx(plain, rel=1e-5)
    assert 0.03 < quantized.record["relative_rms_error"]["a.weight"] < 0.2


def test_fewer_bits_mean_more_error():
    errors = [stage.run(CONFIG, grid(bits), weights()).record["relative_rms_error"]["a.weight"] for bits in range(2, 9)]
    assert errors == sorted(errors, reverse=True)
    assert len(set(errors)) == 7


def test_a_tensor_of_zeros_has_no_error():
    zeros = {"a.weight": torch.zeros(4, 6), "empty": torch.zeros(0, 6)}
    errors = stage.run(CONFIG, grid(), weights(**zeros)).record["relative_rms_error"]
    assert (errors["a.weight"], errors["empty"]) == (0.0, 0.0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", ["a.weight", "b.weight", "gain"])
@pytest.mark.parametrize("rest", ["fp16", "fp32"])
def test_weights_that_are_not_finite_are_told_by_name(name, value, rest):
    bad = weights()
    bad.tensors[name].view(-1)[2] = value
    with pytest.raises(ValueError, match=f"^{name}: 1 of .* weights are NaN or infinite"):
        stage.run(CONFIG, grid(rest=rest), bad)


@pytest.mark.parametrize("name", ["a.weight", "gain"])
def test_weights_beyond_fp16_are_told_by_name(name):
    bad = weights()
    bad.tensors[name].view(-1)[2] = -70_000.0
    with pytest.raises(ValueError, match=rf"^{name}: the greatest \|weight\| is 70000"):
        stage.run(CONFIG, grid(), bad)


def test_fp32_takes_what_fp16_cannot_hold():
    quantized = stage.run(CONFIG, grid(rest="fp32"), weights(gain=torch.tensor([1e30])))
    assert quantized.dequantize()["gain"].tolist() == [torch.tensor(1e30).item()]


TEXT = {"kind": "train-split", "num_sequences": 4, "seq_len": 16}
INTEGERS = {"match": ["*.weight"], "format": {"kind": "int", "bits": 4, "scale": {"kind": "row-max"}}}
WHOLE_GRID = GridConfig.model_validate({"families": [INTEGERS, {"match": ["*"], "format": {"kind": "fp16"}}]})


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("quantize") / "corpus")


@pytest.fixture(scope="module")
def network():
    model = random_network(model_config(vocab_size=260))
    return Weights({name: tensor.clone() for name, tensor in model.state_dict().items()}, model.config.canonical(), RECORD)


def quantize(kind, network, corpus, grid=WHOLE_GRID, **changes):
    config = TypeAdapter(QuantizeConfig).validate_python({"kind": kind, "calibration": TEXT, **changes})
    return stage.run(config, grid, network, stage.calibrate(config, network, corpus))


def mean_error(quantized):
    return sum(quantized.record["relative_hessian_error"].values())


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"hidden_permutation": "by-row-norm"},
        {"prune": {"kind": "magnitude", "fraction": 0.05, "min_elements": 300}},
        {"prune": {"kind": "plus-minus-one", "fraction": 0.05}},
        {"rotation": {"kind": "hadamard"}},
        {"rotation": {"kind": "hadamard", "adaptive": True}},
        {"correction": {"kind": "low-rank"}},
    ],
    ids=lambda changes: "-".join(changes) or "plain",
)
def test_with_every_step_gptq_weighs_less_error_than_rounding(network, corpus, changes, tmp_path):
    nearest, eliminated = (quantize(kind, network, corpus, **changes) for kind in ("round-to-nearest", "gptq"))
    assert mean_error(eliminated) < mean_error(nearest)
    assert all(nearest.record["relative_hessian_error"][name] > 0 for name in nearest.tensors if name.endswith("weight"))
    eliminated.save(tmp_path)
    assert Quantized.load(tmp_path).record == eliminated.record


@pytest.mark.parametrize(
    ("changes", "moves"),
    [
        ({"damping": 0.05, "activation_order": False, "block_columns": 7, "row_importance": 0.5}, False),
        ({"rotation": {"kind": "hadamard"}, "correction": {"kind": "low-rank"}}, False),
        ({"prune": {"kind": "plus-minus-one", "fraction": 0.5}}, False),
        ({"prune": {"kind": "magnitude", "fraction": 0.3, "min_elements": 300}}, True),
        ({"hidden_permutation": "by-row-norm"}, True),
        ({"calibration": {**TEXT, "seq_len": 8}}, True),
    ],
    ids=lambda given: "-".join(given) if isinstance(given, dict) else "",
)
def test_hessians_follow_what_is_told_to_come_before_them_and_nothing_else(network, corpus, changes, moves):
    plain, other = (
        TypeAdapter(QuantizeConfig).validate_python({"kind": "gptq", "calibration": TEXT, **given}) for given in ({}, changes)
    )
    assert (plain.before_observing() != other.before_observing()) == moves
    before, after = (stage.calibrate(config, network, corpus).tensors for config in (plain, other))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before) != moves


@pytest.mark.parametrize("calibration", [TEXT, {"kind": "self-generated", "num_sequences": 2, "seq_len": 4}])
def test_weights_that_are_not_finite_are_told_before_the_text_is_read(network, corpus, calibration):
    bad = {**network.tensors, "tok_emb.weight": torch.full_like(network.tensors["tok_emb.weight"], float("nan"))}
    config = TypeAdapter(QuantizeConfig).validate_python({"kind": "gptq", "calibration": calibration})
    with pytest.raises(ValueError, match=r"^tok_emb.weight: [\d,]+ of .* weights are NaN or infinite"):
        stage.calibrate(config, Weights(bad, network.model, RECORD), corpus)


def test_gptq_shares_tensors_bits_and_scales_with_fake_quantization(network, corpus):
    """Contract 5: what another exporter may choose are codes."""
    nearest, eliminated = (quantize(kind, network, corpus).tensors for kind in ("round-to-nearest", "gptq"))
    for name, tensor in nearest.items():
        other = eliminated[name]
        if isinstance(tensor, QuantizedTensor):
            assert (other.bits, other.shape) == (tensor.bits, tensor.shape)
            assert torch.equal(other.scale, tensor.scale)
        else:
            assert torch.equal(other, tensor)


def test_pruned_weights_stay_zero_under_gptq(network, corpus):
    made = quantize("gptq", network, corpus, prune={"kind": "magnitude", "fraction": 0.3, "min_elements": 300})
    matrix = network.tensors["blocks.1.mlp.fc.weight"].abs()
    small = matrix < matrix.flatten().quantile(0.3)
    assert not made.tensors["blocks.1.mlp.fc.weight"].codes[small].any()


def test_a_correction_repairs_what_pruning_took(network, corpus):
    pruned, repaired = (
        quantize("gptq", network, corpus, prune={"kind": "plus-minus-one", "fraction": 1.0}, **changes)
        for changes in ({}, {"correction": {"kind": "low-rank", "top_k": 20, "rank": 8}})
    )
    assert sum(repaired.record["relative_rms_error"].values()) < 0.95 * sum(pruned.record["relative_rms_error"].values())


def test_bits_may_differ_by_family_and_by_layer(network, corpus):
    def family(glob, bits):
        return {"match": [glob], "format": {**INTEGERS["format"], "bits": bits}}

    asked = [("tok_emb.*", 8), ("*.0.attn.c_q.*", 7), ("*.0.mlp.*", 5), ("*.0.*.weight", 6), ("*.1.*weight", 4)]
    families = [*(family(*one) for one in asked), {"match": ["*"], "format": {"kind": "fp16"}}]
    made = quantize("gptq", network, corpus, GridConfig.model_validate({"families": families}))
    bits = {name: tensor.bits for name, tensor in made.tensors.items() if isinstance(tensor, QuantizedTensor)}
    assert bits["tok_emb.weight"] == 8
    assert bits["blocks.0.attn.c_q.weight"] == 7
    assert {bits[f"blocks.0.mlp.{part}.weight"] for part in ("fc", "proj")} == {5}
    assert {bits[f"blocks.0.attn.{part}.weight"] for part in ("c_k", "c_v", "proj")} == {6}
    assert {number for name, number in bits.items() if name.startswith("blocks.1.")} == {4}


def test_a_record_says_what_gptq_did_not_treat(network, corpus):
    hashed = random_network(model_config(vocab_size=260, bigram_hash={"kind": "xor", "num_buckets": 20, "dim": 4}))
    given = Weights(hashed.state_dict(), hashed.config.canonical(), RECORD)
    assert quantize("gptq", given, corpus).record["rounded_to_nearest"] == ["bigram.embed.weight", "bigram.proj.weight"]
    families = [{**INTEGERS, "match": ["bigram.*.weight"]}, {"match": ["*"], "format": {"kind": "fp16"}}]
    with pytest.raises(ValueError, match="stores none of them as integers"):
        quantize("gptq", given, corpus, GridConfig.model_validate({"families": families}))


def test_equal_inputs_give_equal_bits_and_are_not_written_to(network, corpus):
    before = {name: tensor.clone() for name, tensor in network.tensors.items()}
    changes = {"prune": {"kind": "magnitude", "fraction": 0.3, "min_elements": 300}, "hidden_permutation": "by-row-norm"}
    one, two = (quantize("gptq", network, corpus, **changes) for _ in range(2))
    assert all(torch.equal(one.dequantize()[name], two.dequantize()[name]) for name in before)
    assert all(torch.equal(network.tensors[name], before[name]) for name in before)
