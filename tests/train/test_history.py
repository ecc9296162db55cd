"""A state's identity is what acted on it: late differences move no early key, and cuts move none."""

from hypothesis import given
from hypothesis import strategies as st

from mulligan.core.canonical import canonical_json
from mulligan.train.history import History
from toy import GRID, steps, train_config


def until(config, stop):
    return canonical_json([History(config, GRID).static(), History(config, GRID).until_step(stop)])


def test_stretches_cover_the_run_and_name_what_acts():
    history = History(train_config(10, 4), GRID).until_step(10)
    assert [stretch[:2] for stretch in history] == [[0, 3], [3, 7], [7, 10]]
    assert set(history[0][2]) == {"momentum", "momentum_start", "momentum_warmup_steps"}
    assert history[1][2] == {"momentum": 0.95}
    assert history[2][2] == {"momentum": 0.95, "warmdown": {"until_step": 10, "over_steps": 4.0, "floor": 0.0}}


def test_runs_that_differ_in_length_share_their_trunk():
    short, long = train_config(10, 4), train_config(20, 4)
    assert until(short, 7) == until(long, 7)
    assert until(short, 8) != until(long, 8)


def test_runs_that_differ_in_warmdown_share_what_lies_before_the_longer_one():
    assert until(train_config(10, 2), 6) == until(train_config(10, 4), 6)
    assert until(train_config(10, 2), 7) != until(train_config(10, 4), 8)


def test_equal_schedules_written_differently_are_equal():
    by_fraction = train_config(16, {"kind": "fraction", "fraction": 0.25})
    by_tokens = train_config({"kind": "tokens", "tokens": 256}, {"kind": "tokens", "tokens": 64})
    assert until(train_config(16, 4), 16) == until(by_fraction, 16) == until(by_tokens, 16)


def test_what_acts_throughout_moves_every_state():
    base = until(train_config(10, 4), 1)
    optimizer = {"kind": "muon-adam", "momentum_warmup_steps": 3}
    changes = [
        {"precision": "bf16"},
        {"grad_clip_norm": 1.0},
        {"batch_tokens": 32},
        {"loader": {"kind": "sequential", "start": "fixed"}},
        {"optimizer": {**optimizer, "matrix_lr": 0.01}},
        {"optimizer": {**optimizer, "muon_weight_decay": 0.1}},
    ]
    assert base not in [until(train_config(10, 4, **change), 1) for change in changes]


def test_a_momentum_warm_up_is_forgotten_only_where_it_did_not_act():
    with_warmup = train_config(10, 4, optimizer={"kind": "muon-adam", "momentum_warmup_steps": 3})
    without = train_config(10, 4, optimizer={"kind": "muon-adam", "momentum_warmup_steps": 0})
    assert until(with_warmup, 1) != until(without, 1)


@given(st.integers(1, 60), st.integers(1, 80), st.integers(0, 40))
def test_a_history_grows_by_appending(total, warmdown, warmup):
    """Where a run was cut is not identity: the history to k is a prefix of the history to k + 1, stretches merged."""
    optimizer = {"kind": "muon-adam", "momentum_warmup_steps": warmup}
    history = History(train_config(total, warmdown, optimizer=optimizer), GRID)
    whole = history.until_step(total)
    for stop in range(total + 1):
        prefix = [[start, min(end, stop), acting] for start, end, acting in whole if start < stop]
        assert history.until_step(stop) == prefix


def test_a_budget_in_seconds_shares_no_trunk():
    budget = {"kind": "seconds", "seconds": 60}
    history = History(train_config(budget, steps(5)), GRID)
    assert history.until_seconds(30.0) != history.until_seconds(None)
    assert History(train_config({"kind": "seconds", "seconds": 61}, steps(5)), GRID).until_seconds(
        30.0
    ) != history.until_seconds(30.0)
