"""Two processes under torchrun, over gloo: one result, that of one process up to rounding, whatever happens to them."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from mulligan.cli.main import make_app
from mulligan.core.canonical import digest
from mulligan.core.config import parse_config
from mulligan.recipe import Recipe, to_toml
from mulligan.store.store import Store
from mulligan.values.train_state import TrainState
from toy import model_config, recipe_data, train_config, write_corpus

LATE = {
    "model": model_config(
        vocab_size=260, num_layers=3, recurrence={"kind": "loop", "first": 1, "last": 1, "num_repeats": 2}
    ).model_dump(mode="json"),
    "train": train_config(
        24,
        10,
        batch_tokens=64,
        accumulation_steps=2,
        grad_clip_norm=0.5,
        recurrence_start={"kind": "at-step", "step": 5},
        fake_quantize={"kind": "parameter-swap", "start": {"kind": "at-step", "step": 20}},
        sequence_curriculum={"kind": "shorter-first", "seq_len": 4, "until": {"kind": "at-step", "step": 3}},
    ).model_dump(mode="json"),
}
SECONDS = {"budget": {"kind": "seconds", "seconds": 1.0}, "warmdown": {"kind": "seconds", "seconds": 0.5}}

HOOK = """
import hashlib, json, os, signal, sys, time
from pathlib import Path
from mulligan.cli.main import main
from mulligan.train.trainer import Trainer

folder, lost_at, slow = Path(sys.argv.pop()), int(sys.argv.pop()), float(sys.argv.pop())
one_step, state = Trainer._one_step, Trainer.state

def hooked_step(self):
    if self.ranks.rank == 1 and self.step == lost_at:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(slow * self.ranks.rank)
    one_step(self)

def hooked_state(self):
    found = state(self)
    bits = b"".join(tensor.numpy().tobytes() for tensor in [*found.weights.values(), *found.optimizer.values()])
    seen = [found.step, found.elapsed_seconds, hashlib.sha256(bits).hexdigest()]
    (folder / f"rank{self.ranks.rank}.json").write_text(json.dumps(seen))
    return found

Trainer._one_step, Trainer.state = hooked_step, hooked_state
try:
    main()
except SystemExit as ended:  # torchrun may see the other process's end first, and end this one by a signal
    (folder / f"code{os.environ['RANK']}").write_text(str(ended.code))
    raise
"""


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    """The arguments of a run of each recipe; segments end wherever they may."""
    folder = tmp_path_factory.mktemp("toy")
    write_corpus(folder / "corpus")
    found = {}
    for name, changes in {"plain": {}, "late": LATE}.items():
        (folder / f"{name}.toml").write_text(to_toml(parse_config(Recipe, recipe_data(**changes), "")))
        found[name] = ["run", str(folder / f"{name}.toml"), "--data", str(folder / "corpus")]
        found[name] += ["--threads", "1", "--device", "cpu", "--segment-seconds", "0.000001"]
    return found


def torchrun(target, *arguments):
    """Run `target` in two processes, whose ends torchrun notices within a second and not at once."""
    options = ["--standalone", "--nproc_per_node=2", "--monitor-interval=1"]
    launch = [sys.executable, "-m", "torch.distributed.run", *options, *target]
    return subprocess.run([*launch, *arguments], capture_output=True, text=True, check=False, timeout=120)


def hooked(tmp_path, command, slow=0.0, lost_at=-1):
    """Run `command` in two processes, the second slower by some seconds a step, or killed at a step."""
    (tmp_path / "hook.py").write_text(HOOK)
    return torchrun([str(tmp_path / "hook.py")], *command, str(slow), str(lost_at), str(tmp_path))


def exit_codes(folder):
    """The exit codes of the hooked processes that ended of themselves, by rank."""
    return {int(path.name[4:]): int(path.read_text()) for path in folder.glob("code?")}


def states(folder):
    """The manifest and the value of every stored training state, by step."""
    entries = [entry for entry in Store(folder).entries() if entry.manifest["header"]["stage"] == "train"]
    found = [(entry.manifest, TrainState.load(entry.folder)) for entry in entries]
    return {state.step: (manifest, state) for manifest, state in found}


def assert_close(one, two, atol):
    """Weights, moments and metrics of two states are equal but for rounding."""
    assert (one.step, one.data_cursor) == (two.step, two.data_cursor)
    for values, others in ((one.weights, two.weights), (one.optimizer, two.optimizer), (one.metrics, two.metrics)):
        for name, value in values.items():
            assert np.allclose(others[name], value, atol=atol, rtol=1e-4, equal_nan=True), name


@pytest.fixture(scope="module")
def pairs(commands, tmp_path_factory):
    """A store by one process and one by two, and what the two printed, for each recipe."""
    found = {}
    for name, command in commands.items():
        one, two = (tmp_path_factory.mktemp(name) / count for count in ("one", "two"))
        assert make_app()([*command, "--store", str(one)], exit_on_error=False) == 0
        done = torchrun(["-m", "mulligan"], *command, "--store", str(two))
        assert done.returncode == 0, done.stderr
        found[name] = one, two, done
    return found


@pytest.mark.parametrize(("name", "step"), [("plain", 10), ("plain", 12), ("late", 10), ("late", 20)])
def test_two_processes_train_what_one_trains_up_to_rounding(pairs, name, step):
    one, two, _ = pairs[name]
    (_, alone), (manifest, together) = states(one)[step], states(two)[step]
    assert manifest["provenance"]["world_size"] == 2
    assert_close(alone, together, 5e-5)


def test_rounded_weights_have_the_gradients_of_one_process(pairs, commands, tmp_path):
    """From one state, the one at which late QAT begins: a difference in the last bit may round a weight the other way."""
    _, two, _ = pairs["late"]
    store = tmp_path / "store"
    key = digest(states(two)[20][0]["header"])
    shutil.copytree(Store(two).folder(key), Store(store).folder(key))
    command = [*commands["late"], "--set", 'average={kind = "last"}', "--store", str(store)]
    assert make_app()(command, exit_on_error=False) == 0
    (_, alone), (_, together) = states(store)[24], states(two)[24]
    assert states(store)[21][0]["provenance"]["from_step"] == 20
    for name in ("loss_nats", "grad_norm"):
        assert np.allclose(together.metrics[name][20], alone.metrics[name][20], rtol=2e-6)
    assert_close(alone, together, 2e-3)


@pytest.mark.parametrize("name", ["plain", "late"])
def test_two_processes_have_the_keys_of_one_and_print_one_result(pairs, name):
    one, two, done = pairs[name]
    (record,), (same,) = (list((store / "runs").glob("*.json")) for store in (one, two))
    assert record.name == same.name
    keys = json.loads(record.read_text())["keys"]
    assert keys == json.loads(same.read_text())["keys"]
    assert set(keys) <= set(Store(two).keys())
    assert Store(two).reruns() == []
    assert done.stdout.count("bits/byte") == 1


def test_a_run_that_is_done_is_printed_once(pairs, commands):
    _, two, _ = pairs["plain"]
    done = torchrun(["-m", "mulligan"], *commands["plain"], "--store", str(two))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("bits/byte") == 1


def test_two_processes_score_what_one_scores_to_the_bit(pairs, commands, tmp_path):
    """The weights are those in a store."""
    one, _, _ = pairs["plain"]
    found = []
    for name, launch in (("alone", None), ("together", torchrun)):
        shutil.copytree(one, tmp_path / name)
        command = [*commands["plain"], "--set", "evaluate.windows.1.context_len=6", "--store", str(tmp_path / name)]
        assert launch is None or launch(["-m", "mulligan"], *command).returncode == 0
        assert make_app()(command, exit_on_error=False) == 0
        entries = [entry.manifest for entry in Store(tmp_path / name).entries()]
        found.append({digest(e["header"]): e["digest"] for e in entries if e["header"]["stage"] == "evaluate"})
    assert found[0] == found[1]
    assert len(found[0]) == 9  # two readings of three weights, and the other windows


def test_a_lost_process_ends_the_run_and_the_next_one_goes_on(pairs, commands, tmp_path):
    store = tmp_path / "store"
    killed = hooked(tmp_path, [*commands["late"], "--store", str(store)], lost_at=17)
    assert killed.returncode != 0
    assert exit_codes(tmp_path) in ({0: 6}, {}), killed.stderr  # the second: torchrun was faster
    assert killed.stderr.count("mulligan: another process of this run has ended") == len(exit_codes(tmp_path))
    assert sorted(states(store)) == [10]
    resumed = torchrun(["-m", "mulligan"], *commands["late"], "--store", str(store))
    assert resumed.returncode == 0, resumed.stderr
    (_, undisturbed, _), found = pairs["late"], states(store)
    assert [found[step][0]["provenance"]["from_step"] for step in (20, 24)] == [10, 20]
    assert {step: manifest["digest"] for step, (manifest, _) in found.items()} == {
        step: manifest["digest"] for step, (manifest, _) in states(undisturbed).items()
    }


def test_a_loss_that_is_not_finite_ends_every_process_with_code_5(commands, tmp_path):
    command = [*commands["plain"], "--set", "train.optimizer.token_lr=1e30", "--store", str(tmp_path / "store")]
    done = hooked(tmp_path, command)
    assert exit_codes(tmp_path) == {0: 5, 1: 5}, done.stderr
    assert done.stderr.count("mulligan: The loss is nan at step") == 1


def test_what_the_first_process_refuses_ends_the_others_in_order(commands, tmp_path):
    command = [*commands["plain"], "--set", "train.batch_tokens=24", "--store", str(tmp_path / "store")]
    done = hooked(tmp_path, command)
    assert exit_codes(tmp_path) == {0: 2, 1: 0}, done.stderr
    assert done.stderr.count("mulligan: A step of 24 tokens has 3 rows") == 1


def test_a_budget_in_seconds_ends_at_one_step_on_all_processes(commands, tmp_path):
    changes = [
        f"train.{name}={{{', '.join(f'{k} = {json.dumps(v)}' for k, v in given.items())}}}" for name, given in SECONDS.items()
    ]
    command = [*commands["plain"], *(word for change in changes for word in ("--set", change))]
    done = hooked(tmp_path, [*command, "--store", str(tmp_path / "store")], slow=0.01)
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1))
    assert first == second  # the step, the clock, and every bit of weights and moments
    step, elapsed_seconds, _ = first
    assert 1.0 <= elapsed_seconds < 5.0
    assert 2 < step <= 101  # the slow one's clock counts
