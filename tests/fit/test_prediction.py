"""Predicted bytes beside packed ones, role by role."""

import math

import pytest

from mulligan.core.config import parse_config
from mulligan.core.execution import Execution
from mulligan.engine.inline import run_jobs
from mulligan.engine.job import Outside
from mulligan.fit.prediction import measured_payloads, predict_bytes
from mulligan.flow import lay_road
from mulligan.model.gpt import parameter_shapes
from mulligan.recipe import Recipe, load_recipe
from mulligan.store.stage_call import OutsideInput
from mulligan.store.store import Store
from toy import model_config, recipe_data, write_corpus


def test_prediction_is_near_what_packing_takes_and_measured_seeds_are_found(tmp_path):
    made = write_corpus(tmp_path / "corpus")
    corpus, store = Outside(made.folder, OutsideInput("corpus", made.digest)), Store(tmp_path / "store")
    model = model_config(vocab_size=260, model_dim=64).model_dump(mode="json")
    recipe = parse_config(Recipe, recipe_data(model=model), "")
    for seed in (0, 3):
        run_jobs(lay_road(recipe, seed, corpus=corpus).jobs, store, Execution())
    measured = measured_payloads(recipe, store, {"corpus": corpus})
    assert list(measured) == ["0", "3"]
    assert measured_payloads(recipe, store, {"corpus": corpus, "weights": corpus}) == {}
    predicted = predict_bytes(recipe)["payload_bytes"]
    assert all(predicted == pytest.approx(size, rel=0.1) for size in measured.values())


def test_steps_whose_bytes_are_not_predicted_are_named():
    assert predict_bytes(load_recipe("tiny"))["uncounted"] == []
    assert predict_bytes(load_recipe("pr-180"))["uncounted"] == ["prune"]


@pytest.mark.parametrize("name", ["tiny", "pr-180", "pr-1716"])
def test_every_parameter_is_counted_in_one_role(name):
    recipe = load_recipe(name)
    found = predict_bytes(recipe)
    assert sum(line["elements"] for line in found["roles"]) == sum(
        math.prod(shape) for shape in parameter_shapes(recipe.model).values()
    )
    assert found["payload_bytes"] == pytest.approx(sum(line["bytes"] for line in found["roles"]))


def test_a_full_stack_is_predicted_at_its_published_size():
    """PR 1716's three logs give 15,973,106 to 15,978,006 bytes for weights alone, at k = 12.85 and 20."""
    assert predict_bytes(load_recipe("pr-1716"))["payload_bytes"] == pytest.approx(15.975e6, rel=0.03)
