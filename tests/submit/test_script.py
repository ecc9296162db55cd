"""The one file of a toy recipe, where none of our modules can be imported, gives the bytes and the scores of `mulligan run`."""

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mulligan
from mulligan.cli.main import make_app
from mulligan.core.canonical import digest
from mulligan.core.config import parse_config
from mulligan.recipe import Recipe, load_recipe, to_toml
from mulligan.submit.script import main as script_main
from toy import recipe_data, write_corpus

ALONE = """
import importlib.abc, runpy, sys
class Nothing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"mulligan", "pydantic", "safetensors", "pyarrow", "filelock", "libcst"}:
            raise ImportError(f"{name} is not to be had here")
sys.meta_path.insert(0, Nothing())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
SWA = {"kind": "swa", "start": {"kind": "lr-scale-below", "value": 0.8}, "every_steps": 1}
LATE_QAT = {"kind": "parameter-swap", "start": {"kind": "lr-scale-below", "value": 0.6}}
GPTQ = {"kind": "gptq", "calibration": {"kind": "train-split", "num_sequences": 4, "seq_len": 8}}
YARN = {"kind": "yarn", "from_len": 4, "to_len": 8}
SGD = {"kind": "sgd", "chunk_tokens": 64, "lr": 0.1}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("script")
    write_corpus(folder / "corpus")
    return folder


def run(arguments, capsys):
    capsys.readouterr()
    assert make_app()([*map(str, arguments), "--json"], exit_on_error=False) == 0
    return json.loads(capsys.readouterr().out)


def script(path, folder, **variables):
    """Run a script with nothing of ours to import; return its log."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [sys.executable, "-c", ALONE, str(path)], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("form", "changes"),
    [
        ("packed", {"average": SWA}),
        (
            "readable",
            {
                "average": SWA,
                "quantize": GPTQ,
                "evaluate.adaptation": SGD,
                "train.fake_quantize": LATE_QAT,
                "evaluate.position_extension": YARN,
            },
        ),
    ],
    ids=["packed", "readable with levers"],
)
def test_the_one_file_gives_what_run_gave(place, tmp_path, capsys, form, changes):
    data = recipe_data()
    for path, value in changes.items():
        part = data
        *way, last = path.split(".")
        for name in way:
            part = part[name]
        part[last] = value
    recipe = tmp_path / "toy.toml"
    recipe.write_text(to_toml(parse_config(Recipe, data, "")))
    options = ["--data", place / "corpus", "--store", tmp_path / "store"]
    ran = run(["run", recipe, *options, "--seed", "3", "--threads", "1"], capsys)
    built = run(
        ["submit", "build", "toy-seed3", "--store", tmp_path / "store", "--out", tmp_path / "out", "--form", form], capsys
    )
    path = tmp_path / "out" / "train_gpt.py"
    assert built["bytes"][form] == path.stat().st_size
    assert built["bytes"]["packed"] == ran["artifact"]["code_bytes"]
    assert built["bytes"]["packed"] < built["bytes"]["minified"] < built["bytes"]["readable"]
    log = script(path, tmp_path, DATA_PATH=str(place / "corpus"), SEED="3")
    found = dict(re.findall(r"^(\w+)_exact (val_loss:\S+ val_bpb:\S+)", log, re.M))
    scores = [f"val_loss:{reading['nats_per_token']:.8f} val_bpb:{reading['bits_per_byte']:.8f}" for reading in ran["readings"]]
    expected = dict(zip([f"{reading['point']}_{reading['windows']}" for reading in ran["readings"]], scores, strict=True))
    assert found == {**expected, "final": scores[-1]}
    with open(ran["artifact"]["path"], "rb") as file:
        assert f"sha256:{hashlib.sha256(file.read()).hexdigest()}" in log
    assert f"recipe sha256:{digest(load_recipe(str(recipe)).canonical())} seed:3" in log
    (tmp_path / "log").write_text(log)
    folder = [
        "--out",
        tmp_path / "folder",
        "--log",
        tmp_path / "log",
        "--track",
        "non-record",
        "--author",
        "A",
        "--github-id",
        "a",
    ]
    run(["submit", "build", "toy-seed3", "--store", tmp_path / "store", "--form", form, *folder], capsys)
    capsys.readouterr()
    store = tmp_path / ("store" if form == "packed" else "elsewhere")  # where the artifact is, the judge takes half a minute
    checked = ["submit", "check", tmp_path / "folder", "--store", store, "--data", place / "corpus", "--json"]
    code = make_app()([*map(str, checked)], exit_on_error=False)
    said = capsys.readouterr().out
    assert code == 7, [f for f in json.loads(said)["findings"] if f["verdict"] == "fail"]
    not_checked = ["one factor"] if form == "packed" else ["one factor", "judge"]
    assert json.loads(said)["missing"]["non-record"] == {"fail": [], "not checked": not_checked}
    assert f"code form:{form} bytes:{path.stat().st_size} sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}" in log


def test_what_a_recipe_does_not_use_is_not_in_its_file(place, tmp_path, capsys):
    recipe = tmp_path / "toy.toml"
    recipe.write_text(to_toml(parse_config(Recipe, recipe_data(), "")))
    options = ["--data", place / "corpus", "--store", tmp_path / "store"]
    run(["run", recipe, *options], capsys)
    run(["submit", "build", "toy", "--store", tmp_path / "store", "--out", tmp_path / "out", "--form", "readable"], capsys)
    code = (tmp_path / "out" / "train_gpt.py").read_text()
    compile(code, "train_gpt.py", "exec")
    assert "class GPT(nn.Module)" in code
    assert '"""Return the final normalised stream' in code
    absent = (
        "pydantic",
        "safetensors",
        "pyarrow",
        "class EmaObserver",
        "def gptq(",
        "class SlotScorer",
        "class ValueEmbeddingTable",
    )
    assert [word for word in absent if word in code] == []
    assert re.search(r"^(from|import) mulligan", code, re.M) is None


MAIN = """
import json, sys
from mulligan.core.config import parse_config
from mulligan.recipe import Recipe
from mulligan.submit.script import main
main(parse_config(Recipe, json.loads(sys.argv[1]), ""), "readable")
"""
LONG = {"train": {**recipe_data()["train"], "budget": {"kind": "steps", "steps": 100_000}}, "average": {"kind": "last"}}


def main_of(data, folder, *launcher, **variables):
    """Run the main function of the one file with mulligan at hand; return its exit code, log and errors."""
    (folder / "main.py").write_text(MAIN)
    ours = str(Path(mulligan.__file__).parents[1])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": ours, **variables}
    command = [sys.executable, *launcher, str(folder / "main.py"), json.dumps(data)]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=100)
    return done.returncode, done.stdout, done.stderr


def test_two_processes_end_together_where_the_clock_says(place, tmp_path):
    """Ranks that asked their own clocks would wait for one another for ever."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    variables = {"DATA_PATH": str(place / "corpus"), "MAX_WALLCLOCK_SECONDS": "0.5"}
    code, log, errors = main_of(recipe_data(**LONG), tmp_path, *launcher, **variables)
    assert code == 0, errors
    seconds, steps = re.search(r"^train_seconds:(\S+) steps:(\d+)$", log, re.M).groups()
    assert float(seconds) >= 0.5
    assert 0 < int(steps) < 100_000
    assert len(re.findall("^final_exact", log, re.M)) == 1


def run_here(data, folder, monkeypatch, capsys, **variables):
    """Run the main function in this process; return its log."""
    for name, value in {"OMP_NUM_THREADS": "1", **variables}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", [__file__])
    monkeypatch.chdir(folder)
    script_main(parse_config(Recipe, data, ""), "readable")
    return capsys.readouterr().out


def test_the_clock_of_the_environment(place, tmp_path, monkeypatch, capsys):
    """0 is none; one that ends a budget in seconds earlier makes another recipe, a later one changes nothing."""

    def digest_said(data, seconds):
        log = run_here(data, tmp_path, monkeypatch, capsys, DATA_PATH=str(place / "corpus"), MAX_WALLCLOCK_SECONDS=seconds)
        return re.search(r"^recipe sha256:(\w+)", log, re.M)[1], re.search(r"steps:(\d+)$", log, re.M)[1]

    toy = recipe_data()
    assert digest_said(toy, "0") == (digest(parse_config(Recipe, toy, "").canonical()), "12")
    timed = {"budget": {"kind": "seconds", "seconds": 0.2}, "warmdown": {"kind": "seconds", "seconds": 0.1}}
    recipes = {seconds: {**timed, "budget": {"kind": "seconds", "seconds": seconds}} for seconds in (0.2, 0.15)}
    data = {s: recipe_data(train={**recipe_data()["train"], **given}, average={"kind": "last"}) for s, given in recipes.items()}
    digests = {s: digest(parse_config(Recipe, given, "").canonical()) for s, given in data.items()}
    assert digest_said(data[0.2], "600")[0] == digests[0.2]
    assert digest_said(data[0.2], "0.15")[0] == digests[0.15]


def test_windows_of_one_kind_have_names_of_their_own(place, tmp_path, monkeypatch, capsys):
    """A log keeps the last reading of a name."""
    windows = [{"kind": "sliding", "context_len": length, "stride": 2} for length in (4, 8)]
    data = recipe_data(evaluate={**recipe_data()["evaluate"], "windows": windows})
    log = run_here(data, tmp_path, monkeypatch, capsys, DATA_PATH=str(place / "corpus"))
    names = [f"{point}_sliding_{length}_2" for point in ("raw", "averaged", "quantized") for length in (4, 8)]
    assert re.findall(r"^(\w+)_exact", log, re.M) == [*names, "final"]


def test_what_is_wrong_with_the_data_is_said_in_a_line(tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit, match=r"train_gpt.py: nowhere: no train shards there.*DATA_PATH=DIR"):
        run_here(recipe_data(), tmp_path, monkeypatch, capsys, DATA_PATH="nowhere")
