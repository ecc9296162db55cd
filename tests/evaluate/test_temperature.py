"""Temperature: against logits divided by hand, fitted on the train split alone, and one job before every score of a point."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from evaluate.test_stage import FLAT, KINDS, TEXTS, corpus_of, network, score, weights_of
from mulligan.core.config import parse_config
from mulligan.core.execution import Execution, Ranks
from mulligan.engine.inline import run_jobs
from mulligan.engine.job import Outside
from mulligan.engine.preflight import preflight
from mulligan.engine.stage_runner import run_job
from mulligan.evaluate.block import Watch
from mulligan.evaluate.config import EvaluateConfig
from mulligan.evaluate.stage import run
from mulligan.evaluate.temperature import fit
from mulligan.flow import lay_road, lay_train_score
from mulligan.recipe import Recipe
from mulligan.store.stage_call import OutsideInput
from mulligan.store.store import Store
from mulligan.train.trainer import Trainer
from mulligan.values.weights import Weights
from toy import model_config, recipe_data, train_config, write_corpus

FITTED = {"kind": "fitted", "candidates": [0.5, 1.0, 2.0, 4.0], "train_documents": 5}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return corpus_of(TEXTS, tmp_path_factory.mktemp("data") / "corpus")


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("toy") / "corpus")


def scaled(weights, factor):
    """Return weights whose logits are `factor` times as large, where the softcap is far and the head untied."""
    return replace(weights, tensors={**weights.tensors, "lm_head.weight": weights.tensors["lm_head.weight"] * factor})


@KINDS
def test_a_score_at_a_temperature_is_that_of_logits_divided_by_it(corpus, windows):
    weights = weights_of(network(embedding={"kind": "untied"}, logit_softcap=1e6))
    found = score(corpus, windows, weights=weights, temperature={"kind": "fixed", "value": 1.6})
    expected = score(corpus, windows, weights=scaled(weights, 1 / 1.6))
    np.testing.assert_allclose(found.nats, expected.nats, rtol=0, atol=1e-5)
    assert found.summary["temperature"] == {"kind": "fixed", "value": 1.6}
    assert "temperature" not in expected.summary
    assert abs(found.nats - score(corpus, windows, weights=weights).nats).max() > 0.01


@KINDS
def test_a_watch_sees_the_distribution_at_the_temperature(corpus, windows):
    data = {"windows": [windows.canonical()], "precision": "fp32", "bytes": "piece"}
    config = EvaluateConfig.model_validate({**data, "temperature": {"kind": "fixed", "value": 0.7}})
    watch = Watch(frozenset({3, 20}))
    nats = run(config, windows, None, weights_of(network()), corpus, Execution()).scores(watch).nats
    tokens = corpus.tokens("validation").read(0, len(nats) + 1)
    for position, row in watch.rows.items():
        assert np.exp(row).sum() == pytest.approx(1, abs=1e-9)
        assert -row[tokens[position + 1]] == pytest.approx(nats[position], abs=1e-5)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_fit_is_the_best_candidate_on_the_last_train_documents(toy, precision):
    data = {"windows": [FLAT.canonical()], "precision": precision, "bytes": "piece", "temperature": FITTED}
    config, weights = EvaluateConfig.model_validate(data), weights_of(network())
    found = fit(config, 8, weights, toy, Execution())
    for candidate, nats in zip(found.candidates, found.nats_per_token, strict=True):
        fixed = config.replace(temperature={"kind": "fixed", "value": candidate})
        scored = run(fixed, FLAT.replace(context_len=8), 5, weights, toy, Execution(), split="train").summary()
        assert nats == pytest.approx(scored["nats_per_token"], abs=1e-5 if precision == "fp32" else 0.01)
        assert scored["scored_tokens"] == found.train_tokens
    assert found.value == found.candidates[int(np.argmin(found.nats_per_token))]
    assert found.train_documents == 5


def test_the_fit_finds_a_scale_that_was_put_in(toy):
    """Logits of a trained network made k times as large are best at k times the temperature."""
    trainer = Trainer(
        train_config(40, 20), model_config(vocab_size=260, logit_softcap=1e6), toy.tokens("train"), 0, Execution()
    )
    trainer.advance(until_step=40)
    data = {"windows": [FLAT.canonical()], "precision": "fp32", "bytes": "piece"}
    candidates = [float(2**i) for i in range(-6, 7)]
    asked = {"kind": "fitted", "candidates": candidates, "train_documents": 5}
    config = EvaluateConfig.model_validate({**data, "temperature": asked})

    def fitted(factor):
        tensors = {name: tensor.detach().clone() for name, tensor in trainer.weights.items()}
        tensors["tok_emb.weight"] *= factor  # the network normalises what it looks up: only logits grow
        return fit(config, 8, Weights(tensors, trainer.model_config.canonical(), {}), toy, Execution()).value

    assert candidates[0] < fitted(1.0) < fitted(4.0) < candidates[-1]
    assert fitted(4.0) == 4 * fitted(1.0)


def lay(corpus, **evaluate):
    data = recipe_data()
    recipe = parse_config(Recipe, {**data, "evaluate": {**data["evaluate"], **evaluate}}, "")
    return lay_road(recipe, 0, corpus=Outside(corpus.folder, OutsideInput("corpus", corpus.digest)))


def test_one_fit_serves_all_readings_of_a_point_and_is_in_their_keys(toy, tmp_path, monkeypatch):
    road, store = lay(toy, temperature=FITTED), Store(tmp_path)
    fits = [job for job in road.jobs if job.call.stage == "temperature"]
    scores = [job for job in road.jobs if job.call.stage == "evaluate"]
    assert [job.name for job in fits] == ["temperature raw", "temperature averaged", "temperature quantized"]
    for job in (*scores, lay_train_score(road, 3)):
        (own,) = (fitted for fitted in fits if fitted.name == f"temperature {job.settings['point']}")
        assert job.sources["temperature"] is own
        assert job.call.inputs == (job.sources["weights"].call, job.sources["corpus"].call, own.call)
    run_jobs(road.jobs, store, Execution())
    for job in scores:
        fitted = store.open(job.sources["temperature"].call).summary()
        assert store.open(job.call).summary()["temperature"] == {**FITTED, "value": fitted["value"]}
        assert fitted["value"] in FITTED["candidates"]
    (tmp_path / "objects" / fits[0].call.key[:2] / fits[0].call.key / "manifest.json").unlink()
    assert not store.has(fits[0].call)
    done = {item.job.name: item.status for item in run_jobs(road.jobs, store, Execution())}
    assert done["temperature raw"] == "skipped"  # no score that is missing reads it


def test_what_only_scores_differ_in_does_not_fit_anew(toy):
    def fits(**evaluate):
        return {job.call.key for job in lay(toy, temperature=FITTED, **evaluate).jobs if job.call.stage == "temperature"}

    assert fits() == fits(bytes="raw") == fits(windows=[{"kind": "flat", "context_len": 4}])
    assert not fits() & fits(precision="bf16")
    assert not fits() & fits(position_extension={"kind": "ntk", "from_len": 4})


@pytest.mark.parametrize(
    "adaptation", [{"kind": "sgd", "chunk_tokens": 16}, {"kind": "lora", "chunk_tokens": 4}], ids=["sgd", "lora"]
)
def test_a_temperature_is_fitted_to_weights_that_are_then_adapted(toy, tmp_path, adaptation):
    road = lay(toy, temperature=FITTED, adaptation=adaptation)
    preflight(road.jobs, Store(tmp_path))
    plain = [job.call.key for job in lay(toy, temperature=FITTED).jobs if job.call.stage == "temperature"]
    assert [job.call.key for job in road.jobs if job.call.stage == "temperature"] == plain


def test_a_chunk_that_holds_all_there_is_is_refused(toy, tmp_path):
    road = lay(toy, adaptation={"kind": "sgd", "chunk_tokens": 100_000})
    with pytest.raises(ValueError, match=r"chunk_tokens = 100,000, .* the first chunk is the last, and nothing is learned"):
        preflight(road.jobs, Store(tmp_path))


class FirstOfTwo(Ranks):
    """Rank 0 of two processes, the other of which waits for word and shares nothing."""

    world_size = 2

    def sum(self, values):
        raise AssertionError("the other process would not answer")


def test_one_of_several_processes_fits_alone(toy, tmp_path):
    store = Store(tmp_path)
    jobs = lay(toy, temperature=FITTED).jobs
    fitted = next(job for job in jobs if job.call.stage == "temperature")
    run_jobs(jobs[: jobs.index(fitted)], store, Execution())
    run_job(fitted, store, Execution(ranks=FirstOfTwo()))
    assert store.open(fitted.call).summary()["value"] in FITTED["candidates"]


def test_a_scoring_with_a_fitted_temperature_reads_no_train_shard(toy, tmp_path, monkeypatch):
    road, store = lay(toy, temperature=FITTED), Store(tmp_path)
    run_jobs([job for job in road.jobs if job.call.stage != "evaluate"] + [road.jobs[-1]], store, Execution())
    opened = []
    real = np.memmap

    def spy(path, *args, **kwargs):
        opened.append(str(path))
        return real(path, *args, **kwargs)

    monkeypatch.setattr(np, "memmap", spy)
    run_jobs([road.jobs[-2]], store, Execution())
    assert any("validation" in path for path in opened)
    assert not any("train" in path for path in opened)


def test_too_few_train_documents_are_refused(corpus):
    data = {
        "windows": [FLAT.canonical()],
        "precision": "fp32",
        "bytes": "piece",
        "temperature": {**FITTED, "train_documents": 2},
    }
    with pytest.raises(ValueError, match="train_documents = 2, and the train split has 1"):
        fit(EvaluateConfig.model_validate(data), 8, weights_of(network()), corpus, Execution())


def test_weights_that_diverged_fit_no_temperature(toy):
    weights = weights_of(network())
    broken = {**weights.tensors, "blocks.0.mlp.fc.weight": torch.full_like(weights.tensors["blocks.0.mlp.fc.weight"], np.nan)}
    data = {"windows": [FLAT.canonical()], "precision": "fp32", "bytes": "piece", "temperature": FITTED}
    with pytest.raises(ValueError, match="NaN or infinite"):
        fit(EvaluateConfig.model_validate(data), 8, replace(weights, tensors=broken), toy, Execution())


def test_what_is_saved_is_read_back(toy, tmp_path):
    data = {"windows": [FLAT.canonical()], "precision": "fp32", "bytes": "piece", "temperature": FITTED}
    found = fit(EvaluateConfig.model_validate(data), 8, weights_of(network()), toy, Execution())
    found.save(tmp_path)
    saved = json.loads((tmp_path / "summary.json").read_text())
    assert (saved["value"], saved["nats_per_token"]) == (found.value, list(found.nats_per_token))
