"""The shipped studies: each lays out at each of its scales, stands beside published figures, and shares what it can."""

import tomllib
from pathlib import Path

import pytest

from mulligan.engine.job import Outside
from mulligan.store.stage_call import OutsideInput
from mulligan.store.store import Store
from mulligan.study.config import load_study
from mulligan.study.plan import cost_of, lay_study

FOLDER = Path(__file__).parents[2] / "studies"
NAMES = {
    "clip-sweep",
    "qat-x-average",
    "qat-x-swa",
    "swa-accumulation-dtype",
    "swa-x-warmdown",
    "tight-swa-vs-ema",
    "warmdown-x-lr",
    "position-schemes",
    "train-length-x-eval-length",
    "attention-window-2x2",
    "batch-size",
    "momentum-x-lr",
    "bigram-dim",
    "stack-455-leave-one-out",
    "hadamard-x-clip-rule",
    "path-a-v3",
    "bits-x-clip",
    "codec-bakeoff",
    "prune-for-size",
    "qat-x-swa-equal-bytes",
    "fp16-embedding",
    "weight-decay-x-quantizer",
    "doc-isolation-x-stride",
    "eval-length",
    "streaming-x-sliding",
    "ttt-optimizer",
    "ttt-epochs-x-lr",
    "qat-x-ttt",
    "ttt-legal-x-illegal",
}
SCALES = [(path.stem, scale) for path in sorted(FOLDER.glob("*.toml")) for scale in tomllib.loads(path.read_text())["scale"]]
SHARED = {
    "qat-x-swa": 0.4,
    "qat-x-average": 0.15,
    "tight-swa-vs-ema": 0.34,
    "swa-accumulation-dtype": 0.51,
    "position-schemes": 0.34,
    "attention-window-2x2": 0.51,
    "hadamard-x-clip-rule": 0.26,
    "path-a-v3": 0.51,
    "bits-x-clip": 0.12,
    "codec-bakeoff": 0.21,
    "prune-for-size": 0.17,
    "qat-x-swa-equal-bytes": 0.4,
    "fp16-embedding": 0.26,
    "weight-decay-x-quantizer": 0.34,
    "doc-isolation-x-stride": 0.11,
    "eval-length": 0.11,
    "streaming-x-sliding": 0.17,
    "ttt-optimizer": 0.15,
    "ttt-epochs-x-lr": 0.15,
    "qat-x-ttt": 0.3,
    "ttt-legal-x-illegal": 0.26,
}


def test_all_are_there_and_each_has_a_scale_for_two_cores_and_the_published_one():
    assert {name for name, _ in SCALES} == NAMES
    for scale in ("tiny", "full"):
        assert {name for name, other in SCALES if other == scale} == NAMES


@pytest.mark.parametrize(("name", "scale"), SCALES)
def test_it_lays_out_and_shares(name, scale, tmp_path):
    study = load_study(FOLDER / f"{name}.toml", scale)
    corpus = Outside(Path("nowhere"), OutsideInput("corpus", "0" * 64))
    laid = lay_study(study, corpus if scale == "full" else None)
    assert study.published
    assert len(study.seeds) == 3
    cost = cost_of(laid, Store(tmp_path))
    assert cost.steps_to_run <= SHARED.get(name, 1.0) * laid.steps_without_sharing
