"""Steps that would act nowhere are refused, from names and shapes alone, and before anything is trained."""

from typing import Literal

import pytest
from pydantic import TypeAdapter

from mulligan.core.config import parse_config
from mulligan.core.execution import Execution
from mulligan.engine.inline import run_jobs
from mulligan.engine.job import Outside
from mulligan.flow import lay_road
from mulligan.model.kind import UserFeedForward
from mulligan.numerics.config import GridConfig
from mulligan.numerics.grid import assign
from mulligan.quantize.check import check_acts, check_hidden_units
from mulligan.quantize.config import QuantizeConfig
from mulligan.recipe import Recipe
from mulligan.store.stage_call import OutsideInput
from mulligan.store.store import Store
from toy import model_config, recipe_data, write_corpus

TEXT = {"kind": "train-split", "num_sequences": 1, "seq_len": 4}
SHAPES = {"w": (4, 5), "v": (5,)}
INT6 = {"kind": "int", "bits": 6, "scale": {"kind": "row-max"}}
SIGMAS = {**INT6, "scale": {"kind": "standard-deviations", "k": 12.85}}
ONES = {"kind": "plus-minus-one", "fraction": 0.1, "match": ["w"]}
FLOAT, WHOLE, VECTOR = {"w": {"kind": "fp16"}}, {"w": {**INT6, "scale_per": "tensor"}}, {"w": {"kind": "fp16"}, "v": INT6}


def config(**changes):
    return TypeAdapter(QuantizeConfig).validate_python({"kind": "round-to-nearest", **changes})


def formats(given):
    families = [*({"match": [name], "format": format} for name, format in given.items())]
    return assign(GridConfig.model_validate({"families": [*families, {"match": ["*"], "format": {"kind": "fp16"}}]}), SHAPES)


@pytest.mark.parametrize(
    ("changes", "grid", "told"),
    [
        ({"kind": "gptq", "calibration": TEXT}, FLOAT, 'kind = "gptq" acts on matrices'),
        ({"kind": "gptq", "calibration": TEXT}, VECTOR, 'kind = "gptq" acts on matrices'),
        ({"kind": "gptq", "calibration": TEXT, "row_importance": 0.2}, {"w": INT6}, "row_importance"),
        (
            {"kind": "gptq", "calibration": TEXT, "row_importance": 0.2},
            {"w": {**SIGMAS, "scale_per": "tensor"}},
            "row_importance",
        ),
        ({"prune": ONES}, WHOLE, "'w' matches no matrix .* none"),
        ({"prune": {**ONES, "match": ["w", "x*"]}}, {"w": INT6}, r"'x\*' matches no matrix .* w\."),
        ({"prune": {"kind": "magnitude", "fraction": 0.1, "min_elements": 21}}, {"w": INT6}, "largest matrix has 20 elements"),
        ({"rotation": {"kind": "hadamard"}}, WHOLE, "rotation"),
        ({"correction": {"kind": "low-rank"}}, FLOAT, "correction"),
    ],
)
def test_a_step_that_acts_nowhere_is_refused(changes, grid, told):
    with pytest.raises(ValueError, match=told):
        check_acts(config(**changes), formats(grid), SHAPES)


@pytest.mark.parametrize(
    ("changes", "grid"),
    [
        ({}, FLOAT),
        ({"kind": "gptq", "calibration": TEXT}, WHOLE),
        ({"kind": "gptq", "calibration": TEXT, "row_importance": 0.2}, {"w": SIGMAS}),
        ({"prune": {"kind": "magnitude", "fraction": 0.1, "min_elements": 20}}, FLOAT),
        ({"rotation": {"kind": "hadamard"}, "prune": ONES}, {"w": INT6}),
        ({"correction": {"kind": "low-rank"}}, WHOLE),
    ],
)
def test_what_acts_passes(changes, grid):
    check_acts(config(**changes), formats(grid), SHAPES)


def test_hidden_units_of_a_feed_forward_of_the_users_own_are_not_known():
    class Own(UserFeedForward):
        kind: Literal["own"]

    network = model_config().model_copy(update={"feed_forward": Own(kind="own", mult=2)})
    check_hidden_units(config(), network)
    with pytest.raises(ValueError, match="this network has 'own'"):
        check_hidden_units(config(hidden_permutation="by-row-norm"), network)


@pytest.mark.parametrize(
    ("quantize", "told"),
    [
        ({"kind": "gptq", "calibration": {**TEXT, "seq_len": 100_000}}, "seq_len = 100000, and the train split has"),
        ({"kind": "round-to-nearest", "prune": {"kind": "magnitude", "fraction": 0.1}}, "nothing is pruned"),
    ],
)
def test_it_is_said_before_the_training(tmp_path, quantize, told):
    corpus = write_corpus(tmp_path / "corpus")
    road = lay_road(
        parse_config(Recipe, recipe_data(quantize=quantize), ""),
        0,
        corpus=Outside(corpus.folder, OutsideInput("corpus", corpus.digest)),
    )
    store = Store(tmp_path / "store")
    with pytest.raises(ValueError, match=told):
        run_jobs(road.jobs, store, Execution())
    assert store.keys() == []
