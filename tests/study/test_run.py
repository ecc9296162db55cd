"""A study run whole: the same scores as independent runs, from fewer steps; killed anywhere, the same result."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mulligan.cli.main import make_app
from mulligan.core.config import parse_config
from mulligan.core.execution import Execution
from mulligan.engine.inline import run_jobs
from mulligan.engine.job import Outside
from mulligan.engine.pool import PoolSize
from mulligan.flow import lay_road
from mulligan.recipe import Recipe, to_toml
from mulligan.store.stage_call import OutsideInput
from mulligan.store.store import Store
from mulligan.study.config import load_study
from mulligan.study.execute import RESULT, STATUS, read_json, run_study, study_folder
from mulligan.study.plan import cost_of, lay_study
from toy import recipe_data, write_corpus

STUDY = """
question = "Do late QAT and SWA help each other?"
phase = "explore"
recipe = "{recipe}"
seeds = [0, 1, 2]
budget = {{kind = "steps"}}
design = {{kind = "full-factorial"}}
margin_bpb = 0.01
metric = {{point = "quantized", windows = "sliding", context_len = 8, stride = 2}}
secondary = [
    {{kind = "difference", name = "gap", of = {{point = "quantized", windows = "flat"}}, minus = {{point = "averaged", windows = "flat"}}}},
    {{kind = "score", name = "raw", of = {{point = "raw", windows = "flat"}}}},
    {{kind = "payload-bytes"}},
    {{kind = "milliseconds-per-step"}},
]
[factors.qat.levels]
off = {{"train.fake_quantize" = {{kind = "off"}}}}
on = {{"train.fake_quantize" = {{kind = "parameter-swap", start = {{kind = "lr-scale-below", value = 0.7}}}}}}
[factors.swa.levels]
off = {{average = {{kind = "last"}}}}
on = {{average = {{kind = "swa", start = {{kind = "lr-scale-below", value = 0.4}}, every_steps = 1}}}}
"""  # noqa: E501


PROGRESS = {
    "cells": 12,
    "cells_done": 3,
    "steps": 48,
    "steps_done": 20,
    "steps_per_second": 2.5,
    "seconds": 8.0,
    "seconds_left": 9.0,
    "stages_failed": 0,
    "running": ["train, seed 1 4/12 loss 3"],
}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A toy study and its corpus: folder, study file, corpus."""
    folder = tmp_path_factory.mktemp("study")
    made = write_corpus(folder / "corpus")
    (folder / "toy.toml").write_text(to_toml(parse_config(Recipe, recipe_data(), "")))
    (folder / "study.toml").write_text(STUDY.format(recipe=folder / "toy.toml"))
    return folder, folder / "study.toml", Outside(made.folder, OutsideInput("corpus", made.digest))


@pytest.fixture(scope="module")
def finished(place, tmp_path_factory):
    """The laid study, its store and its result, run in a pool of two."""
    _, file, corpus = place
    laid, store = lay_study(load_study(file), corpus), Store(tmp_path_factory.mktemp("store"))
    before = cost_of(laid, store)
    return laid, store, run_study(laid, store, PoolSize(2, 1)), before


def scores(result):
    return {(cell["arm"], cell["seed"]): cell["values"]["primary"] for cell in result["cells"]}


def without_clocks(result):
    """The result without what a clock or a machine wrote into it."""
    slow = "milliseconds-per-step"
    cells = [
        {**cell, "values": {name: value for name, value in cell["values"].items() if name != slow}, "artifact": None}
        for cell in result["cells"]
    ]
    return {**result, "cells": cells, "secondary": [metric for metric in result["secondary"] if metric["name"] != slow]}


def test_twelve_cells_are_bit_identical_to_twelve_runs_from_at_most_40_percent_of_the_steps(finished, tmp_path):
    laid, store, result, before = finished
    assert len(result["cells"]) == 12
    for cell in laid.cells:
        alone = Store(tmp_path / f"{cell.arm.name}-{cell.seed}")
        road = lay_road(cell.arm.recipe, cell.seed, corpus=laid.jobs[0].sources["corpus"])
        run_jobs(road.jobs, alone, Execution())
        taken = [job for job in cell.road.jobs if job.wanted]
        left = [job for job in road.jobs if job.wanted and job.call.key not in {other.call.key for other in taken}]
        assert left  # a study takes only the readings that its metrics name
        assert {job.call.stage for job in left} == {"evaluate"}
        for job in taken:
            assert store.open(job.call).digest == alone.open(job.call).digest, (cell.arm.name, cell.seed, job.name)
    assert result["steps"]["without_sharing"] == 12 * 12
    assert result["steps"]["executed"] == before.steps_to_run <= 0.4 * 12 * 12


def test_the_result_holds_every_cell_and_what_statistics_say(finished):
    _, _, result, _ = finished
    assert {cell["status"] for cell in result["cells"]} == {"done"}
    assert set(result["primary"]["verdicts"]) == {"qat=off, swa=on", "qat=on, swa=off", "qat=on, swa=on"}
    assert len(result["primary"]["effects"]["interactions"]) == 1
    assert {metric["name"] for metric in result["secondary"]} == {"gap", "raw", "payload-bytes", "milliseconds-per-step"}
    values = scores(result)
    by_hand = [
        values["qat=on, swa=on", seed]
        - values["qat=on, swa=off", seed]
        - values["qat=off, swa=on", seed]
        + values["qat=off, swa=off", seed]
        for seed in (0, 1, 2)
    ]
    assert result["primary"]["effects"]["interactions"][0]["estimate"] == pytest.approx(sum(by_hand) / 3, abs=1e-12)
    from scipy.stats import ttest_1samp

    expected = ttest_1samp(by_hand, 0.0).confidence_interval(0.95)
    by_seed = result["primary"]["effects"]["interactions"][0]["by_seed"]
    assert (by_seed["low"], by_seed["high"]) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert json.loads(json.dumps(result)) == result


def test_without_an_average_the_gap_is_that_of_the_raw_weights(finished):
    _, _, result, _ = finished
    for cell in result["cells"]:
        readings = {(r["point"], r["windows"]): r["bits_per_byte"] for r in cell["readings"]}
        before = readings.get(("averaged", "flat"), readings["raw", "flat"])
        assert cell["values"]["gap"] == pytest.approx(readings["quantized", "flat"] - before, abs=1e-12)


def test_a_failing_cell_is_recorded_and_the_rest_goes_on(place, tmp_path):
    folder, file, corpus = place
    off = 'off = {average = {kind = "last"}}'
    text = file.read_text().replace(off, off + '\nbroken = {"train.optimizer.scalar_lr" = 1e38}')
    text = text.replace("seeds = [0, 1, 2]", "seeds = [0, 1]")
    (folder / "broken.toml").write_text(text)
    laid, store = lay_study(load_study(folder / "broken.toml"), corpus), Store(tmp_path)
    result = run_study(laid, store, PoolSize(2, 1))
    by_status = {}
    for cell in result["cells"]:
        by_status.setdefault(cell["status"], []).append(cell)
    assert {cell["arm"] for cell in by_status["failed"]} == {"qat=off, swa=broken", "qat=on, swa=broken"}
    assert all("DivergedError" in cell["error"] for cell in by_status["failed"])
    assert len(by_status["done"]) == 8
    assert "qat=off, swa=broken" not in result["primary"]["verdicts"]
    assert "qat=off, swa=on" in result["primary"]["verdicts"]


def command(place, store):
    _, file, corpus = place
    arguments = ["study", "run", str(file), "--data", str(corpus.path), "--store", str(store), "--workers", "2"]
    return [sys.executable, "-m", "mulligan", *arguments, "--segment-seconds", "0.000001", "--json"]


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_for(condition, seconds=60.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@pytest.mark.skipif(sys.platform != "linux", reason="finds the workers in /proc")
@pytest.mark.parametrize("victim", ["worker", "parent"])
def test_killed_in_the_middle_and_run_again_the_result_is_the_same(place, finished, tmp_path, victim):
    laid, _, expected, _ = finished
    store = tmp_path / "store"
    running = subprocess.Popen(command(place, store), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    kept = Store(store)
    written = study_folder(laid, kept) / STATUS
    wait_for(lambda: written.exists() and read_json(written)["steps_done"] >= 9)
    status = read_json(study_folder(laid, kept) / STATUS)
    assert (status["cells"], status["steps"], status["stages_failed"]) == (12, 48, 0)
    assert 9 <= status["steps_done"] <= 48
    assert len(status["running"]) <= 2
    workers = children(running.pid)
    os.kill(workers[-1] if victim == "worker" else running.pid, signal.SIGKILL)
    out, err = running.communicate(timeout=120)
    if victim == "parent":
        wait_for(lambda: not any(os.path.exists(f"/proc/{worker}") for worker in workers))
        assert not (study_folder(laid, kept) / RESULT).exists()
        again = subprocess.run(command(place, store), capture_output=True, text=True, check=False)
        out, err = again.stdout, again.stderr
    result = json.loads(out)
    replayed = result["steps"].pop("executed") - 48
    assert 0 <= replayed <= 2, err  # a worker killed between a state and its average runs that segment, a step here, again
    assert {**without_clocks(result), "steps": {"executed": 48, **result["steps"]}} == without_clocks(expected)
    assert Store(store).reruns() == []
    assert Store(store).verify() == []


def test_the_command_line_plans_runs_and_tells(place, finished, capsys):
    _, file, corpus = place
    _, store, result, _ = finished
    options = [str(file), "--data", str(corpus.path), "--store", str(store.root)]
    app = make_app()
    assert app(["study", "plan", *options, "--price-per-hour", "2", "--json"], exit_on_error=False) == 0
    plan = json.loads(capsys.readouterr().out)
    assert (plan["steps_to_run"], plan["steps_without_sharing"], plan["stages_to_run"]) == (0, 144, 0)
    assert len(plan["arms"]) == 4
    assert plan["power"]["interaction"]["seeds_for_margin"] >= 2
    assert app(["study", "plan", *options], exit_on_error=False) == 0
    assert "12 without" not in capsys.readouterr().out
    assert app(["study", "run", *options, "--json"], exit_on_error=False) == 0
    assert scores(json.loads(capsys.readouterr().out)) == scores(result)
    assert app(["study", "run", *options], exit_on_error=False) == 0
    assert "qat=on, swa=on" in capsys.readouterr().out
    assert app(["study", "status", *options, "--json"], exit_on_error=False) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"cells": 12, "cells_done": 12, "cells_failed": 0, "is_running": False, "progress": None}
    (study_folder(finished[0], store) / STATUS).write_text(json.dumps({**PROGRESS, "updated": time.time()}))
    assert app(["study", "status", *options], exit_on_error=False) == 0
    assert "about 9 s left: 3 of 12 cells, 20 of 48 steps at 2.5 a second; train, seed 1 4/12 loss 3" in capsys.readouterr().out
    (study_folder(finished[0], store) / STATUS).write_text(json.dumps({**PROGRESS, "updated": time.time() - 60}))
    assert app(["study", "status", *options], exit_on_error=False) == 0
    assert "not running" in capsys.readouterr().out


def test_a_metric_that_names_no_reading_is_refused_before_anything_runs(place):
    folder, file, corpus = place
    (folder / "lost.toml").write_text(file.read_text().replace("context_len = 8, stride = 2", "context_len = 9"))
    with pytest.raises(ValueError, match="names 0 readings"):
        lay_study(load_study(folder / "lost.toml"), corpus)


def test_200_arms_of_scoring_levers_are_planned_in_a_moment(place, tmp_path):
    """Fewer than two seconds are promised; here the work is counted, not the clock: one training, one key per stage."""
    folder, file, corpus = place
    values = ", ".join(f"[{{kind = 'sliding', context_len = {n}, stride = 1}}]" for n in range(2, 202))
    start = file.read_text().split("[factors")[0].replace('"full-factorial"', '"sweep"')
    start = start.replace(", context_len = 8, stride = 2", "").split("secondary")[0]
    text = f'{start}\n[factors.context]\npath = "evaluate.windows"\nvalues = [{values}]\n'
    (folder / "many.toml").write_text(text)
    laid, store = lay_study(load_study(folder / "many.toml"), corpus), Store(tmp_path)
    assert len(laid.arms) == 200
    assert len([job for job in laid.jobs if job.call.stage == "train"]) == 3
    assert cost_of(laid, store).steps_to_run == 36


def test_weights_that_are_given_stand_in_for_training(place, finished, tmp_path):
    folder, file, corpus = place
    laid, store, _, _ = finished
    raw = [next(job for job in cell.road.jobs if job.name == "raw") for cell in laid.cells if cell.arm is laid.arms[0]]
    files = [str(store.open(job.call).folder / "weights.safetensors") for job in raw]
    start = file.read_text().split("[factors")[0].replace("seeds = [0, 1, 2]", f"seeds = [0, 1, 2]\nweights = {files}")
    bits = '\n[factors.bits]\npath = "grid.families.0.format.bits"\nvalues = [6, 4]\n'
    start = start.split("secondary = [")[0] + 'secondary = [{kind = "milliseconds-per-step"}]\n'
    (folder / "given.toml").write_text(start + bits)
    (folder / "given.toml").write_text((folder / "given.toml").read_text().replace('"full-factorial"', '"sweep"'))
    given = lay_study(load_study(folder / "given.toml"), corpus)
    assert {job.call.stage for job in given.jobs} == {"quantize", "pack", "evaluate"}
    result = run_study(given, Store(tmp_path), PoolSize(2, 1))
    assert result["steps"] == {"executed": 0, "without_sharing": 0}
    assert result["primary"]["contrasts"]["bits=4"]["n"] == 3
    expected = {seed: value for (arm, seed), value in scores(finished[2]).items() if arm == "qat=off, swa=off"}
    assert {seed: value for (arm, seed), value in scores(result).items() if arm == "bits=6"} == expected
    training = bits.replace("grid.families.0.format.bits", "train.grad_clip_norm").replace("[6, 4]", "[0.0, 1.0]")
    (folder / "given.toml").write_text((folder / "given.toml").read_text().replace(bits, training))
    with pytest.raises(ValueError, match="acts on none of them"):
        lay_study(load_study(folder / "given.toml"), corpus)


def frozen(folder, text, corpus):
    """Write a confirming study with the hash that it is asked for; return its path."""
    path = folder / "confirm.toml"
    path.write_text(text)
    with pytest.raises(ValueError, match="frozen") as refused:
        lay_study(load_study(path), corpus)
    path.write_text(f"frozen = {str(refused.value).split('frozen = ')[1].split(' into')[0]}\n{text}")
    return path


def test_a_study_confirms_on_seeds_that_nobody_has_looked_at(place, finished):
    folder, file, corpus = place
    _, store, _, _ = finished
    text = file.read_text().replace('"explore"', '"confirm"').replace("[0, 1, 2]", "[2, 3, 4]")
    path = frozen(folder, text.split("[factors.swa")[0].replace('"full-factorial"', '"sweep"'), corpus)
    with pytest.raises(ValueError, match=r"seeds \[2\] were explored on before .* such as 5"):
        run_study(lay_study(load_study(path), corpus), store, PoolSize(1, 1))


def test_a_study_is_frozen_with_its_recipe_and_corpus(place, tmp_path):
    folder, file, corpus = place
    (tmp_path / "toy.toml").write_text((folder / "toy.toml").read_text())
    text = file.read_text().replace('"explore"', '"confirm"').replace(str(folder / "toy.toml"), str(tmp_path / "toy.toml"))
    path = frozen(tmp_path, text, corpus)
    laid = lay_study(load_study(path), corpus)
    other = Outside(corpus.path, OutsideInput("corpus", "1" * 64))
    with pytest.raises(ValueError, match="frozen"):
        lay_study(load_study(path), other)
    (tmp_path / "toy.toml").write_text((tmp_path / "toy.toml").read_text().replace("batch_tokens = 16", "batch_tokens = 32"))
    with pytest.raises(ValueError, match="frozen"):
        lay_study(load_study(path), corpus)
    assert laid.hash in path.read_text()


def test_two_corpora_are_two_studies(place, finished, tmp_path):
    """They share a file, and neither a result nor a record: gc of one does not take the other's values."""
    _, file, corpus = place
    laid, _, _, _ = finished
    made = write_corpus(tmp_path / "other")
    other = Outside(made.folder, OutsideInput("corpus", "2" * 64))
    assert lay_study(load_study(file), other).hash != laid.hash == lay_study(load_study(file), corpus).hash


def test_gc_keeps_what_a_study_needs(finished):
    laid, store, result, _ = finished
    store.gc()
    assert all(store.has(job.call) for job in laid.jobs)
    assert run_study(laid, store, PoolSize(1, 1)) == result
