"""A finished toy study (late QAT x SWA, two seeds) with its result in a store, made once for these tests."""

import copy

import pytest

from mulligan.core.config import parse_config
from mulligan.core.execution import Execution
from mulligan.engine.inline import run_jobs
from mulligan.engine.job import corpus_at
from mulligan.recipe import Recipe, to_toml
from mulligan.store.store import Store
from mulligan.study.config import load_study
from mulligan.study.execute import RESULT, study_folder, write_json
from mulligan.study.plan import lay_study
from mulligan.study.result import read_study
from toy import recipe_data, write_corpus

STUDY = """
question = "Do late QAT and SWA help each other?"
hypothesis = "They do not."
phase = "explore"
recipe = "{recipe}"
seeds = [0, 1]
budget = {{kind = "steps"}}
design = {{kind = "full-factorial"}}
margin_bpb = 0.01
metric = {{point = "quantized", windows = "sliding", context_len = 8, stride = 2}}
secondary = [
    {{kind = "difference", name = "gap", of = {{point = "quantized", windows = "flat"}}, minus = {{point = "averaged", windows = "flat"}}}},
    {{kind = "payload-bytes"}},
]
published = [{{what = "interaction", figure = "+6.22 mBPB", source = "a published run"}}]
[factors.qat.levels]
off = {{"train.fake_quantize" = {{kind = "off"}}}}
on = {{"train.fake_quantize" = {{kind = "parameter-swap", start = {{kind = "lr-scale-below", value = 0.7}}}}}}
[factors.swa.levels]
off = {{average = {{kind = "last"}}}}
on = {{average = {{kind = "swa", start = {{kind = "lr-scale-below", value = 0.4}}, every_steps = 1}}}}
"""  # noqa: E501


class Finished:
    """A study that was run: its file, corpus folder, store, layout and result."""

    def __init__(self, folder):
        self.corpus = write_corpus(folder / "corpus").folder
        (folder / "toy.toml").write_text(to_toml(parse_config(Recipe, recipe_data(), "")))
        self.file = folder / "study.toml"
        self.file.write_text(STUDY.format(recipe=folder / "toy.toml"))
        self.recipe = folder / "toy.toml"
        self.laid, self.store = lay_study(load_study(self.file), corpus_at(self.corpus)), Store(folder / "store")
        run_jobs(self.laid.jobs, self.store, Execution())
        self.result = read_study(self.laid, self.store, {})
        write_json(study_folder(self.laid, self.store) / RESULT, self.result)

    @property
    def arguments(self):
        return [str(self.file), "--data", str(self.corpus), "--store", str(self.store.root)]


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    return Finished(tmp_path_factory.mktemp("report"))


@pytest.fixture
def result(finished):
    """The result, free to be changed."""
    return copy.deepcopy(finished.result)
