"""Score against bytes: the ladder, the front, and points that are measured once and as a run would measure them."""

import pytest

from mulligan.core.config import parse_config
from mulligan.core.execution import Execution
from mulligan.engine.inline import run_jobs
from mulligan.engine.job import Outside
from mulligan.fit.pareto import Measured, front, ladder, measure, variants
from mulligan.flow import lay_road, lay_train_score
from mulligan.numerics.config import RowMax, StandardDeviations
from mulligan.quantize import stage
from mulligan.recipe import Recipe, load_recipe
from mulligan.store.stage_call import OutsideInput
from mulligan.store.store import Store
from toy import recipe_data, write_corpus


@pytest.mark.parametrize(("name", "points"), [("tiny", 200), ("pr-1716", 200), ("pr-374", 30)])
def test_variants_are_about_as_many_as_asked_for_the_own_one_first_and_each_another(name, points):
    recipe = load_recipe(name)
    found = variants(recipe, points)
    assert found[0].recipe == recipe
    assert 0.6 * points <= len(found) <= 1.6 * points
    assert len({repr(variant.recipe.grid) for variant in found}) == len(found)
    assert {repr(variant.recipe.replace(grid=recipe.grid)) for variant in found} == {repr(recipe)}


def test_the_ladder_spans_fine_to_coarse_steps_with_room_for_the_tails():
    rungs = ladder(15)
    assert len(rungs) == 15
    assert sum(isinstance(rung.scale, RowMax) for rung in rungs) == 5
    steps = [(rung.scale.k / rung.max_code, rung.scale.k) for rung in rungs if isinstance(rung.scale, StandardDeviations)]
    assert [step for step, _ in steps] == sorted(step for step, _ in steps)
    assert all(k >= 4.4 for _, k in steps)


def test_the_front_is_what_no_other_beats_in_both():
    points = [Measured({}, size, nats, nats, False) for size, nats in ((10, 3.0), (20, 2.0), (20, 1.9), (30, 2.5), (40, 1.0))]
    assert [(point.payload_bytes, point.train_nats_per_token) for point in front(points)] == [(10, 3.0), (20, 1.9), (40, 1.0)]


def test_points_are_what_a_run_gives_and_are_not_measured_twice(tmp_path):
    made = write_corpus(tmp_path / "corpus")
    corpus, store = Outside(made.folder, OutsideInput("corpus", made.digest)), Store(tmp_path / "store")
    recipe = parse_config(Recipe, recipe_data(), "")
    road = lay_road(recipe, 0, corpus=corpus)
    scorer = lay_train_score(road, 4)
    run_jobs([*road.jobs, scorer], store, Execution())
    todo, told = variants(recipe, 4), []
    execution = Execution(progress=lambda what, done, total, note: told.append(what))
    found = list(measure(todo, road, corpus, store, 4, execution))
    assert len(found) == len(todo)
    own = found[0]
    assert own.is_own
    assert own.payload_bytes == store.open(road.points["quantized"].call).summary()["payload_bytes"]
    assert own.train_nats_per_token == store.open(scorer.call).summary()["nats_per_token"]
    size = len(list(store.entries()))
    (tmp_path / "corpus" / "train_000000.bin").unlink()  # nothing is scored again
    assert list(measure(todo, road, corpus, store, 4, execution)) == found
    assert len(list(store.entries())) == size


def test_a_format_that_the_quantizer_refuses_is_no_point_and_a_torn_line_no_error(tmp_path):
    made = write_corpus(tmp_path / "corpus")
    corpus, store = Outside(made.folder, OutsideInput("corpus", made.digest)), Store(tmp_path / "store")
    scale = {"kind": "standard-deviations", "k": 6.0}
    families = [
        {"match": ["*.weight"], "format": {"kind": "int", "bits": 6, "scale": scale}},
        {"match": ["*"], "format": {"kind": "fp16"}},
    ]
    text = {"kind": "train-split", "num_sequences": 2, "seq_len": 8}
    gptq = {"kind": "gptq", "calibration": text, "row_importance": 0.2}
    recipe = parse_config(Recipe, recipe_data(grid={"families": families}, quantize=gptq), "")
    road = lay_road(recipe, 0, corpus=corpus)
    run_jobs(road.jobs, store, Execution())
    todo = variants(recipe, 6)
    found = list(measure(todo, road, corpus, store, 3, Execution()))
    assert 1 < len(found) < len(todo)  # row maxima have nothing to widen
    (kept,) = (tmp_path / "store" / "pareto").iterdir()
    kept.write_text(kept.read_text() + '{"key": "a", "payl')
    assert list(measure(todo, road, corpus, store, 3, Execution())) == found


def test_hundreds_of_points_calibrate_once(tmp_path, monkeypatch):
    made, runs = write_corpus(tmp_path / "corpus"), []
    corpus, store = Outside(made.folder, OutsideInput("corpus", made.digest)), Store(tmp_path / "store")
    gptq = {"kind": "gptq", "calibration": {"kind": "train-split", "num_sequences": 2, "seq_len": 8}}
    road = lay_road(parse_config(Recipe, recipe_data(quantize=gptq), ""), 0, corpus=corpus)
    run_jobs(road.jobs, store, Execution())
    observe = stage.mean_products
    monkeypatch.setattr(stage, "mean_products", lambda *given: runs.append(given) or observe(*given))
    todo = variants(road.recipe, 4)
    found = list(measure(todo, road, corpus, store, 3, Execution()))
    assert len(found) == len(todo) >= 4
    assert len(runs) == 1
    assert found[0].payload_bytes == store.open(road.points["quantized"].call).summary()["payload_bytes"]


def test_a_grid_without_integers_has_nothing_to_vary():
    families = [{"match": ["*"], "format": {"kind": "fp16"}}]
    with pytest.raises(ValueError, match="no tensor in integers"):
        variants(parse_config(Recipe, recipe_data(grid={"families": families}), ""), 10)
