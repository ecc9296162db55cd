"""What is wrong with a record folder: each fault is refused for its own reason, and nothing else is."""

import io
import json
import os
import shutil
import subprocess
import tarfile
from dataclasses import replace

import pytest

from mulligan.cli.main import make_app
from mulligan.core.canonical import digest
from mulligan.store.store import Store
from mulligan.submit.check_record import read_reference
from record_folder import ARTIFACT_BYTES, FACTOR, SCORES, edit_json, failing, log_text, make, source, toy_recipe, verdicts

BUDGET = 16_000_000
TWO_PASS = {"kind": "two-pass", "chunk_tokens": 16, "batch_sequences": 2, "lr": 0.1}


@pytest.fixture
def folder(tmp_path):
    return make(tmp_path / "folder")


def illegal_recipe():
    recipe = toy_recipe()
    evaluate = recipe.evaluate.model_dump(mode="json")
    return toy_recipe(evaluate={**evaluate, "adaptation": TWO_PASS})


def test_a_whole_folder_passes_and_only_the_judge_is_left(folder):
    found = verdicts(folder)
    assert failing(found) == {}
    assert [rule for rule, one in found.items() if one.verdict == "not checked"] == ["judge"]
    assert {"record: written (0.005 nats, p < 0.01)", "record: applied (p < 0.25)", "seeds", "bytes"} <= found.keys()


def test_a_folder_that_just_fits_passes_and_one_byte_more_does_not(tmp_path):
    code = len(source(toy_recipe()))
    assert failing(verdicts(make(tmp_path / "fits", artifact_bytes=BUDGET - code))) == {}
    found = failing(verdicts(make(tmp_path / "over", artifact_bytes=BUDGET - code + 1)))
    assert list(found) == ["bytes"]
    assert "= 16,000,001 bytes, 1 over 16,000,000" in found["bytes"]


def test_the_code_is_counted_on_disk_and_not_as_the_log_states_it(tmp_path):
    folder = make(tmp_path / "folder", artifact_bytes=BUDGET - len(source(toy_recipe())))
    text = (folder / "train_seed0.log").read_text()
    (folder / "train_seed0.log").write_text(
        text.replace("Code size: ", "Code size: 1").replace("form:readable bytes:", "form:x bytes:1")
    )
    assert failing(verdicts(folder)) == {}
    (folder / "train_gpt.py").write_bytes(source(toy_recipe()) + b"#")
    assert set(failing(verdicts(folder))) == {"bytes", "stated bytes", "one configuration"}


def test_a_seed_that_ran_another_configuration_is_refused_and_the_store_says_what_differs(folder):
    other = toy_recipe(train={**toy_recipe().train.model_dump(mode="json"), "seq_len": 4})
    (folder / "train_seed1.log").write_text(log_text(other, 1, source(toy_recipe()), SCORES[1]))
    found = failing(verdicts(folder))
    assert list(found) == ["one configuration"]
    assert "train_seed1.log (seed 1) ran the recipe " + digest(other.canonical())[:12] in found["one configuration"]
    Store(folder.parent / "store").record_run("toy-seed1-0", {"recipe": other.model_dump(mode="json"), "seed": 1, "keys": []})
    assert "train.seq_len: 8 -> 4 (run toy-seed1-0)" in failing(verdicts(folder))["one configuration"]


def test_a_seed_that_was_ended_early_is_refused(folder):
    path = folder / "train_seed1.log"
    path.write_text(path.read_text().replace("steps:12", "steps:11"))
    found = failing(verdicts(folder))
    assert list(found) == ["one configuration", "stated seeds"]
    assert "train_seed1.log (seed 1) ran 11 steps, and the recipe asks for 12" in found["one configuration"]


def test_a_log_that_stands_for_several_seeds_is_refused(folder):
    text = (folder / "train_seed0.log").read_text()
    (folder / "train_seed1.log").write_text(text.replace("seed:0", "seed:1"))
    assert failing(verdicts(folder))["one configuration"].startswith("2 logs have one artifact (000000000000)")
    (folder / "train_seed1.log").write_text(text)
    assert failing(verdicts(folder))["one configuration"].startswith("2 logs are of seed 0")


def test_a_final_score_that_is_not_the_last_reading_is_refused(folder):
    path = folder / "train_seed1.log"
    path.write_text(path.read_text().replace(f"_exact val_loss:{1.2203 * FACTOR:.8f} val_bpb:1.22030000 ", "_exact "))
    assert "final_exact of train_seed1.log is not its last reading" in failing(verdicts(folder))["score"]


@pytest.mark.parametrize(
    ("changes", "rule", "said"),
    [
        ({"recipe_sha256": "f" * 64}, "one configuration", "recipe_sha256 is ffffffffffff, and train_gpt.py's"),
        ({"code_sha256": "f" * 64}, "one configuration", "code_sha256 is ffffffffffff, and train_gpt.py's"),
        ({"val_bpb_std": 0.0}, "stated seeds", "val_bpb_std = 0.0, and the logs' is 0.00020000"),
    ],
)
def test_what_submission_json_says_besides_its_scores_is_compared(folder, changes, rule, said):
    edit_json(folder, **changes)
    found = failing(verdicts(folder))
    assert list(found) == [rule]
    assert said in found[rule]


@pytest.mark.parametrize("name", ["artifact_bytes", "steps", "train_seconds", "eval_seconds"])
def test_what_a_seeds_result_says_is_what_its_log_says(folder, name):
    results = json.loads((folder / "submission.json").read_text())["seed_results"]
    results["1"][name] += 1
    edit_json(folder, seed_results=results)
    assert f"seed_results.1.{name} = " in failing(verdicts(folder))["stated seeds"]


def test_the_longer_of_two_training_clocks_counts(folder):
    path = folder / "train_seed0.log"
    path.write_text(path.read_text().replace("train_time:512300ms", "train_time:900000ms"))
    assert failing(verdicts(folder))["training clock"].startswith("train_seed0.log: 900.0 s, 300.0 over 600")


def test_a_seed_that_ran_other_code_is_refused(folder):
    (folder / "train_seed1.log").write_text(log_text(toy_recipe(), 1, source(toy_recipe()) + b"\n", SCORES[1]))
    found = failing(verdicts(folder))
    assert list(found) == ["one configuration"]
    assert "train_seed1.log (seed 1) ran other code" in found["one configuration"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"val_bpb": 2.06008761}, "val_bpb = 2.06009 is in nats per token; in bits per byte the logs say 1.22010000"),
        ({"val_loss": 1.2201}, "val_loss = 1.2201 is in bits per byte; in nats per token the logs say 2.06008761"),
        ({"val_loss": round(1.2201 * FACTOR / 0.69314718, 6)}, "is in bits per token"),
        ({"val_bpb": 1.2101}, "val_bpb = 1.2101, and the logs say 1.22010000 bits per byte"),
    ],
)
def test_a_score_in_the_wrong_unit_is_told_as_such(folder, changes, said):
    edit_json(folder, **changes)
    found = failing(verdicts(folder))
    assert list(found) == ["score"]
    assert said in found["score"]


def test_a_score_rounded_to_fewer_digits_is_the_logs_score(folder):
    edit_json(folder, val_bpb=1.2201, val_loss=2.0601)
    assert failing(verdicts(folder)) == {}


def test_a_log_that_prints_four_digits_is_compared_in_four(tmp_path):
    folder = make(tmp_path / "folder", scores={0: 1.22014, 1: 1.22034, 2: 1.21994})
    for path in folder.glob("*.log"):
        lines = [line for line in path.read_text().splitlines() if not line.startswith(("final", "quantized", "raw"))]
        number = {"0": "1.2201", "1": "1.2203", "2": "1.2199"}[path.stem[-1]]
        nats = round({"1.2201": 1.22014, "1.2203": 1.22034, "1.2199": 1.21994}[number] * FACTOR, 4)
        path.write_text("\n".join([*lines, f"final val_loss:{nats} val_bpb:{number}", ""]))
    assert "score" not in failing(verdicts(folder))
    edit_json(folder, val_bpb=1.22034)
    assert "1.22034, and the logs say 1.22010000" in failing(verdicts(folder))["score"]


def test_the_score_of_one_seed_is_compared_with_its_own_log(folder):
    results = json.loads((folder / "submission.json").read_text())["seed_results"]
    results["1"]["val_bpb"], results["2"]["val_bpb"] = results["2"]["val_bpb"], results["1"]["val_bpb"]
    edit_json(folder, seed_results=results)
    assert "seed_results.1.val_bpb = 1.2199, and the logs say 1.22030000" in failing(verdicts(folder))["score"]


def test_a_missing_log_is_missed(folder):
    (folder / "train_seed1.log").unlink()
    found = verdicts(folder)
    assert failing(found) == {"logs": "no log of seed 1, train_seed1.log"}
    assert found["score"].verdict == "not checked"


def test_an_illegal_evaluator_is_refused_by_name(tmp_path):
    found = failing(verdicts(make(tmp_path / "folder", illegal_recipe())))
    assert found == {"evaluator": "illegal on purpose: evaluate.adaptation = 'two-pass'"}


def test_two_logs_that_count_different_bytes_are_told(folder):
    path = folder / "train_seed2.log"
    path.write_text(path.read_text().replace("quantized_sliding_exact val_loss:2.05", "quantized_sliding_exact val_loss:2.06"))
    assert list(failing(verdicts(folder))) == ["score", "one factor"]


@pytest.mark.parametrize("name", ["README.md", "train_gpt.py", "submission.json"])
def test_a_missing_file_is_missed(folder, name):
    (folder / name).unlink()
    found = failing(verdicts(folder))
    assert f"missing: {name}" in found["files"]
    assert set(found) <= {"files", "submission.json"}


def test_clocks_are_a_records_business(tmp_path):
    folder = make(tmp_path / "folder", train_seconds=601.0)
    found = failing(verdicts(folder))
    assert list(found) == ["training clock"]
    assert found["training clock"].startswith("train_seed0.log: 601.0 s, 1.0 over 600, train_seed1.log")
    assert failing(verdicts(folder, "non-record")) == {}
    assert failing(verdicts(make(tmp_path / "step", train_seconds=600.05))) == {}


def test_the_evaluation_clock_counts_readings_of_the_artifact(folder):
    path = folder / "train_seed2.log"
    path.write_text(path.read_text().replace("eval_time:2345ms", "eval_time:600001ms"))
    assert list(failing(verdicts(folder))) == ["stated seeds", "evaluation clock"]


def test_two_seeds_are_too_few_for_a_record(tmp_path):
    folder = make(tmp_path / "folder", scores={0: 1.22, 1: 1.2201})
    assert list(failing(verdicts(folder))) == ["seeds"]
    assert failing(verdicts(folder, "non-record")) == {}


@pytest.mark.parametrize(
    ("against", "fails"),
    [
        ("1.2300,1.2302,1.2301:bpb", []),
        ("2.0770,2.0772,2.0771:nats", []),
        ("1.2220,1.2222,1.2221:bpb", ["record: written (0.005 nats, p < 0.01)"]),
        ("1.2201,1.2202,1.2200:bpb", ["record: written (0.005 nats, p < 0.01)", "record: applied (p < 0.25)"]),
    ],
)
def test_both_record_rules_against_a_reference(folder, against, fails):
    assert list(failing(verdicts(folder, against=against))) == fails


def test_a_folder_may_be_the_reference(tmp_path, folder):
    worse = make(tmp_path / "parent", scores={seed: bits + 0.01 for seed, bits in SCORES.items()})
    shutil.rmtree(worse / "nothing", ignore_errors=True)
    found = verdicts(folder, against=str(worse))["record: applied (p < 0.25)"]
    assert found.verdict == "pass"
    assert found.evidence.startswith("+10.00 mBPB (+0.01688 nats) better than parent, n = 3 against 3")
    assert list(failing(verdicts(worse, against=str(folder)))) == [
        "record: written (0.005 nats, p < 0.01)",
        "record: applied (p < 0.25)",
    ]


@pytest.mark.parametrize("given", ["1.08", "1.08:bits", "x:bpb", ":bpb", "-1.0:bpb"])
def test_a_reference_without_its_unit_is_refused(given):
    with pytest.raises(ValueError, match="with their unit"):
        read_reference(given)


def test_an_import_that_is_not_named_is_told(tmp_path):
    recipe = toy_recipe()
    code = source(recipe, "import json\nimport torch\nimport brotli\ntry:\n    import kernels\nexcept ImportError:\n    pass\n")
    folder = make(tmp_path / "folder", recipe, code=code)
    assert failing(verdicts(folder)) == {}
    (folder / "requirements.txt").write_text("torch>=2.9\n# brotli\n")
    assert failing(verdicts(folder)) == {"requirements": "imports brotli: not in requirements.txt, and no file of the folder"}
    (folder / "requirements.txt").write_text("torch>=2.9\nBrotli==1.2  # the codec\n")
    assert failing(verdicts(folder)) == {}


def test_a_helper_that_is_read_counts_and_is_refused_and_one_that_is_not_is_only_told(folder):
    (folder / "prepare_data.py").write_text("import torch\n")
    found = verdicts(folder)
    assert failing(found) == {}
    assert "beside it, not read: prepare_data.py" in found["helpers"].evidence
    code = b"import prepare_data\n" + source(toy_recipe())
    made = make(folder.parent / "other", code=code)
    (made / "prepare_data.py").write_text("x = 1\n")
    assert "train_gpt.py reads prepare_data.py (6 bytes)" in failing(verdicts(made))["helpers"]
    assert f"code {len(code) + 6:,}" in verdicts(made)["bytes"].evidence


def test_bytes_that_leave_the_code_out_are_told(folder):
    edit_json(folder, bytes_total=ARTIFACT_BYTES)
    found = failing(verdicts(folder))
    assert list(found) == ["stated bytes"]
    assert "that is an artifact without its code" in found["stated bytes"]


def test_a_script_that_does_not_parse_is_told(folder):
    (folder / "train_gpt.py").write_text("def f(:\n")
    assert "does not parse: invalid syntax (line 1)" in failing(verdicts(folder))["script"]


def test_the_command_says_what_is_missing_for_each_track_and_exits_as_the_judge_does(folder, capsys):
    def call(*arguments):
        where = ["--store", str(folder.parent / "store")]
        return make_app()(["submit", "check", str(folder), *where, *arguments], exit_on_error=False)

    assert call("--against", "1.2300,1.2302,1.2301:bpb") == 7
    printed = capsys.readouterr().out
    assert "record      not checked: judge" in printed
    edit_json(folder, val_bpb=2.06008761)
    assert call("--json", "--track", "non-record") == 1
    result = json.loads(capsys.readouterr().out)
    assert result["missing"]["non-record"] == {"fail": ["score"], "not checked": ["judge"]}
    assert "record: applied (p < 0.25)" in result["missing"]["record"]["not checked"]
    with pytest.raises(ValueError, match="no such folder"):
        make_app()(["submit", "check", str(folder / "nowhere")], exit_on_error=False)


def test_the_track_is_what_folder_and_submission_say(folder, capsys):
    from mulligan.submit.submitted import Submitted

    assert Submitted(folder).track == "record"
    edit_json(folder, track="non-record-unlimited-compute-16mb")
    assert Submitted(folder).track == "non-record"
    assert replace(Submitted(folder), asked_track="record").track == "record"


@pytest.mark.skipif("RECORDS_CLONE" not in os.environ, reason="set RECORDS_CLONE to a clone of the challenge's repository")
def test_every_merged_folder_ends_with_a_verdict(tmp_path):
    packed = subprocess.run(
        ["git", "-C", os.environ["RECORDS_CLONE"], "archive", "main", "records"], check=True, capture_output=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(tmp_path, filter="data")
    folders = sorted(path for path in tmp_path.glob("records/*/*/") if path.is_dir())
    assert len(folders) >= 60
    for folder in folders:
        assert len(verdicts(folder, "record")) == 20, folder
