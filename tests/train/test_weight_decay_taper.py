"""The taper against its definition, step by step, in the schedule, in the history and in the weights."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mulligan.core.config import parse_config
from mulligan.core.execution import Execution
from mulligan.numerics.trigger import Moment
from mulligan.train.config import MuonAdam
from mulligan.train.history import History
from mulligan.train.schedule import Schedule
from mulligan.train.trainer import Trainer
from mulligan.values.train_state import TrainState
from toy import GRID, ToyStream, model_config, steps, train_config

DECAY = 0.3


def config(from_fraction=0.5, to=0.25, budget=12, warmdown=3, **changes):
    taper = {"kind": "linear", "from_fraction": from_fraction, "to": to} if from_fraction is not None else {"kind": "off"}
    optimizer = {"kind": "muon-adam", "muon_weight_decay": DECAY, "muon_weight_decay_taper": taper, **changes}
    return train_config(budget, warmdown, optimizer={"momentum_warmup_steps": 3, **optimizer})


def definition(fraction, from_fraction, to):
    """1 until `from_fraction`, then linear to `to` at 1."""
    return 1.0 if fraction <= from_fraction else 1.0 + (to - 1.0) * (fraction - from_fraction) / (1.0 - from_fraction)


@given(st.integers(2, 300), st.floats(0, 0.99), st.floats(0, 0.99))
def test_the_scale_is_the_definition_at_every_step(total, from_fraction, to):
    if from_fraction * total >= total - 1.001:
        return  # no step would be trained with it, but for rounding
    schedule = Schedule(config(from_fraction, to, budget=total))
    scales = [schedule.decay_scale(schedule.before(step)) for step in range(total)]
    assert scales == pytest.approx([definition(step / total, from_fraction, to) for step in range(total)], abs=1e-9)


def test_by_hand_the_published_taper():
    """PR 1729: 1 until 0.70, 0.50 at the end; the last of 10 steps begins at 0.9 of the budget."""
    schedule = Schedule(config(0.7, 0.5, budget=10))
    scales = [schedule.decay_scale(schedule.before(step)) for step in range(10)]
    assert scales == pytest.approx([1, 1, 1, 1, 1, 1, 1, 1, 5 / 6, 2 / 3])


def test_a_budget_in_seconds_tapers_by_the_clock():
    schedule = Schedule(config(0.5, 0.0, budget={"kind": "seconds", "seconds": 100}, warmdown=steps(5)))
    assert [schedule.decay_scale(Moment(7, fraction, 1.0)) for fraction in (0.0, 0.5, 0.75, 1.0)] == [1, 1, 0.5, 0]
    assert "muon_weight_decay_taper" in History(schedule.config, GRID).until_seconds(None)[0][2]


def test_without_a_taper_the_scale_is_1_and_no_history_knows_of_one():
    off = config(None)
    assert Schedule(off).decay_scale(Moment(11, 11 / 12, 1.0)) == 1.0
    assert "taper" not in str(History(off, GRID).static()) + str(History(off, GRID).until_step(12))


def ways(one, other, stop):
    return [(History(c, GRID).static(), History(c, GRID).until_step(stop)) for c in (one, other)]


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        (config(0.5), config(None), 7),
        (config(0.5, 0.25), config(0.5, 0.75), 7),
        (config(0.25), config(0.5), 4),
        (config(0.5, budget=24), config(None, budget=12), 10),  # the shorter run's warmdown comes first
        (config(0.5, budget=12), config(0.5, budget=24), 7),
    ],
)
def test_two_runs_share_their_trunk_until_the_first_step_that_the_taper_touches(one, other, shared):
    here, there = ways(one, other, shared)
    assert here == there
    here, there = ways(one, other, shared + 1)
    assert here != there


def trainer(config):
    return Trainer(config, model_config(), ToyStream(), 0, Execution())


def test_training_multiplies_the_weight_decay_and_nothing_else():
    """Against a run without a taper whose decay is set by hand before every step."""
    run, by_hand = trainer(config(0.5, 0.25)), trainer(config(None))
    run.advance()
    for step in range(12):
        by_hand.optimizer.muon.weight_decay = DECAY * definition(step / 12, 0.5, 0.25)
        by_hand.advance(until_step=step + 1)
    plain = trainer(config(None))
    plain.advance()
    for name, weight in run.weights.items():
        assert torch.allclose(weight, by_hand.weights[name], rtol=0, atol=1e-6), name
    assert any(not torch.allclose(weight, plain.weights[name], rtol=0, atol=1e-4) for name, weight in run.weights.items())


@pytest.mark.parametrize("cut", [6, 7, 8, 11])
def test_a_cut_changes_no_bit(cut, tmp_path):
    whole, first, second = (trainer(config()) for _ in range(3))
    whole.advance()
    first.advance(until_step=cut)
    first.state().save(tmp_path)
    second.load(TrainState.load(tmp_path))
    second.advance()
    assert all(torch.equal(second.weights[name], whole.weights[name]) for name in whole.weights)


def test_a_taper_of_no_decay_is_refused():
    with pytest.raises(ValueError, match=r"muon_weight_decay is 0, so there is nothing to taper; give a muon_weight_decay"):
        parse_config(MuonAdam, {"kind": "muon-adam", **taper_of(0.5)}, "train.optimizer")
    with pytest.raises(ValueError, match=r"to = 1.*less than 1"):
        parse_config(MuonAdam, {"kind": "muon-adam", "muon_weight_decay": 0.1, **taper_of(0.5, 1.0)}, "train.optimizer")


def taper_of(from_fraction, to=0.5):
    return {"muon_weight_decay_taper": {"kind": "linear", "from_fraction": from_fraction, "to": to}}


def test_a_taper_that_no_step_is_trained_with_is_refused():
    with pytest.raises(ValueError, match=r"begins after 0\.95 of the budget, and the last of its 12 steps begins at 0\.916667"):
        Schedule(config(0.95))
    assert Schedule(config(0.91)).decay_scale(Moment(11, 11 / 12, 1.0)) < 1.0
