"""Logs of challenge scripts: the forms in which they say things, and several runs in one log."""

from hypothesis import given
from hypothesis import strategies as st

from mulligan.engine.challenge_log import read_log, read_runs


def text_of(number, seed, steps, score, payload, code):
    return (
        f"=== run {number} ===\nSeed of {number}\nlogs/{number}.txt\nseed:{seed}\nwarmup_step:20/20\n"
        f"step:0/20000 val_loss:6.9 val_bpb:4.1 train_time:0ms step_avg:0.02ms\n"
        f"step:1/20000 train_loss:6.9 train_time:100ms step_avg:100.00ms\n"
        f"step:{steps}/20000 val_loss:2.0 val_bpb:1.2 train_time:600012ms step_avg:90.10ms\n"
        f"stopping_early: wallclock_cap train_time:600012ms step:{steps}/20000\n"
        f"Serialized model: 99999999 bytes\nCode size: {code} bytes\nTotal submission size: 88888888 bytes\n"
        f"Serialized model int6+zstd: {payload} bytes\nTotal submission size int6+zstd: {payload + code} bytes\n"
        f"  sliding_eval [ 50.0%] 60000/120000 windows running_bpb={score}\n"
        f"final_int6_sliding_window_exact val_loss:1.9 val_bpb:{score}\n"
    )


runs = st.lists(
    st.tuples(
        st.integers(0, 9999),
        st.integers(11, 19999),
        st.decimals("0.5", "2", places=8),
        st.integers(1, 2 * 10**7),
        st.integers(1, 10**6),
    ),
    min_size=1,
    max_size=4,
)


@given(runs)
def test_runs_that_stand_in_one_log_are_told_apart(given_runs):
    text = "".join(text_of(number, *run) for number, run in enumerate(given_runs))
    found = read_runs(text)
    lines = text.splitlines()
    assert len(found) == len(given_runs)
    for run, (seed, steps, score, payload, code) in zip(found, given_runs, strict=True):
        numbers = {name: figure.value for name, figure in run.numbers.items()}
        assert (numbers["seed"], numbers["steps"], numbers["train_seconds"]) == (seed, steps, 600.012)
        assert (numbers["payload_bytes"], numbers["code_bytes"], numbers["total_bytes"]) == (payload, code, payload + code)
        figure = run.readings["final_int6_sliding_window_exact"].bits_per_byte
        assert figure.text == str(score)
        assert lines[figure.line - 1].endswith(figure.text)
        assert len(run.curve) == 2


def test_progress_of_an_evaluation_is_no_training_step():
    log = read_log(
        "step:9/20 train_loss:2.0 train_time:90ms step_avg:10ms\n  sliding_eval [ 5.0%] 600/12000 windows\nbatch 3/700\n"
    )
    assert log["steps"] == 9


def test_later_forms():
    (run,) = read_runs(
        "data seed=42 softcap=30\n"
        "1776144156.999 4000/20000 val_loss: 2.9142 val_bpb: 1.1282\n"
        "1776144157.101 stopping_early: train_time: 588052ms step: 4911/20000\n"
        "Code size (uncompressed): 121884 bytes\n1776144158.000 Code size (compressed): 27310 bytes\n"
        "Serialized model quantized+brotli: 15969354 bytes\n"
        "roundtrip_exact sliding val_loss:2.02 sliding val_bpb:1.19\n"
        "1776144159.000 quantized_ttt_phased val_loss:2.7 val_bpb:1.07216564 eval_time:500104ms\n"
        "ttt_sliding:done val_loss=3.1 val_bpb=1.336032 elapsed=12.5s\ntotal_eval_time:500.1s\n"
    )
    assert list(run.readings) == ["roundtrip_exact sliding", "quantized_ttt_phased", "ttt_sliding:done"]
    assert run.readings["quantized_ttt_phased"].seconds.value == 500.104
    assert run.readings["ttt_sliding:done"].seconds.value == 12.5
    numbers = {name: figure.value for name, figure in run.numbers.items()}
    assert numbers["seed"] == 42
    assert numbers["total_bytes"] == 15969354 + 27310
    assert numbers["eval_seconds"] == 500.1
    (budget,) = read_runs("step:5/5 val_loss:1 val_bpb:1\nbudget:15993853/16000000 (15.99/16.00MB) FITS\n")
    assert budget.numbers["total_bytes"].value == 15993853


def test_the_clock_of_training_is_not_that_of_a_reading():
    (run,) = read_runs("step:7/9 val_loss:1.9 val_bpb:1.1 train_time:600046ms step_avg:84.98ms\n")
    assert run.curve[-1][1].seconds is None
    assert run.numbers["train_seconds"].value == 600.046


def test_a_run_that_went_on_after_a_stop_is_one_run():
    text = "step:500/1000 train_loss:2 train_time:5ms\nstep:400/1000 train_loss:2 train_time:4ms\nstep:1000/1000 train_loss:2\n"
    assert [run.steps for run in read_runs(text)] == [1000]
    again = "step:500/1000 train_loss:2\nstep:0/1000 val_loss:6 val_bpb:4\nstep:7/1000 train_loss:5\n"
    assert [run.steps for run in read_runs(again)] == [500, 7]


@given(st.text(max_size=300))
def test_any_text_is_read(text):
    read_log(text)
    read_runs(text)
