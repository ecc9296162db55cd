"""Which corpus is behind an artifact: found by its bytes through the store, never guessed."""

import shutil
from pathlib import Path

import pytest

from mulligan.core.config import parse_config
from mulligan.core.execution import Execution
from mulligan.data import embedded
from mulligan.engine.ancestry import corpus_behind
from mulligan.engine.inline import run_jobs
from mulligan.engine.job import Outside
from mulligan.flow import lay_road
from mulligan.recipe import Recipe
from mulligan.store.stage_call import OutsideInput
from mulligan.store.store import Store
from toy import model_config, recipe_data, write_corpus


def ran(recipe, store, corpus=None):
    """Run a recipe; return the folder of each of its values by the job's name."""
    road = lay_road(parse_config(Recipe, recipe, ""), 0, corpus=corpus)
    run_jobs(road.jobs, store, Execution())
    return {job.name: store.folder(job.call.key) for job in road.jobs}


@pytest.fixture
def few_files(monkeypatch):
    """Let the documentation of this Python be that of a few of its modules."""
    files = tuple(path for path in embedded.source_files() if path.name in ("topics.py", "textwrap.py", "csv.py"))
    monkeypatch.setattr(embedded, "source_files", lambda: files)
    embedded.source_digest.cache_clear()
    yield
    embedded.source_digest.cache_clear()


def test_a_copy_of_an_artifact_leads_to_the_text_that_it_was_trained_on(few_files, tmp_path):
    store = Store(tmp_path / "store")
    model = model_config(vocab_size=400).model_dump(mode="json")
    windows = [{"kind": "flat", "context_len": 64}]
    evaluate = {"precision": "fp32", "bytes": "piece", "windows": windows}
    data = {"kind": "embedded", "vocab_size": 400, "validation_documents": 1}
    made = ran(recipe_data(data=data, model=model, evaluate=evaluate), store)
    copy = Path(shutil.copy(made["pack"] / "artifact.bin", tmp_path / "mine.bin"))
    for file in (made["pack"] / "artifact.bin", copy, made["average"] / "weights.safetensors"):
        assert corpus_behind(file, store) == made["data"]
    with pytest.raises(ValueError, match=r"no value of the store .* --data DIR"):
        corpus_behind(copy, Store(tmp_path / "another"))


def test_a_corpus_from_outside_must_be_named(tmp_path):
    """Its pieces may be as many as the demo's and be others: a score on the demo's text would mean nothing."""
    corpus, store = write_corpus(tmp_path / "corpus"), Store(tmp_path / "store")
    made = ran(recipe_data(), store, Outside(corpus.folder, OutsideInput("corpus", corpus.digest)))
    with pytest.raises(ValueError, match=r"a corpus that is not in the store .* --data DIR"):
        corpus_behind(made["pack"] / "artifact.bin", store)
