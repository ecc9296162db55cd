"""Killed anywhere, run again: the same values as an undisturbed run. Two at once on one store: one result, no error."""

import json
import signal
import subprocess
import sys

import pytest

from mulligan.cli.main import make_app
from mulligan.core.config import parse_config
from mulligan.recipe import Recipe, to_toml
from mulligan.store.store import Store
from toy import recipe_data, write_corpus

STAGES = ("train", "observe", "average", "quantize", "pack", "evaluate")

RUN = """
import os, signal, sys
from mulligan.cli.main import main
from mulligan.engine import training
from mulligan.store.store import Store

stage, moment, count = sys.argv.pop(), sys.argv.pop(), int(sys.argv.pop())
publish, seen = Store.publish, 0

def killing(self, call, write, provenance):
    global seen
    seen += call.stage == stage
    if call.stage == stage and seen == count:
        def torn(folder):
            write(folder)
            os.kill(os.getpid(), signal.SIGKILL)
        publish(self, call, torn if moment == "during" else write, provenance)
        os.kill(os.getpid(), signal.SIGKILL)
    return publish(self, call, write, provenance)

Store.publish = killing
main()
"""


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    """The arguments of a toy run but for the store; cuts after every step."""
    folder = tmp_path_factory.mktemp("toy")
    write_corpus(folder / "corpus")
    (folder / "toy.toml").write_text(to_toml(parse_config(Recipe, recipe_data(), "")))
    return [
        "run",
        str(folder / "toy.toml"),
        "--data",
        str(folder / "corpus"),
        "--threads",
        "1",
        "--segment-seconds",
        "0.000001",
    ]


def mulligan(*arguments):
    return subprocess.run([sys.executable, "-m", "mulligan", *arguments], capture_output=True, text=True, check=False)


def hear_interrupts():
    """Undo what a shell does to background jobs, which is inherited: there SIGINT is ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def digests(store):
    """The digest of every value that a run names, by key."""
    kept = Store(store)
    assert kept.verify() == []
    assert kept.reruns() == []
    (record,) = (store / "runs").glob("*.json")
    keys = json.loads(record.read_text())["keys"]
    return {entry.folder.name: entry.digest for entry in kept.entries() if entry.folder.name in keys}


@pytest.fixture(scope="module")
def undisturbed(command, tmp_path_factory):
    store = tmp_path_factory.mktemp("undisturbed") / "store"
    assert make_app()([*command, "--store", str(store)], exit_on_error=False) == 0
    return digests(store)


@pytest.mark.parametrize(("stage", "moment"), [*((stage, "during") for stage in STAGES), ("train", "after")])
def test_a_killed_run_goes_on_to_the_same_digests(command, undisturbed, tmp_path, stage, moment):
    store = tmp_path / "store"
    count = "3" if stage in ("train", "observe") else "1"
    killed = subprocess.run(
        [sys.executable, "-c", RUN, *command, "--store", str(store), count, moment, stage],
        capture_output=True,
        text=True,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert make_app()([*command, "--store", str(store)], exit_on_error=False) == 0
    assert digests(store) == undisturbed


@pytest.mark.parametrize(
    "average",
    [
        '{kind = "ema", decay = 0.8}',
        '{kind = "swa", start = {kind = "at-step", step = 3}, every_steps = 1}',
        '{kind = "lawa", num_snapshots = 3, every_steps = 1}',
    ],
)
def test_a_run_killed_inside_an_averages_window_goes_on_to_the_same_digests(command, tmp_path, average):
    arguments = [*command, "--set", f"average={average}"]
    for store in ("whole", "cut"):
        if store == "cut":
            line = [sys.executable, "-c", RUN, *arguments, "--store", str(tmp_path / store), "8", "after", "observe"]
            assert subprocess.run(line, capture_output=True, check=False).returncode == -signal.SIGKILL
        assert make_app()([*arguments, "--store", str(tmp_path / store)], exit_on_error=False) == 0
    assert digests(tmp_path / "cut") == digests(tmp_path / "whole")


def test_an_interrupted_run_ends_with_code_130_and_goes_on(command, undisturbed, tmp_path):
    store = tmp_path / "store"
    code = RUN.replace("SIGKILL", "SIGINT")
    line = [sys.executable, "-c", code, *command, "--store", str(store), "3", "after", "train"]
    interrupted = subprocess.run(line, capture_output=True, text=True, check=False, preexec_fn=hear_interrupts)
    assert interrupted.returncode == 130, interrupted.stderr
    assert "go on" in interrupted.stderr
    assert "Traceback" not in interrupted.stderr
    assert make_app()([*command, "--store", str(store)], exit_on_error=False) == 0
    assert digests(store) == undisturbed


def test_two_runs_at_once_on_one_store_make_one_result(command, undisturbed, tmp_path):
    store = tmp_path / "store"
    line = [sys.executable, "-m", "mulligan", *command, "--store", str(store)]
    runs = [subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [run.communicate(timeout=120) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], outputs
    assert digests(store) == undisturbed


def test_a_flipped_byte_in_the_store_ends_with_code_4_and_a_name(command, tmp_path):
    store = tmp_path / "store"
    assert make_app()([*command, "--store", str(store)], exit_on_error=False) == 0
    (artifact,) = store.glob("objects/*/*/artifact.bin")
    content = bytearray(artifact.read_bytes())
    content[len(content) // 2] ^= 1
    artifact.write_bytes(content)
    for arguments in (["store", "verify", "--store", str(store)], [*command, "--store", str(store)]):
        done = mulligan(*arguments)
        assert done.returncode == 4, done.stderr
        assert "artifact.bin" in done.stderr
    inspected = mulligan("inspect", str(artifact))
    assert inspected.returncode == 2
    assert "sha256" in inspected.stderr
