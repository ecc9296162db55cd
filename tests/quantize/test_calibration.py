"""Calibration: Hessians against one token after another, where text comes from, and that validation is never read."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mulligan.core.config import parse_config
from mulligan.core.execution import Execution
from mulligan.core.random_stream import random_stream
from mulligan.data.prepare import prepare
from mulligan.data.tokenizer import ByteTokenizer
from mulligan.engine.inline import run_jobs
from mulligan.engine.job import Outside
from mulligan.flow import lay_road
from mulligan.model.network import load_network
from mulligan.quantize import calibration, stage
from mulligan.quantize.calibration import generated_sequences, mean_products, train_sequences
from mulligan.quantize.config import SelfGenerated, TrainSplit
from mulligan.recipe import Recipe
from mulligan.store.stage_call import OutsideInput
from mulligan.store.store import Store
from mulligan.values.hessians import Hessians
from mulligan.values.weights import Weights
from toy import ToyStream, model_config, random_network, recipe_data, toy_documents

TRAIN_TEXT = {"kind": "train-split", "num_sequences": 3, "seq_len": 8}
OWN_TEXT = {"kind": "self-generated", "num_sequences": 3, "seq_len": 8}


def sequences(count=5, seq_len=9, vocab_size=32):
    return torch.from_numpy(np.random.default_rng(0).integers(0, vocab_size, (count, seq_len)))


@torch.no_grad()
def plain_inputs(model, tokens):
    """Return what every linear layer of the feed-forwards and values was given, token by token, and the final stream."""
    seen = {}
    for i, block in enumerate(model.blocks):
        for name, module in (("attn.c_v", block.attn.c_v), ("mlp.fc", block.mlp.fc), ("mlp.proj", block.mlp.proj)):
            forward = module.forward

            def kept(x, forward=forward, name=f"blocks.{i}.{name}.weight"):
                seen.setdefault(name, []).extend(x.reshape(-1, x.size(-1)).double().numpy())
                return forward(x)

            module.forward = kept
    for row in tokens:
        seen.setdefault("head", []).extend(model.hidden(row[None])[0].double().numpy())
    return seen


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"feed_forward": {"kind": "swiglu", "mult": 2}, "embedding": {"kind": "untied"}},
        {"recurrence": {"kind": "loop", "first": 1, "last": 1, "num_repeats": 2}},
        {"attention_gate": {"kind": "sigmoid"}, "bigram_hash": {"kind": "xor", "num_buckets": 9, "dim": 4}},
    ],
    ids=["plain", "swiglu, untied", "looped", "unobserved parts"],
)
def test_hessians_are_means_over_tokens_of_what_the_modules_are_given(changes, monkeypatch):
    model = random_network(model_config(**changes)).eval()
    monkeypatch.setattr(calibration, "BATCH_TOKENS", 18)
    found = mean_products(model, sequences(), Execution())
    seen = plain_inputs(model, sequences())
    seen["lm_head.weight" if model.lm_head is not None else "tok_emb.weight"] = seen.pop("head")
    for name, inputs in seen.items():
        plain = sum(np.outer(x, x) for x in inputs) / len(inputs)
        np.testing.assert_allclose(found[name].numpy(), plain, rtol=1e-4, atol=1e-5)
    if "recurrence" in changes:
        assert len(seen["blocks.1.mlp.fc.weight"]) == 3 * len(seen["blocks.0.mlp.fc.weight"]) == 3 * 45
    matrices = {name for name, p in model.named_parameters() if name.startswith("blocks.") and name.endswith(".weight")}
    head = "tok_emb.weight" if model.lm_head is None else "lm_head.weight"
    gates = {name for name in matrices if "attn_gate_proj" in name}
    assert set(found) == matrices - gates | {head}
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_train_sequences_are_spaced_evenly_from_the_first_token_to_the_last():
    stream = ToyStream(100)
    stream.gather = lambda indices: stream.tokens[indices]
    rows = train_sequences(TrainSplit(**{**TRAIN_TEXT, "num_sequences": 5}), stream)
    for row, start in zip(rows, (0, 23, 46, 69, 92), strict=True):
        assert row.tolist() == stream.tokens[start : start + 8].tolist()
    assert train_sequences(TrainSplit(**{**TRAIN_TEXT, "num_sequences": 1}), stream).tolist() == [stream.tokens[:8].tolist()]
    with pytest.raises(ValueError, match="seq_len = 101, and the train split has 100"):
        train_sequences(TrainSplit(**{**TRAIN_TEXT, "seq_len": 101}), stream)


def test_generated_tokens_follow_the_networks_own_distribution(monkeypatch):
    """Against a plain sampler, one text and token at a time, from the same numbers."""
    model = random_network(model_config()).eval()
    config = SelfGenerated(kind="self-generated", num_sequences=5, seq_len=7, temperature=0.5)
    found = generated_sequences(config, model, 3, Execution())
    rng = random_stream(3, "calibration")
    assert found[:, 0].tolist() == rng.integers(0, 32, 5).tolist()
    numbers = rng.random((5, 7))
    with torch.no_grad():
        for i, text in enumerate(found):
            for t in range(1, 7):
                chances = (model.logits(model.hidden(text[None, :t]))[0, -1].double() / 0.5).softmax(-1).numpy()
                assert text[t] == np.searchsorted(np.cumsum(chances), numbers[i, t], side="right")
    monkeypatch.setattr(calibration, "BATCH_TOKENS", 14)
    assert torch.equal(generated_sequences(config, model, 3, Execution()), found)
    assert not torch.equal(generated_sequences(config, model, 4, Execution()), found)


def road(corpus, quantize, seed=0, **changes):
    data = recipe_data(quantize=quantize, average={"kind": "last"}, **changes)
    return lay_road(parse_config(Recipe, data, ""), seed, corpus=Outside(corpus.folder, OutsideInput("corpus", corpus.digest)))


def made(road, store):
    job = next(job for job in road.jobs if job.name == "quantize")
    run_jobs(road.jobs, store, Execution())
    return store.open(job.call)


def test_another_validation_split_changes_nothing(tmp_path):
    corpora = [prepare(toy_documents(40, 0), toy_documents(6, seed), ByteTokenizer(), tmp_path / str(seed)) for seed in (1, 2)]
    assert corpora[0].digest != corpora[1].digest
    for i, quantize in enumerate(({"kind": "gptq", "calibration": TRAIN_TEXT}, {"kind": "gptq", "calibration": OWN_TEXT})):
        digests = {made(road(corpus, quantize), Store(tmp_path / f"store-{i}")).digest for corpus in corpora}
        assert len(digests) == 1


def test_the_key_holds_the_corpus_and_the_seed_only_where_they_are_read(tmp_path):
    corpus = prepare(toy_documents(40, 0), toy_documents(6, 1), ByteTokenizer(), tmp_path / "corpus")
    outside = OutsideInput("weights", "0" * 64)

    def header(calibration, seed):
        data = recipe_data(quantize={"kind": "round-to-nearest", **calibration})
        laid = lay_road(
            parse_config(Recipe, data, ""),
            seed,
            corpus=Outside(corpus.folder, OutsideInput("corpus", corpus.digest)),
            weights=Outside(tmp_path / "weights", outside),
        )
        return next(job.call for job in laid.jobs if job.name == "quantize").header

    for calibration_, inputs, seeded in (
        ({}, [outside.sha256], False),
        ({"calibration": TRAIN_TEXT}, [outside.sha256, corpus.digest], False),
        ({"calibration": OWN_TEXT}, [outside.sha256], True),
    ):
        headers = [header(calibration_, seed) for seed in (0, 1)]
        assert [one["inputs"] for one in headers] == [inputs, inputs]
        assert [one.get("seed") for one in headers] == ([0, 1] if seeded else [None, None])


def test_a_run_records_what_was_observed(tmp_path):
    corpus = prepare(toy_documents(40, 0), toy_documents(6, 1), ByteTokenizer(), tmp_path / "corpus")
    store = Store(tmp_path / "store")
    plain, weighted, best = (
        made(road(corpus, quantize), store).summary()
        for quantize in (
            {"kind": "round-to-nearest"},
            {"kind": "round-to-nearest", "calibration": TRAIN_TEXT},
            {"kind": "gptq", "calibration": TRAIN_TEXT},
        )
    )
    assert best["record"]["rounded_to_nearest"] == []
    for name, tensor in weighted["tensors"].items():
        kept = {key: value for key, value in tensor.items() if key != "relative_hessian_error"}
        assert kept == plain["tensors"][name], "observing changes no weight"
        assert ("relative_hessian_error" in tensor) == name.endswith(".weight")
        if name.endswith(".weight"):
            assert best["tensors"][name]["relative_hessian_error"] < tensor["relative_hessian_error"]


def test_roads_of_many_grids_share_one_calibration_and_give_the_bits_of_calibrating_anew(tmp_path, monkeypatch):
    corpus, runs = prepare(toy_documents(40, 0), toy_documents(6, 1), ByteTokenizer(), tmp_path / "corpus"), []
    monkeypatch.setattr(stage, "mean_products", lambda *given: runs.append(given) or mean_products(*given))
    store, found = Store(tmp_path / "store"), set()
    for bits in (3, 4, 6):
        family = {"match": ["*"], "format": {"kind": "int", "bits": bits, "scale": {"kind": "row-max"}}}
        whole = road(corpus, {"kind": "gptq", "calibration": TRAIN_TEXT}, grid={"families": [family]})
        entry = made(whole, store)
        assert len(runs) == 1
        weights = Weights.load(store.open(whole.points["raw"].call).folder)
        (folder := tmp_path / str(bits)).mkdir()
        hessians = calibration_of(weights, corpus, whole.recipe.quantize)
        stage.run(whole.recipe.quantize, whole.recipe.grid, weights, hessians).save(folder)
        for file in entry.manifest["files"]:
            assert (folder / file).read_bytes() == (entry.folder / file).read_bytes()
        found.add(entry.digest)
    assert len(found) == 3


def calibration_of(weights, corpus, config):
    model = load_network(weights, corpus, "cpu")
    return Hessians(mean_products(model, train_sequences(config.calibration, corpus.tokens("train")), Execution()))


def test_a_network_of_another_corpus_is_told(tmp_path):
    corpus = prepare(toy_documents(40, 0), toy_documents(6, 1), ByteTokenizer(), tmp_path / "corpus")
    whole = road(corpus, {"kind": "gptq", "calibration": TRAIN_TEXT})
    run_jobs(whole.jobs, Store(tmp_path / "store"), Execution())
    weights = Weights.load(Store(tmp_path / "store").open(next(j for j in whole.jobs if j.name == "raw").call).folder)
    other = replace(weights, model={**weights.model, "vocab_size": 261})
    with pytest.raises(ValueError, match="vocab_size = 261"):
        stage.calibrate(whole.recipe.quantize, other, corpus)
