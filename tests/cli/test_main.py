"""The command line: help at once, one JSON object on ask, and the exit codes that the README names."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from mulligan.cli.main import COMMANDS, GROUPS, main, make_app
from mulligan.core.config import parse_config
from mulligan.recipe import Recipe, load_recipe, shipped_recipes, to_toml
from toy import recipe_data, write_corpus


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A toy recipe, corpus and store, as arguments."""
    folder = tmp_path_factory.mktemp("cli")
    write_corpus(folder / "corpus")
    (folder / "toy.toml").write_text(to_toml(parse_config(Recipe, recipe_data(), "")))
    return [str(folder / "toy.toml"), "--data", str(folder / "corpus"), "--store", str(folder / "store")]


def run(monkeypatch, *arguments):
    """Call `main` with arguments; return the exit code."""
    monkeypatch.setattr(sys, "argv", ["mulligan", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code


def as_json(monkeypatch, capsys, *arguments):
    assert run(monkeypatch, *arguments, "--json") == 0
    return json.loads(capsys.readouterr().out)


def as_json_with_warning(monkeypatch, capsys, *arguments):
    assert run(monkeypatch, *arguments, "--json") == 0
    printed = capsys.readouterr()
    assert "warning" in printed.err
    return json.loads(printed.out)


def test_help_imports_nothing_heavy():
    heavy = "{'torch', 'pyarrow', 'pydantic', 'numpy'}"
    code = (
        f"import sys; from mulligan.cli.main import make_app; make_app()(['--help']); print(sorted({heavy} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")
    for name in (*COMMANDS, *GROUPS):
        assert name in done.stdout


@pytest.mark.parametrize("name", [*COMMANDS, *GROUPS])
def test_every_command_has_help(name, capsys):
    make_app()([name, "--help"])
    assert name in capsys.readouterr().out


def test_run_as_json_has_the_promised_shape(toy, monkeypatch, capsys):
    result = as_json(monkeypatch, capsys, "run", *toy)
    assert {"name", "recipe", "seed", "readings", "average", "artifact", "stages"} <= result.keys()
    assert (Path(toy[4]) / "runs" / f"{result['name']}.json").is_file()
    assert [(r["point"], r["windows"]) for r in result["readings"]] == [
        (point, windows) for point in ("raw", "averaged", "quantized") for windows in ("flat", "sliding")
    ]
    for reading in result["readings"]:
        assert {"point", "windows", "context_len", "stride", "nats_per_token", "bits_per_byte"} <= reading.keys()
        assert {"scored_tokens", "total_bytes", "bytes_kind"} <= reading.keys()
    assert result["average"].keys() == {"kind", "num_snapshots", "first_step", "last_step", "every_steps"}
    artifact = result["artifact"]
    assert artifact["total_bytes"] == artifact["payload_bytes"] + artifact["code_bytes"]
    assert artifact["budget_bytes"] == 16_000_000
    assert artifact["fits"] is True
    assert all({"stage", "key", "status", "seconds"} <= stage.keys() for stage in result["stages"])
    again = as_json(monkeypatch, capsys, "run", *toy)
    assert {stage["status"] for stage in again["stages"]} == {"hit"}
    assert again["readings"] == result["readings"]


def test_plan_tells_hit_from_miss_and_why(toy, monkeypatch, capsys):
    as_json(monkeypatch, capsys, "run", *toy)
    plan = as_json(monkeypatch, capsys, "plan", *toy, "--set", "pack.codec.level=1")
    status = {stage["name"]: stage["status"] for stage in plan["stages"]}
    assert status["quantize"] == "hit"
    assert status["pack"] == "miss"
    why = {stage["name"]: stage["why"] for stage in plan["stages"]}
    assert "config.codec.level" in why["pack"]
    longer = as_json(monkeypatch, capsys, "plan", *toy, "--set", "train.budget.steps=14")
    (train,) = [stage for stage in longer["stages"] if stage["name"] == "train"]
    assert train["status"] == "miss"
    assert train["seconds"] > 0


def test_a_study_takes_changes_and_says_them_in_the_next_line(toy, monkeypatch, capsys, tmp_path):
    file = tmp_path / "study.toml"
    file.write_text(
        f'question = "?"\nphase = "explore"\nrecipe = "{toy[0]}"\nseeds = [0, 1]\nbudget = {{kind = "steps"}}\n'
        'design = {kind = "sweep"}\nmargin_bpb = 0.1\nmetric = {point = "quantized", windows = "sliding"}\n'
        '[factors.softcap]\npath = "model.logit_softcap"\nvalues = [30.0, 15.0]\n'
    )
    changed = ["study", "plan", file, "--data", toy[2], "--store", tmp_path, "--set", "train.budget.steps=6"]
    assert as_json(monkeypatch, capsys, *changed)["steps_without_sharing"] == 4 * 6
    assert run(monkeypatch, *changed) == 0
    given = f"--data {toy[2]} --set train.budget.steps=6 --store {tmp_path}"
    assert capsys.readouterr().out.rstrip().endswith(f"study run {file} {given}")
    assert run(monkeypatch, "plan", *toy) == 0
    assert capsys.readouterr().out.rstrip().endswith(f"mulligan run {' '.join(toy)}")


def test_evaluate_scores_what_run_scored(toy, monkeypatch, capsys):
    result = as_json(monkeypatch, capsys, "run", *toy)
    corpus = toy[2]
    options = ["--data", corpus, "--windows", "sliding", "--context-len", "8", "--stride", "2", "--threads", "1"]
    scored = as_json(monkeypatch, capsys, "evaluate", result["artifact"]["path"], *options)
    (reading,) = scored["readings"]
    expected = next(r for r in result["readings"] if (r["point"], r["windows"]) == ("quantized", "sliding"))
    assert reading["point"] == "quantized"
    assert reading["bits_per_byte"] == pytest.approx(expected["bits_per_byte"], abs=1e-6)
    by_recipe = as_json(monkeypatch, capsys, "evaluate", result["artifact"]["path"], "--data", corpus, "--recipe", toy[0])
    assert [r["windows"] for r in by_recipe["readings"]] == ["flat", "sliding"]
    changed = ["--data", corpus, "--recipe", toy[0], "--context-len", "4", "--stride", "1"]
    overridden = as_json(monkeypatch, capsys, "evaluate", result["artifact"]["path"], *changed)
    assert [(r["windows"], r["context_len"], r["stride"]) for r in overridden["readings"]] == [
        ("flat", 4, 4),
        ("sliding", 4, 1),
    ]
    stretched = ["--recipe", toy[0], "--set", 'evaluate.position_extension={kind = "ntk", from_len = 4}']
    found = as_json(monkeypatch, capsys, "evaluate", result["artifact"]["path"], "--data", corpus, *stretched)
    assert {r["position_extension"]["kind"] for r in found["readings"]} == {"ntk"}
    fitted = ["--recipe", toy[0], "--set", 'evaluate.temperature={kind = "fitted", train_documents = 3}']
    found = as_json(monkeypatch, capsys, "evaluate", result["artifact"]["path"], "--data", corpus, *fitted)
    assert len({r["temperature"]["value"] for r in found["readings"]}) == 1
    adapting = ["--recipe", toy[0], "--set", 'evaluate.adaptation={kind = "sgd", chunk_tokens = 64, lr = 0.1}']
    found = as_json(monkeypatch, capsys, "evaluate", result["artifact"]["path"], "--data", corpus, *adapting)
    assert [(r["point"], r["windows"]) for r in found["readings"]] == [
        ("quantized", "flat"),
        ("quantized", "sliding"),
        ("adapted", "sliding"),
    ]
    assert found["readings"][2]["adaptation"]["kind"] == "sgd"
    assert found["readings"][1]["bits_per_byte"] == pytest.approx(expected["bits_per_byte"], abs=1e-6)
    assert found["readings"][2]["bits_per_byte"] != found["readings"][1]["bits_per_byte"]
    with monkeypatch.context() as patched:
        patched.setattr("mulligan.engine.ancestry.corpus_behind", lambda file, store: Path(corpus))
        found = as_json(patched, capsys, "evaluate", result["artifact"]["path"], *options[2:])
    assert found["readings"] == scored["readings"]
    assert run(monkeypatch, "evaluate", result["artifact"]["path"], "--store", toy[4]) == 2
    assert "a corpus that is not in the store" in capsys.readouterr().err
    assert run(monkeypatch, "evaluate", result["artifact"]["path"], "--data", corpus, "--context-len", "0") == 2
    for recipe in ([], ["--recipe", toy[0]]):
        flat = ["--data", corpus, *recipe, "--windows", "flat", "--stride", "2"]
        assert run(monkeypatch, "evaluate", result["artifact"]["path"], *flat) == 2
        assert "they stand side by side" in capsys.readouterr().err


def test_weights_stand_in_for_training(toy, monkeypatch, capsys, tmp_path):
    from safetensors.torch import save_file

    from mulligan.model.gpt import GPT

    recipe = parse_config(Recipe, recipe_data(), "")
    save_file(GPT(recipe.model, 5).state_dict(), tmp_path / "checkpoint.safetensors")
    imported = [
        "import-checkpoint",
        tmp_path / "checkpoint.safetensors",
        "--recipe",
        toy[0],
        "--out",
        tmp_path / "w.safetensors",
    ]
    assert as_json(monkeypatch, capsys, *imported)["num_parameters"] > 0
    result = as_json(monkeypatch, capsys, "run", *toy, "--weights", tmp_path / "w.safetensors")
    assert {reading["point"] for reading in result["readings"]} == {"raw", "quantized"}
    assert "train" not in {stage["stage"] for stage in result["stages"]}
    assert run(monkeypatch, *imported) == 2


def test_over_budget_is_code_3_with_the_largest_tensor_first(toy, monkeypatch, capsys):
    assert run(monkeypatch, "run", *toy, "--set", "budget_bytes=1000") == 3
    lines = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("train:")]
    assert "over the budget of 1,000 B" in lines[0]
    assert "tok_emb.weight" in lines[1]
    artifact = as_json(monkeypatch, capsys, "run", *toy)["artifact"]["path"]
    for arguments in (
        ["inspect", artifact, "--budget-bytes", 1000],
        ["evaluate", artifact, *toy[1:3], "--recipe", toy[0], "--set", "budget_bytes=1000"],
    ):
        assert run(monkeypatch, *arguments) == 3
        assert "over the budget of 1,000 B" in capsys.readouterr().err


def test_a_replay_that_misses_the_stored_state_is_told(toy, monkeypatch, capsys):
    late = [*toy, "--set", "average.kind=ema", "--set", "average.decay=0.5"]
    assert as_json(monkeypatch, capsys, "run", *toy)["replay_reproduced_the_state"] is None
    assert as_json(monkeypatch, capsys, "run", *late)["replay_reproduced_the_state"] is True
    other = [*toy, "--set", "average.kind=lawa", "--set", "average.num_snapshots=2", "--set", "average.every_steps=2"]
    monkeypatch.setattr("mulligan.train.trainer.Trainer._clip", lambda self: self.weights["skip_weights"].grad.mul_(2).norm())
    assert as_json_with_warning(monkeypatch, capsys, "run", *other)["replay_reproduced_the_state"] is False


def test_a_diverging_run_is_code_5(toy, monkeypatch, capsys):
    assert run(monkeypatch, "run", *toy, "--set", "train.optimizer.scalar_lr=1e38", "--seed", "3") == 5
    assert "at step" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "tinny"], "Did you mean 'tiny'"),
        (["run", "tiny", "--set", "average.lr_scale_bellow=0.2"], "unknown key"),
        (["run", "tiny", "--set", "model.num_heads=3"], "num_heads = 3"),
        (["run", "tiny", "--data", "/nowhere"], "corpus.json"),
        (["run", "nowhere.toml"], "no such recipe file"),
        (["run", "tiny", "--device", "abacus"], "abacus"),
        (["recipe", "show", "tiny", "--set", "nonsense"], "path=value"),
        (["inspect", "nowhere.bin"], "no such file"),
        (["evaluate", "nowhere.bin", "--data", "nowhere"], "no such file"),
        (["levers", "nosuch"], "No lever"),
        (["levers", "bigramhash"], "Did you mean 'bigram_hash'"),
        (["levers", "yarn"], "Did you mean 'positions'"),
        (["run", "tiny", "--set", "train.budget.steps=true"], "train.budget.steps = True"),
        (["fly"], "fly"),
        (["run", "--warp", "9"], "--warp"),
    ],
)
def test_bad_input_is_code_2_and_a_sentence(arguments, words, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert run(monkeypatch, *arguments) == 2
    error = capsys.readouterr().err
    assert words in error
    assert "Traceback" not in error


def test_levers_and_recipes_are_listed(monkeypatch, capsys):
    listed = as_json(monkeypatch, capsys, "levers")
    assert "tight_swa" in {lever["name"] for lever in listed["levers"]}
    said = {(choice["path"], choice["value"]): choice["settings"] for choice in listed["choices"]}
    assert said["average", "tight-swa"] == {"lr_scale_below": 0.2, "every_steps": 50}
    assert said["model.recurrence", "loop"] == {"first": "(required)", "last": "(required)", "num_repeats": "(required)"}
    assert said["model.skip_gates", "sigmoid"] == {"off": "off"}
    assert as_json(monkeypatch, capsys, "recipe", "show", "baseline")["num_parameters"] == 17_059_912
    assert "tiny" in as_json(monkeypatch, capsys, "recipe", "list")["recipes"]
    last = as_json(monkeypatch, capsys, "recipe", "show", "tiny", "--set", "average.kind=last")
    assert last["average"] == {"kind": "last"}  # another kind starts its table anew
    shown = as_json(monkeypatch, capsys, "recipe", "show", "tiny", "--set", "train.budget.steps=7")
    assert shown["train"]["budget"] == {"kind": "steps", "steps": 7}
    found = as_json(monkeypatch, capsys, "recipe", "diff", "tiny", "tiny", "--set", "train.seq_len=128")
    assert found["differences"] == {"train.seq_len": [256, 128]}


def test_tables_are_printed_for_people(toy, monkeypatch, capsys):
    for arguments in (["run", *toy], ["plan", *toy], ["store", "ls", *toy[3:]], ["levers", "swa"], ["recipe", "list"]):
        assert run(monkeypatch, *arguments) == 0
        assert capsys.readouterr().out.strip()


def test_a_recipe_is_shown_whole_with_the_comment_at_its_head(monkeypatch, capsys):
    """What it does otherwise on purpose, and every value: those that are off, and the names of those that are not set."""
    assert run(monkeypatch, "recipe", "show", "pr-374", "--set", "train.seq_len=1024") == 0
    shown = capsys.readouterr().out
    assert parse_config(Recipe, tomllib.loads(shown), "") == load_recipe("pr-374", ["train.seq_len=1024"])
    head = shipped_recipes()["pr-374"].partition("\n\n")[0]
    assert "late QAT is off, since in the script it never ran" in head
    assert shown.startswith("\n".join(line.rstrip() for line in head.splitlines()) + "\n#\n# 26,993,756 parameters\n")
    for line in (
        "legacy_document_leak = false",
        'skip_gates = "off"',
        "# not set: parallel_from_layer",
        "# not set: data_seed",
    ):
        assert line in shown
    comment = as_json(monkeypatch, capsys, "recipe", "show", "pr-374")["comment"]
    assert [line.strip() for line in comment.splitlines()] == [line.removeprefix("#").strip() for line in head.splitlines()]


def test_a_fit_prints_its_curve_and_code_above_the_reserve_is_code_3(toy, monkeypatch, capsys):
    scale = 'grid.families.0.format.scale={kind="standard-deviations", k=12.0}'
    knob = '{kind="number", path="grid.families.0.format.scale.k", low=2.0, high=60.0}'

    def fitted(reserve):
        fit = f"fit={{budget_bytes={reserve + 10_000}, code_reserve_bytes={reserve}, train_documents=3, knob={knob}}}"
        return [*toy, "--set", scale, "--set", fit]

    planned = as_json(monkeypatch, capsys, "plan", *fitted(100_000))
    assert not any(stage["stage"] == "evaluate" for stage in planned["stages"])
    result = as_json(monkeypatch, capsys, "run", *fitted(100_000))
    artifact, fit = result["artifact"], result["fit"]
    assert artifact["payload_bytes"] + 100_000 + fit["unused_bytes"] == artifact["budget_bytes"] == 110_000
    assert sum(point["values"] == fit["values"] for point in fit["curve"]) == 1
    assert {stage["status"] for stage in result["stages"] if stage["stage"] == "pack"} == {"ran"}
    assert run(monkeypatch, "run", *fitted(100_000)) == 0
    assert "taken" in capsys.readouterr().out
    assert run(monkeypatch, "run", *fitted(2_000)) == 3
    assert "more than fit.code_reserve_bytes = 2,000" in capsys.readouterr().err


def test_a_kind_without_a_card_is_shown_with_its_path_and_settings(monkeypatch, capsys):
    assert run(monkeypatch, "levers", "clip-search") == 0
    shown = capsys.readouterr().out
    assert "grid.families.format.scale = clip-search" in shown
    assert "percentiles = (0.999" in shown


def test_an_error_of_a_whole_recipe_does_not_print_the_recipe(toy, monkeypatch, capsys):
    knob = '{kind="number", path="grid.families.0.format.scale.k", low=2.0, high=60.0}'
    assert run(monkeypatch, "run", *toy, "--set", f"fit={{budget_bytes=9000, code_reserve_bytes=90, knob={knob}}}") == 2
    told = capsys.readouterr().err
    assert told.startswith("mulligan: fit.knob turns")
    assert "standard-deviations" in told
    assert "momentum" not in told


def test_pareto_writes_a_page_and_a_table_with_the_runs_own_point(toy, monkeypatch, capsys, tmp_path):
    result = as_json(monkeypatch, capsys, "run", *toy)
    name = result["name"]
    page, table = tmp_path / "pareto.html", tmp_path / "pareto.csv"
    arguments = [name, *toy[1:], "--points", "3", "--documents", "3", "--out", page, "--csv", table]
    rows = as_json(monkeypatch, capsys, "pareto", *arguments)
    own = [row for row in rows if row["own"]]
    assert [row["payload_bytes"] for row in own] == [result["artifact"]["payload_bytes"]]
    assert sum(row["front"] for row in rows) >= 1
    assert len(table.read_text().splitlines()) == len(rows) + 1
    assert "<svg" in page.read_text()
    assert run(monkeypatch, "pareto", name, "--store", toy[4], "--out", page) == 2
    assert "Give the same one: --data DIR" in capsys.readouterr().err


def test_curves_of_two_readings_of_a_run_weigh_up_to_their_scores(toy, monkeypatch, capsys, tmp_path):
    result = as_json(monkeypatch, capsys, "run", *toy)
    name, more = result["name"], [*toy[1:], "--out", tmp_path / "page.html"]
    rows = as_json(monkeypatch, capsys, "curves", f"{name}:flat raw", f"{name}:flat quantized", "--by", "window", *more)
    first, second = (r for r in result["readings"] if r["windows"] == "flat" and r["point"] in ("raw", "quantized"))
    whole = sum(row["difference"] * row[f"bytes {name}:flat raw"] for row in rows) / first["total_bytes"]
    assert whole == pytest.approx(second["bits_per_byte"] - first["bits_per_byte"], abs=1e-6)
    assert run(monkeypatch, "curves", name, *more) == 2
    assert f"'{name}:flat quantized'" in capsys.readouterr().err
