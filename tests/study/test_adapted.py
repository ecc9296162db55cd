"""Studies of adaptation: which arms measure one and the same thing, and which do not."""

import pytest

from mulligan.core.config import parse_config
from mulligan.engine.job import corpus_at
from mulligan.recipe import Recipe, to_toml
from mulligan.study.config import load_study
from mulligan.study.plan import lay_study
from toy import recipe_data, write_corpus

STUDY = """
question = "?"
phase = "explore"
recipe = "{recipe}"
seeds = [0]
budget = {{kind = "steps"}}
design = {{kind = "full-factorial"}}
margin_bpb = 0.01
metric = {metric}
{factor}
"""
ADAPTATION = """
[factors.adaptation.levels]
off = {"evaluate.adaptation" = {kind = "off"}}
sgd = {"evaluate.adaptation" = {kind = "sgd"}}
"""
GRID = """
[factors.grid.levels]
int5 = {"grid.families.0.format.bits" = 5}
int6 = {"grid.families.0.format.bits" = 6}
"""


@pytest.fixture
def lay(tmp_path):
    """Return what lays a study over one factor of a recipe whose adaptation, if it has one, rounds by the grid."""
    corpus = write_corpus(tmp_path / "corpus")

    def laid(factor, metric, **evaluate):
        data = recipe_data(average={"kind": "last"})
        recipe = parse_config(Recipe, {**data, "evaluate": {**data["evaluate"], **evaluate}}, "")
        (tmp_path / "toy.toml").write_text(to_toml(recipe))
        (tmp_path / "study.toml").write_text(STUDY.format(recipe=tmp_path / "toy.toml", factor=factor, metric=metric))
        return lay_study(load_study(tmp_path / "study.toml"), corpus_at(corpus.folder))

    return laid


def test_arms_that_differ_in_a_reading_that_nobody_takes_are_refused(lay):
    assert len(lay(ADAPTATION, '{point = "adapted"}').cells) == 2
    with pytest.raises(ValueError, match="run one and the same stages"):
        lay(ADAPTATION, '{point = "quantized", windows = "flat"}')


def test_the_grid_that_adaptation_rounds_by_is_no_measurement(lay):
    laid = lay(GRID, '{point = "adapted"}', adaptation={"kind": "sgd", "fake_quantize": "grid"})
    assert len(laid.cells) == 2
