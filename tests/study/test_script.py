"""Anybody's own script as cells: environment in, log out; failures kept, finished runs never repeated."""

from pathlib import Path

import pytest

from mulligan.engine.challenge_log import read_log
from mulligan.engine.pool import PoolSize
from mulligan.store.store import Store
from mulligan.study.config import load_study
from mulligan.study.execute import run_study
from mulligan.study.plan import cost_of, lay_study

LOG = """
world_size:1 grad_accum_steps:8
warmup_step:1/20
step:0/900 val_loss:6.9357 val_bpb:4.1077 train_time:0ms step_avg:0.01ms
step:10/900 train_loss:6.2 train_time:437ms step_avg:43.71ms
step:900/900 val_loss:2.1000 val_bpb:1.2400 train_time:39240ms step_avg:43.60ms
stopping_early: wallclock_cap train_time:39240ms step:900/900
DIAGNOSTIC post_ema val_loss:2.0900 val_bpb:1.2300 eval_time:20ms
Serialized model: 67224983 bytes
Code size: 47642 bytes
Total submission size: 67272625 bytes
Serialized model int8+zlib: 15815847 bytes (payload:17178912 raw_torch:17224025 payload_ratio:3.91x)
Total submission size int8+zlib: 15863489 bytes
final_int8_zlib_roundtrip val_loss:2.1100 val_bpb:1.2500 eval_time:1401ms
final_int8_zlib_roundtrip_exact val_loss:2.11001234 val_bpb:1.25001234
"""

SCRIPT = """
import os, sys
from pathlib import Path
import neighbour
seed, qat = int(os.environ["SEED"]), os.environ["QAT"] == "1"
with open(neighbour.COUNTER, "a") as counter:
    counter.write(f"{seed} {qat}\\n")
Path("final_model.pt").write_text("in a folder of its own")
assert not (Path(neighbour.COUNTER).parent / "final_model.pt").exists()
if qat and seed == 3:
    sys.exit("out of luck")
bpb = 1.2 + 0.001 * seed - 0.01 * qat + 0.0001 * seed * qat
print(f"step:100/100 val_loss:2.0 val_bpb:1.19 train_time:4000ms step_avg:40.00ms")
print("Serialized model int8+zlib: 15000000 bytes")
print(f"Code size: {2000000 if qat else 50000} bytes")
print("quantized val_loss:nan val_bpb:nan" if seed == 4 else f"quantized val_loss:2.0 val_bpb:{bpb}", flush=True)
"""

STUDY = """
question = "Does QAT help my script?"
phase = "explore"
recipe = {{script = "{script}", launch = "{python}"}}
seeds = [0, 1, 2]
budget = {{kind = "steps"}}
design = {{kind = "sweep"}}
margin_bpb = 0.002
metric = {{log = "quantized"}}
secondary = [{{kind = "payload-bytes"}}, {{kind = "milliseconds-per-step"}}]
[factors.qat]
path = "QAT"
values = [0, 1]
"""


@pytest.fixture
def place(tmp_path):
    import sys

    (tmp_path / "my").mkdir()
    (tmp_path / "my" / "neighbour.py").write_text(f"COUNTER = {str(tmp_path / 'my' / 'counter')!r}\n")
    (tmp_path / "my" / "train_gpt.py").write_text(SCRIPT)
    (tmp_path / "s.toml").write_text(STUDY.format(script=tmp_path / "my" / "train_gpt.py", python=sys.executable))
    return tmp_path


def lay(place, **changes):
    text = (place / "s.toml").read_text()
    for before, after in changes.items():
        text = text.replace(before, after)
    (place / "changed.toml").write_text(text)
    return lay_study(load_study(place / "changed.toml"))


def run(place, laid):
    return run_study(laid, Store(place / "store"), PoolSize(2, 1))


def test_the_challenges_log_is_read():
    log = read_log(LOG)
    assert log["readings"] == {
        "DIAGNOSTIC post_ema": {"nats_per_token": 2.09, "bits_per_byte": 1.23},
        "final_int8_zlib_roundtrip": {"nats_per_token": 2.11, "bits_per_byte": 1.25},
        "final_int8_zlib_roundtrip_exact": {"nats_per_token": 2.11001234, "bits_per_byte": 1.25001234},
    }
    assert log["curve"] == [[0, 6.9357, 4.1077], [900, 2.1, 1.24]]
    assert (log["steps"], log["milliseconds_per_step"]) == (900, 43.6)
    assert (log["payload_bytes"], log["code_bytes"], log["total_bytes"]) == (15815847, 47642, 15863489)


def test_the_later_form_of_the_log_is_read():
    log = read_log("4000/20000 val_loss: 2.9142 val_bpb: 1.1282\nstopping_early: train_time: 588052ms step: 4911/20000\n")
    assert log["curve"] == [[4000, 2.9142, 1.1282]]
    assert log["steps"] == 4911
    assert log["milliseconds_per_step"] == pytest.approx(588052 / 4911)
    assert read_log("odd val_loss:1.2.3 val_bpb:4.")["readings"] == {}
    assert read_log("quantized val_loss:nan val_bpb:nan")["readings"]["quantized"]["bits_per_byte"] is None


def test_cells_run_once_each_and_are_judged_like_ours(place):
    laid = lay(place)
    cost = cost_of(laid, Store(place / "store"))
    assert (cost.steps_to_run, cost.stages_to_run) == (0, 6)
    result = run(place, laid)
    found = {(cell["arm"], cell["seed"]): cell["values"] for cell in result["cells"]}
    assert found["qat=1", 2] == pytest.approx(
        {"primary": 1.2 + 0.002 - 0.01 + 0.0002, "payload-bytes": 15e6, "milliseconds-per-step": 40.0}
    )
    assert result["primary"]["verdicts"]["qat=1"]["word"] == "over budget"
    assert result["primary"]["contrasts"]["qat=1"]["estimate"] == pytest.approx(-0.0099)
    assert run(place, laid) == result
    assert sorted((place / "my" / "counter").read_text().split("\n")[:-1]) == sorted(
        f"{seed} {qat}" for seed in (0, 1, 2) for qat in (False, True)
    )


def test_a_run_that_fails_and_one_that_diverges_are_kept_and_the_rest_goes_on(place):
    result = run(place, lay(place, **{"[0, 1, 2]": "[2, 3, 4]"}))
    status = {(cell["arm"], cell["seed"]): (cell["status"], cell["error"]) for cell in result["cells"]}
    assert status["qat=0", 3][0] == "done"
    assert status["qat=1", 3][0] == "failed"
    assert "out of luck" in status["qat=1", 3][1]
    assert "diverged" in status["qat=0", 4][1]


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ('{log = "quantized"}', '{point = "quantized"}', "needs `log`"),
        ("train_gpt.py", "nowhere.py", "no such file"),
        ('launch = "', 'launch = "no-such-program ', "no program 'no-such-program'"),
        ("values = [0, 1]", "values = [1, 1]", "1 level"),
        ('kind = "steps"', 'kind = "seconds", seconds = 1.0, step_ms = {control = 1.0}', "by its own rules"),
    ],
)
def test_what_cannot_be_run_is_refused(place, before, after, words):
    with pytest.raises(ValueError, match=words):
        lay(place, **{before: after})


def test_a_variable_that_nobody_reads_is_no_equivalence(place):
    """Seed by seed the same score to the last digit: the lever never ran, and no verdict may say that it made no difference."""
    text = (place / "my" / "train_gpt.py").read_text().replace('os.environ["QAT"] == "1"', "False")
    (place / "my" / "train_gpt.py").write_text(text)
    verdict = run(place, lay(place))["primary"]["verdicts"]["qat=1"]
    assert verdict["word"] == "not testable"
    assert "did not act" in verdict["text"]


def test_a_lever_that_moves_bytes_and_no_score_is_equivalent(place):
    """The scores are equal to the last digit because the coding is lossless, not because nothing acted."""
    text = (place / "my" / "train_gpt.py").read_text().replace("- 0.01 * qat + 0.0001 * seed * qat", "")
    text = text.replace("int8+zlib: 15000000 bytes", 'int8+zlib: " + str(15000000 - qat) + " bytes')
    (place / "my" / "train_gpt.py").write_text(text.replace("2000000 if qat else 50000", "50000"))
    result = run(place, lay(place))
    assert result["secondary"][0]["contrasts"]["qat=1"]["estimate"] == -1
    assert result["primary"]["verdicts"]["qat=1"]["word"] == "equivalent"


def test_a_reading_that_the_first_log_lacks_ends_the_study_and_loses_nothing(place):
    with pytest.raises(ValueError, match=r"no reading 'final'\. There are: quantized\. Correct `metric`"):
        run_study(lay(place, **{'"quantized"': '"final"'}), Store(place / "store"), PoolSize(1, 1))
    assert len((place / "my" / "counter").read_text().splitlines()) <= 2
    assert all(cell["status"] == "done" for cell in run(place, lay(place))["cells"])
    assert len((place / "my" / "counter").read_text().splitlines()) <= 7, "a finished cell is not run again"


def test_an_edited_script_is_another_study(place):
    before = lay(place)
    (place / "my" / "train_gpt.py").write_text(SCRIPT + "\n# edited\n")
    assert lay(place).hash != before.hash


def test_what_a_script_writes_beside_itself_meets_no_other_cell_and_not_the_users_files(place):
    """A file that lies there already is copied for each cell, not linked."""
    (place / "my" / "final_model.pt").write_text("the user's own")
    body = """
import os, time
from pathlib import Path
Path("final_model.pt").write_text(os.environ["SEED"])
time.sleep(1)
print(f"quantized val_loss:2.0 val_bpb:1.{Path('final_model.pt').read_text()}")
"""
    (place / "my" / "train_gpt.py").write_text(body)
    result = run(place, lay(place))
    assert {cell["seed"]: cell["values"]["primary"] for cell in result["cells"]} == {0: 1.0, 1: 1.1, 2: 1.2}
    assert (place / "my" / "final_model.pt").read_text() == "the user's own"


def test_an_interrupted_study_ends_the_script_and_what_it_launched(place):
    import os
    import signal
    import subprocess
    import sys
    import time

    body = """
import os, subprocess, sys, time
from pathlib import Path
import neighbour
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
Path(neighbour.COUNTER).write_text(f"{os.getpid()} {child.pid}")
time.sleep(60)
"""
    (place / "my" / "train_gpt.py").write_text(body)
    line = [sys.executable, "-m", "mulligan", "study", "run", str(place / "s.toml"), "--store", str(place / "store")]
    hear = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}  # a background job would ignore it
    running = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **hear)
    counter = place / "my" / "counter"
    end = time.monotonic() + 60
    while not (counter.exists() and len(counter.read_text().split()) == 2):
        assert time.monotonic() < end
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    for pid in counter.read_text().split():
        while os.path.exists(f"/proc/{pid}") and Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z":
            assert time.monotonic() < end, f"process {pid} lives on"
            time.sleep(0.05)


def test_a_later_log_that_lacks_the_reading_is_a_failed_cell_that_names_those_it_has(place):
    text = (place / "my" / "train_gpt.py").read_text()
    (place / "my" / "train_gpt.py").write_text(
        text.replace('else f"quantized', "else f\"{'other' if seed == 2 else 'quantized'}")
    )
    result = run_study(lay(place), Store(place / "store"), PoolSize(1, 1))
    failed = {cell["seed"]: cell["error"] for cell in result["cells"] if cell["status"] == "failed"}
    assert failed.keys() == {2}
    assert "There are: other" in failed[2]
