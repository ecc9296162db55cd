"""R11: score against logs, seeds and their configuration, hardware, the record claim; nothing of it is asked of code alone."""

import json
import time

import pytest

from mulligan.review.rules.r11_seeds import named_seeds, read_settings
from submission_folder import SCORES, found, log_text, reasons, write_folder

BASE = {"base_val_bpb": 1.23}


def test_a_sound_record_passes_and_its_gain_is_judged(tmp_path):
    folder = write_folder(tmp_path, about=BASE)
    assert found(folder, "R11") == []
    assert reasons(folder, "R11") == []


@pytest.mark.parametrize(
    ("base", "severity", "said"),
    [
        (1.2215, "warning", "no record by the written rule"),
        (1.2202, "violation", "no record by either rule"),
        (1.2, "violation", "-0.03417 nats (-20.10 mBPB) better than 1.2"),
    ],
)
def test_a_gain_that_is_none(tmp_path, base, severity, said):
    ((sure, file, line, message),) = found(write_folder(tmp_path, about={"base_val_bpb": base}), "R11")
    assert (sure, file, line) == (severity, "submission.json", 7)
    assert said in message


def test_a_base_in_prose_is_only_warned_of(tmp_path):
    folder = write_folder(tmp_path, readme="# A record\n\nThe current record is 1.2100, the delta to SOTA -0.0101.\n")
    assert [one[:3] for one in found(folder, "R11")] == [("warning", "README.md", 3)]
    assert "no base is named" in reasons(write_folder(tmp_path / "none"), "R11")[0]


def test_a_score_that_no_log_has_is_a_violation_at_its_line(tmp_path):
    ((severity, file, line, message),) = found(write_folder(tmp_path, about={"val_bpb": 1.2101}), "R11")
    assert (severity, file, line) == ("violation", "submission.json", 6)
    assert "1.2101 is stated" in message


def test_a_score_that_is_less_off_is_a_warning_and_nats_are_named(tmp_path):
    assert [one[0] for one in found(write_folder(tmp_path, about={"val_bpb": 1.22016}), "R11")] == ["warning"]
    nats = found(write_folder(tmp_path / "nats", about={"val_bpb": 2.07417}), "R11")
    assert "it is their nats per token" in nats[0][3]


def test_a_score_in_a_form_that_is_not_read_is_not_checked(tmp_path):
    mixed = {f"train_seed{seed}.log": log_text(seed, score) + "mixture: bpb 1.150000\n" for seed, score in SCORES.items()}
    folder = write_folder(tmp_path, about={"val_bpb": 1.15, **BASE}, logs=mixed)
    assert found(folder, "R11") == []
    assert any("in a form that is not read" in reason for reason in reasons(folder, "R11"))


def test_files_that_are_missing(tmp_path):
    folder = write_folder(tmp_path)
    (folder / "README.md").unlink()
    (folder / "submission.json").write_text("{")
    assert {one[:2] for one in found(folder, "R11")} == {("violation", "README.md"), ("violation", "submission.json")}


def test_what_the_schema_asks_for_besides_is_a_warning(tmp_path):
    ((severity, file, _, message),) = found(write_folder(tmp_path, about={**BASE, "github_id": None}), "R11")
    assert (severity, file, message) == ("warning", "submission.json", "github_id: field required")


def test_fewer_than_three_seeds(tmp_path):
    folder = write_folder(tmp_path, {1: 1.22, 2: 1.2201}, about=BASE)
    ((severity, _, _, message),) = found(folder, "R11")
    assert severity == "violation"
    assert "1.22005 is the score of fewer than 3 seeds (seed 1, 2)" in message
    (folder / "README.md").write_text("Mean over seeds 1, 2 and 3.\n")
    ((severity, _, _, message),) = found(folder, "R11")
    assert severity == "warning"
    assert "2 of the seeds behind 1.22005 have a log" in message


def test_another_configuration_is_found_with_both_values(tmp_path):
    odd = {"train_seed3.log": log_text(3, SCORES[3], settings="\n  prune_pct: 0.10")}
    same = write_folder(tmp_path, about=BASE, settings="\n  prune_pct: 0.05")
    assert found(same, "R11") == []
    folder = write_folder(tmp_path / "odd", about=BASE, settings="\n  prune_pct: 0.05", logs=odd)
    assert found(folder, "R11") == [
        ("violation", "train_seed3.log", 4, "another configuration: prune_pct = 0.10 (0.05 in train_seed1.log)")
    ]


def test_settings_are_read_in_both_forms_up_to_the_first_step():
    text = "tie:True lr:0.03\nHyperparameters:\n  wd: 0.1\n  data_path: /x\nseed:7\nstep:1/9 loss:2\nlate:1 more:2\n"
    assert read_settings(text) == {"tie": ("True", 1), "lr": ("0.03", 1), "wd": ("0.1", 3)}


def test_logs_of_other_code_are_warned_of(tmp_path):
    folder = write_folder(tmp_path, about=BASE, logs={"train_seed2.log": log_text(2, SCORES[2], code=31)})
    assert found(folder, "R11") == [
        ("warning", "train_seed2.log", 10, "ran code of 31 bytes, train_seed1.log of 30: not one script")
    ]


def test_other_hardware(tmp_path):
    (first, *_) = found(write_folder(tmp_path, about=BASE, processes=4), "R11")
    assert first[:3] == ("violation", "train_seed1.log", 4)
    ((severity, file, _, message),) = found(write_folder(tmp_path / "a", about={**BASE, "hardware": "4x H100"}), "R11")
    assert (severity, file) == ("violation", "submission.json")
    assert "'4x H100'" in message
    assert found(write_folder(tmp_path / "b", about={**BASE, "hardware": "8x H100 SXM, tuned on RTX 4090"}), "R11") == []


def test_projected_figures_are_warned_of(tmp_path):
    folder = write_folder(tmp_path, about=BASE, readme="# R\nThe projected val_bpb on 8xH100 is 1.2.\nA projected vector.\n")
    assert [one[:3] for one in found(folder, "R11")] == [("warning", "README.md", 2)]


def test_nothing_is_asked_of_a_non_record_but_that_its_score_is_true(tmp_path):
    folder = write_folder(tmp_path, {1: 1.22}, readme="# Non-record: one seed\n", processes=1)
    assert found(folder, "R11") == []
    (folder / "submission.json").write_text(json.dumps({"val_bpb": 1.1, "name": "n", "author": "a", "date": "2026-04-01"}))
    assert {one[0] for one in found(folder, "R11")} == {"warning"}


def test_code_alone_is_not_checked(tmp_path):
    (tmp_path / "train_gpt.py").write_text("x = 1\n")
    assert found(tmp_path, "R11") == []
    assert "code alone" in reasons(tmp_path, "R11")[0]


@pytest.mark.parametrize(
    ("text", "seeds"),
    [
        ("seeds 42, 314 and 999", {42, 314, 999}),
        ("SEED=1338 torchrun", {1338}),
        ("seed: 7\n3 runs", {7}),
        ("no seed here 5", set()),
    ],
)
def test_seeds_named_in_prose(text, seeds):
    assert named_seeds(text) == seeds


def test_a_hostile_log_costs_little(tmp_path):
    lines = ["a:" * 1500, " " * 3900 + "x", "x " * 1900, "seed " * 700, "(" * 3000, "Hyperparameters:", "1" * 3900]
    folder = write_folder(tmp_path, about=BASE, logs={"train_seed9.log": "train_loss:1\n" + "\n".join(lines * 60)})
    started = time.monotonic()
    for code in ("R1", "R2", "R11"):
        found(folder, code)
    assert time.monotonic() - started < 5
