"""R2: training and evaluation within 600 s by the logs, and what comes after the training clock."""

import pytest

from submission_folder import found, reasons, write_folder


def test_clocks_within_their_limits_pass(tmp_path):
    folder = write_folder(tmp_path)
    assert found(folder, "R2") == []
    assert reasons(folder, "R2") == []


def test_a_training_over_the_limit_is_found_at_its_line(tmp_path):
    ((severity, file, line, message), *others) = found(write_folder(tmp_path, trained=602.05), "R2")
    assert (severity, file, line, len(others)) == ("violation", "train_seed1.log", 8, 2)
    assert "training took 602.0 s, 2.0 over 600" in message


def test_a_step_more_than_the_limit_is_none(tmp_path):
    assert found(write_folder(tmp_path, trained=600.6), "R2") == []


def test_an_evaluation_over_the_limit_is_found(tmp_path):
    (first, *_) = found(write_folder(tmp_path, evaluated=616), "R2")
    assert first == ("violation", "train_seed1.log", 12, "evaluation took 616.0 s, 16.0 over 600")


@pytest.mark.parametrize(
    ("after", "severity"),
    [
        ("gptq:calibrating with training data...\ngptq:calibrated 66 layers in 3.9s\n", "violation"),
        ("gptq:calibrating with training data...\n", "violation"),
        ("GPTQ:collected 67 Hessians in 12.9s\n", "warning"),
        ("gptq:reserving 12s for calibration\n", None),
        ("gptq: no calibration, quantizing without training data in 20s\n", None),
    ],
)
def test_calibration_after_the_clock(tmp_path, after, severity):
    seen = found(write_folder(tmp_path, after=after), "R2")
    assert {one[0] for one in seen} == ({severity} if severity else set())
    assert all("after training's clock stopped at 600.0 s" in one[3] for one in seen)


def test_calibration_within_a_reserve_passes(tmp_path):
    after = "gptq:calibrating with training data...\ngptq:calibrated 66 layers in 3.9s\n"
    assert found(write_folder(tmp_path, after=after, trained=588.0), "R2") == []


def test_text_of_its_own_counts_as_evaluation(tmp_path):
    after = "gptq:collecting hessians from autoregressive data...\ngptq:collected hessians for 68 layers in 198.4s\n"
    assert found(write_folder(tmp_path, after=after), "R2") == []
    (first, *_) = found(write_folder(tmp_path / "late", after=after, evaluated=520), "R2")
    assert first[3] == "evaluation took 718.4 s with 198.4 s of what it needs before, 118.4 over 600"


def test_work_outside_of_the_timer_counts(tmp_path):
    after = "tilt:precompute_outside_timer_done elapsed=160.6s\n"
    (first, *_) = found(write_folder(tmp_path, after=after, evaluated=576), "R2")
    assert first[0] == "violation"
    assert "736.6 s with 160.6 s" in first[3]


def test_all_readings_together_are_a_warning(tmp_path):
    after = "final_roundtrip val_loss:2.1 val_bpb:1.25 eval_time:550000ms\n"
    ((severity, _, _, message), *_) = found(write_folder(tmp_path, after=after), "R2")
    assert severity == "warning"
    assert "all 2 readings took 630.0 s" in message


def test_a_non_record_is_warned(tmp_path):
    assert {one[0] for one in found(write_folder(tmp_path, about={"name": "Non-record: long"}, trained=900.0), "R2")} == {
        "warning"
    }


def test_without_logs_the_stated_seconds_count(tmp_path):
    about = {"eval_time_seconds": 720, "train_time_seconds": 600.5}
    folder = write_folder(tmp_path, {1: 1.2}, about=about, logs={"train_seed1.log": None})
    assert found(folder, "R2") == [("violation", "submission.json", 7, "eval_time_seconds = 720 s, 120.0 over 600")]
    bare = write_folder(tmp_path / "bare", {1: 1.2}, logs={"train_seed1.log": None})
    assert [reason.split()[-1] for reason in reasons(bare, "R2")] == ["evaluation", "training"]
