"""The road as the engine walks it: what is exported, what is shared, what is replayed, and golden toy numbers."""

import json

import pytest
import torch

from mulligan.core.config import parse_config
from mulligan.core.execution import Execution
from mulligan.engine.inline import missing_jobs, run_jobs
from mulligan.engine.job import Outside
from mulligan.engine.stage_runner import read_weights
from mulligan.flow import lay_road
from mulligan.recipe import Recipe, apply_change
from mulligan.store.stage_call import OutsideInput
from mulligan.store.store import Store
from mulligan.train.trainer import Trainer
from mulligan.values.weights import Weights
from toy import recipe_data, write_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("road") / "corpus")


def lay(corpus, *changes, seed=0):
    data = json.loads(json.dumps(recipe_data()))
    for change in changes:
        apply_change(data, change)
    return lay_road(parse_config(Recipe, data, ""), seed, corpus=Outside(corpus.folder, OutsideInput("corpus", corpus.digest)))


def job(road, name):
    return next(job for job in road.jobs if job.name == name)


def walk(road, store, **execution):
    return {done.job.name: done.status for done in run_jobs(road.jobs, store, Execution(**execution))}


def test_the_exported_average_is_the_declared_one_and_not_the_raw_weights(corpus, tmp_path):
    """B2: an average that is collected and never loaded. What is packed is checked against snapshots taken by hand."""
    road, store = lay(corpus), Store(tmp_path)
    walk(road, store)
    recipe = road.recipe
    trainer = Trainer(recipe.train, recipe.model, corpus.tokens("train"), 0, Execution())
    snapshots = []
    while not trainer.finished:
        trainer.advance(until_step=trainer.step + 1)
        if trainer.step in (10, 12):  # every 2 steps once the scale of the step just taken is below 0.8
            snapshots.append({name: weight.detach().clone() for name, weight in trainer.weights.items()})
    averaged = Weights.load(store.open(job(road, "average").call).folder)
    raw = Weights.load(store.open(job(road, "raw").call).folder)
    assert averaged.record == {"kind": "swa", "num_snapshots": 2, "first_step": 10, "last_step": 12, "every_steps": 2}
    for name, tensor in averaged.tensors.items():
        assert torch.allclose(tensor, torch.stack([snapshot[name] for snapshot in snapshots]).mean(0), atol=1e-6)
        assert torch.equal(raw.tensors[name], trainer.weights[name])
    assert any(not torch.equal(raw.tensors[name], averaged.tensors[name]) for name in raw.tensors)
    packed = read_weights(store.open(job(road, "pack").call).folder / "artifact.bin")
    matrix = "blocks.0.mlp.fc.weight"
    error = {point: (packed.tensors[matrix] - w.tensors[matrix]).abs().max() for point, w in (("a", averaged), ("r", raw))}
    assert error["a"] < error["r"]


def test_a_longer_run_goes_on_from_the_state_before_the_warmdown(corpus, tmp_path):
    """Segments: runs of different length share their trunk, bit for bit, and train it once."""
    store = Store(tmp_path / "shared")
    short, long = lay(corpus), lay(corpus, "train.budget.steps=20", "train.warmdown.steps=6")
    walk(short, store, segment_seconds=0.0)
    walk(long, store, segment_seconds=0.0)
    steps = sorted(e.manifest["provenance"]["from_step"] for e in store.entries() if e.manifest["header"]["stage"] == "train")
    assert steps == sorted([*range(12), *range(7, 20)])
    alone = Store(tmp_path / "alone")
    walk(long, alone)
    for name in ("train", "average", "pack", "sliding quantized"):
        assert store.open(job(long, name).call).digest == alone.open(job(long, name).call).digest


@pytest.mark.parametrize("average", ['{kind = "ema", decay = 0.8}', '{kind = "lawa", num_snapshots = 2, every_steps = 5}'])
def test_an_average_asked_for_later_replays_and_reproduces_the_state(corpus, tmp_path, average):
    store = Store(tmp_path / "late")
    first, later = lay(corpus), lay(corpus, f"average={average}")
    walk(first, store)
    status = walk(later, store)
    assert (status["train"], status["observe"]) == ("hit", "ran")
    assert store.open(job(later, "observe").call).manifest["provenance"]["replay_reproduced_the_state"] is True
    alone = Store(tmp_path / "alone")
    walk(later, alone)
    assert store.open(job(later, "average").call).digest == alone.open(job(later, "average").call).digest


def test_lawa_asked_for_later_replays_from_the_last_state_before_its_window(corpus, tmp_path):
    store = Store(tmp_path / "late")
    change = 'average={kind = "lawa", num_snapshots = 2, every_steps = 2}'
    walk(lay(corpus), store, segment_seconds=0.0)
    road = lay(corpus, change)
    walk(road, store, segment_seconds=0.0)
    lawa = [e for e in store.entries() if e.manifest["header"]["config"].get("kind") == "lawa"]
    assert min(e.manifest["provenance"]["from_step"] for e in lawa if e.manifest["header"]["stage"] == "observe") == 11
    alone = Store(tmp_path / "alone")
    walk(road, alone, segment_seconds=0.0)
    whole = {e.folder.name: e.digest for e in alone.entries()}
    assert all(whole[e.folder.name] == e.digest for e in lawa)


def test_levers_after_training_never_retrain(corpus, tmp_path):
    store = Store(tmp_path)
    walk(lay(corpus), store)
    for change in (
        "grid.families.0.format.bits=5",
        'pack.codec={kind = "lzma"}',
        "evaluate.windows.1.stride=4",
        "data.validation_documents=3",
    ):
        status = walk(lay(corpus, change), store)
        assert status["train"] == status["observe"] == status["raw"] == status["average"] == "hit", change


def test_what_nothing_missing_reads_is_not_made_again(corpus, tmp_path):
    """The states may be deleted: a run whose scores are there needs none."""
    road, store = lay(corpus), Store(tmp_path)
    walk(road, store)
    for name in ("train", "observe"):
        folder = store.open(job(road, name).call).folder
        for path in folder.iterdir():
            path.unlink()
    assert missing_jobs(road.jobs, store) == set()
    status = walk(road, Store(tmp_path))
    assert status["train"] == status["observe"] == "skipped"


def test_a_budget_in_seconds_walks_the_road_and_resumes(corpus, tmp_path):
    change = 'train.budget={kind = "seconds", seconds = 0.4}'
    road = lay(
        corpus,
        change,
        'average={kind = "tight-swa", lr_scale_below = 1.0, every_steps = 1}',
        'train.warmdown={kind = "seconds", seconds = 0.2}',
    )
    store = Store(tmp_path)
    status = walk(road, store, segment_seconds=0.1)
    assert set(status.values()) == {"ran"}
    assert walk(road, Store(tmp_path))["train"] == "hit"


def test_an_average_without_a_snapshot_is_an_error(corpus, tmp_path):
    with pytest.raises(ValueError, match="holds no snapshot"):
        walk(lay(corpus, 'average={kind = "lawa", num_snapshots = 2, every_steps = 13}'), Store(tmp_path))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('grid.families.0.match=["*.wait"]', "grid.families.0.match.0 = '\\*.wait' matches no tensor"),
        ("data.validation_documents=7", "validation_documents = 7, and the validation split has 6"),
        ("model.vocab_size=261", "260 pieces and the network vocab_size = 261"),
    ],
)
def test_what_cannot_end_well_is_refused_before_training(corpus, tmp_path, change, message):
    store = Store(tmp_path)
    with pytest.raises(ValueError, match=message):
        walk(lay(corpus, change), store)
    assert store.keys() == []


def test_a_long_run_is_planned_without_a_key_per_step(corpus, tmp_path):
    store = Store(tmp_path)
    walk(lay(corpus), store, segment_seconds=0.0)
    road = lay(corpus, "train.budget.steps=1000000", "train.warmdown.steps=6")
    trajectory = job(road, "train").trajectory
    computed = []
    calls = type(trajectory).state_call
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(trajectory), "state_call", lambda self, cut=None: computed.append(cut) or calls(self, cut))
        assert trajectory.latest_cut(store, []) == 7
    assert len(computed) < 20


def test_golden_toy_numbers(corpus, tmp_path):
    """Pinned per stage and version, loosely enough for another CPU: a change here needs a new version of the stage."""
    road, store = lay(corpus), Store(tmp_path)
    walk(road, store)

    def summary(name):
        return store.open(job(road, name).call).summary()

    assert {job.call.stage: job.call.version for job in road.jobs} == GOLDEN_VERSIONS
    assert summary("train")["last_loss_nats"] == pytest.approx(GOLDEN["loss"], abs=2e-3)
    norm = sum(
        float(t.double().square().sum())
        for t in read_weights(store.open(job(road, "average").call).folder / "weights.safetensors").tensors.values()
    )
    assert norm == pytest.approx(GOLDEN["average_square_norm"], rel=1e-3)
    tensors = summary("quantize")["tensors"]
    assert tensors["blocks.0.mlp.fc.weight"]["relative_rms_error"] == pytest.approx(GOLDEN["relative_rms_error"], rel=1e-2)
    assert summary("pack")["payload_bytes"] == pytest.approx(GOLDEN["payload_bytes"], rel=1e-2)
    assert summary("sliding quantized")["bits_per_byte"] == pytest.approx(GOLDEN["bits_per_byte"], abs=5e-3)


GOLDEN_VERSIONS = {"train": 1, "observe": 1, "average": 1, "quantize": 1, "pack": 2, "evaluate": 1}
GOLDEN = {
    "loss": 2.0638,
    "average_square_norm": 763.544,
    "relative_rms_error": 0.0160447,
    "payload_bytes": 5601,
    "bits_per_byte": 2.8159,
}
