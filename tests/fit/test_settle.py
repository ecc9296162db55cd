"""The solver over a real store: it lands under the cap, resumes, ranks on train documents, and keys the plain recipe."""

import json
import tomllib

import pytest

from mulligan.core.config import parse_config
from mulligan.core.error import OverBudgetError
from mulligan.core.execution import Execution
from mulligan.engine.inline import run_jobs
from mulligan.engine.job import Outside
from mulligan.fit.settle import chosen, next_step, settle
from mulligan.flow import lay_road
from mulligan.numerics.config import IntFormat
from mulligan.recipe import Recipe, to_toml
from mulligan.store.stage_call import OutsideInput
from mulligan.store.store import Store
from toy import model_config, recipe_data, write_corpus

K = "grid.families.0.format.scale.k"
BITS = "grid.families.0.format.bits"
NUMBER = {"kind": "number", "path": K, "low": 2.0, "high": 60.0}
CHOICE = {"kind": "choice", "settings": [{"path": BITS, "values": [4, 5, 6]}]}


def recipe(budget_bytes, knob=NUMBER, **changes):
    scale = {"kind": "standard-deviations", "k": 12.0}
    families = [
        {"match": ["*.weight"], "format": {"kind": "int", "bits": 6, "scale": scale}},
        {"match": ["*"], "format": {"kind": "fp16"}},
    ]
    fit = {"knob": knob, "budget_bytes": budget_bytes, "code_reserve_bytes": 1000, "train_documents": 5, **changes}
    model = model_config(vocab_size=260, model_dim=64).model_dump(mode="json")
    return parse_config(Recipe, recipe_data(grid={"families": families}, model=model, fit=fit), "")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fit")
    made = write_corpus(folder / "corpus")
    return Store(folder / "store"), Outside(made.folder, OutsideInput("corpus", made.digest))


def solve(given, store, corpus, seen=None):
    def run(jobs):
        if seen is not None:
            seen.append(jobs)
        run_jobs(jobs, store, Execution())

    return settle(given, 0, store, run, corpus=corpus)


def test_a_number_lands_just_under_the_cap_and_gives_the_plain_recipes_road(place):
    store, corpus = place
    given = recipe(40_000)
    step = solve(given, store, corpus)
    found = chosen(step, given.fit)
    totals = [point["total_bytes"] for point in found["curve"]]
    assert totals == sorted(totals)
    assert 0 <= found["unused_bytes"] <= 40
    assert found["unused_bytes"] == 40_000 - max(total for total in totals if total <= 40_000)
    data = json.loads(given.model_dump_json(exclude={"fit"}))
    data["grid"]["families"][0]["format"]["scale"]["k"] = found["values"][K]
    plain = lay_road(parse_config(Recipe, data, ""), 0, corpus=corpus)
    assert [job.call.key for job in plain.jobs] == [job.call.key for job in step.road.jobs]
    assert step.road.recipe.budget_bytes == 40_000


def test_a_search_reads_train_documents_alone_and_goes_on_where_it_was_killed(place, tmp_path):
    _, corpus = place
    given, store, seen = recipe(38_000), Store(tmp_path), []
    whole = solve(given, store, corpus, seen)
    scored = [job for jobs in seen for job in jobs if job.call.stage == "evaluate" and job.wanted]
    assert {job.call.stage for job in seen[0] if job.wanted} <= {"data", "average", "quantize", "pack"}
    assert {job.settings["split"] for job in scored} == {"train"}
    assert len(seen) >= 3
    assert solve(given, store, corpus, again := []).points == whole.points
    assert not again
    killed = Store(tmp_path / "killed")
    for jobs in seen[:2]:
        run_jobs(jobs, killed, Execution())
    assert len(next_step(given, 0, killed, corpus=corpus).points) == 2
    assert solve(given, killed, corpus).points == whole.points


def test_a_choice_takes_the_best_score_on_train_documents_among_what_fits(place):
    store, corpus = place
    given = recipe(45_000, CHOICE)
    step = solve(given, store, corpus)
    fitting = [point for point in step.points if point.fits]
    assert len(fitting) >= 2
    best = min(fitting, key=lambda point: point.train_nats_per_token)
    format = step.road.recipe.grid.families[0].format
    assert isinstance(format, IntFormat)
    assert format.bits == best.values[BITS]
    assert [point.train_nats_per_token is None for point in step.points] == [not point.fits for point in step.points]


def test_a_search_calibrates_once_and_anew_only_where_its_knob_comes_before(place):
    store, corpus = place
    gptq = {"kind": "gptq", "calibration": {"kind": "train-split", "num_sequences": 2, "seq_len": 8}}
    pruned = {**gptq, "prune": {"kind": "magnitude", "fraction": 0.1, "min_elements": 64}}
    prune = {"kind": "number", "path": "quantize.prune.fraction", "low": 0.01, "high": 0.5}
    for quantize, knob, anew in ((gptq, NUMBER, False), (pruned, prune, True)):
        before = set(store.keys())
        data = json.loads(recipe(40_000, knob=NUMBER).model_dump_json())
        given = parse_config(Recipe, {**data, "quantize": quantize, "fit": {**data["fit"], "knob": knob}}, "")
        step = solve(given, store, corpus)
        made = [entry.manifest["header"]["stage"] for entry in store.entries() if entry.folder.name not in before]
        assert len(step.points) == made.count("quantize") >= 2
        assert made.count("calibrate") == (len(step.points) if anew else 1)


def test_a_cap_that_nothing_meets_names_the_closest_miss(place):
    store, corpus = place
    with pytest.raises(OverBudgetError, match=r"closest miss, grid.families.0.format.scale.k = 60.0, takes [\d,]+ B"):
        solve(recipe(5_000), store, corpus)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"knob": {**NUMBER, "path": "train.optimizer.matrix_lr"}}, "never retrains"),
        (
            {"knob": {**NUMBER, "path": "grid.families.0.format.scale.kk"}},
            r"does not set. Nearest: grid.families.0.format.scale.k",
        ),
        ({"knob": {**NUMBER, "low": 70.0}}, "not below"),
        ({"knob": {**CHOICE, "settings": [{"path": BITS, "values": [4, 9]}]}}, "less than or equal to 8"),
        ({"code_reserve_bytes": 40_000}, "leaves nothing"),
        ({"budget_bytes": 17_000_000}, "more than budget_bytes"),
        ({"knob": {**NUMBER, "path": BITS}}, r'counts or names. Give {kind = "choice"'),
        ({"knob": {**CHOICE, "settings": [{"path": K, "values": [float(k) for k in range(2, 70)]}]}}, "64 at most"),
    ],
)
def test_a_fit_that_cannot_work_is_refused_when_it_is_read(changes, told):
    with pytest.raises(ValueError, match=told):
        recipe(**{"budget_bytes": 40_000, **changes})


def test_documents_that_the_train_split_lacks_are_told_before_the_training(place, tmp_path):
    _, corpus = place
    with pytest.raises(ValueError, match="train_documents = 1000, and the train split has 40"):
        solve(recipe(40_000, train_documents=1000), Store(tmp_path), corpus)
    assert not list(Store(tmp_path).entries())


def test_a_clip_range_in_which_bytes_turn_is_refused_before_the_training(place, tmp_path):
    _, corpus = place
    with pytest.raises(ValueError, match="a knob has one direction"):
        solve(recipe(40_000, {**NUMBER, "low": 0.05}), Store(tmp_path), corpus)
    assert not list(Store(tmp_path).entries())


def test_a_grid_that_fake_quantization_trains_for_is_no_knob():
    data = recipe(40_000).model_dump(mode="json")
    data["train"]["fake_quantize"] = {"kind": "parameter-swap", "start": {"kind": "lr-scale-below", "value": 0.7}}
    with pytest.raises(ValueError, match="each setting would be trained anew"):
        parse_config(Recipe, data, "")
    data["quantize"]["prune"] = {"kind": "magnitude", "fraction": 0.1, "min_elements": 64}
    data["fit"]["knob"] = {"kind": "number", "path": "quantize.prune.fraction", "low": 0.01, "high": 0.5}
    assert parse_config(Recipe, data, "").fit is not None


def test_fit_moves_no_key(place):
    _, corpus = place
    given = recipe(40_000)
    plain = lay_road(given.replace(fit=None), 0, corpus=corpus)
    assert [job.call.key for job in plain.jobs] == [job.call.key for job in lay_road(given, 0, corpus=corpus).jobs]
    assert "[fit" not in to_toml(given.replace(fit=None))
    assert parse_config(Recipe, tomllib.loads(to_toml(given)), "") == given
