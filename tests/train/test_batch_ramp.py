"""The batch-size ramp: sizes by hand, real tokens in every budget, schedule and count, states keyed by what was read."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mulligan.core.execution import Execution
from mulligan.numerics.trigger import AtFraction, AtStep
from mulligan.train.batch_ramp import BatchSizes, linear_ramp
from mulligan.train.history import History, shared_until
from mulligan.train.schedule import Schedule
from mulligan.train.trainer import Trainer
from mulligan.values.train_state import TrainState
from toy import GRID, ToyStream, model_config, train_config


def ramp(until=6, start_tokens=8, num_sizes=3):
    trigger = {"kind": "at-step", "step": until} if isinstance(until, int) else {"kind": "at-fraction", "value": until}
    return {"kind": "linear", "start_tokens": start_tokens, "num_sizes": num_sizes, "until": trigger}


def ramped(budget=12, warmdown=4, batch_tokens=32, **changes):
    """12 steps: two of 8, two of 16, two of 24, six of 32 tokens."""
    return train_config(budget, warmdown, batch_tokens=batch_tokens, **{"batch_ramp": ramp(), **changes})


def sizes_of(config):
    return [config.batch_sizes.at(step) for step in range(config.num_steps)]


def trainer(config, seed=0):
    return Trainer(config, model_config(), ToyStream(), seed, Execution())


def test_sizes_rise_evenly_to_the_whole_batch():
    assert sizes_of(ramped()) == [8, 8, 16, 16, 24, 24, 32, 32, 32, 32, 32, 32]
    assert sizes_of(ramped(batch_ramp=ramp(0.5))) == sizes_of(ramped())
    assert sizes_of(ramped(batch_ramp=ramp(4, num_sizes=1))) == [8] * 4 + [32] * 8


def test_sizes_are_whole_rows_of_every_part():
    config = ramped(batch_tokens=80, accumulation_steps=2, batch_ramp=ramp(6, start_tokens=16))
    assert sizes_of(config)[::2] == [16, 32, 48, 80, 80, 80]  # 16, 37.3, 58.7 rounded down to multiples of 16


@given(st.integers(1, 5), st.integers(1, 30), st.integers(1, 9), st.integers(0, 40), st.integers(0, 60), st.integers(1, 3000))
def test_tokens_and_steps_are_sums_over_the_sizes(first, more, num_sizes, until, num_steps, tokens):
    sizes = linear_ramp(8 * first, 8 * (first + num_sizes + more), 8, num_sizes, until)
    each = [sizes.at(step) for step in range(max(num_steps, 400))]
    assert sizes.tokens(num_steps) == sum(each[:num_steps])
    assert sizes.steps(tokens) == int(np.searchsorted(np.cumsum(each), tokens)) + 1
    assert each == sorted(each)
    assert BatchSizes((0,), (16,)).steps(tokens) == -(-tokens // 16)


def test_a_budget_in_tokens_counts_the_tokens_that_are_read():
    """96 tokens in six steps of the ramp, then 32 a step."""
    config = ramped({"kind": "tokens", "tokens": 96 + 3 * 32 + 1})
    assert config.num_steps == 6 + 4
    schedule = Schedule(config)
    assert [schedule.fraction(step) for step in (0, 2, 6, 10)] == [0, 16 / 224, 96 / 224, 1]
    assert schedule.resolve(AtFraction(kind="at-fraction", value=0.5)) == AtStep(kind="at-step", step=7)
    run = trainer(config)
    run.advance()
    assert (run.step, run.batches.cursor) == (10, 96 + 4 * 32 + 10)  # the sequential loader skips a token a step


@pytest.mark.parametrize("fraction", [0.1, 0.25, 0.5])
def test_a_fraction_of_a_token_budget_is_a_fraction_of_its_tokens(fraction):
    """The shortest ramp that has read the fraction."""
    config = ramped({"kind": "tokens", "tokens": 2000}, batch_ramp=ramp(fraction))
    end = config.batch_sizes.starts[-1]
    assert config.batch_sizes.tokens(end) >= 2000 * fraction
    assert linear_ramp(8, 32, 8, 3, end - 1).tokens(end - 1) < 2000 * fraction


def test_warmdowns_in_tokens_are_linear_in_the_tokens_left():
    by_tokens = Schedule(ramped(12, {"kind": "tokens", "tokens": 96}))
    assert [by_tokens.lr_scale(step) for step in range(8, 12)] == [1, 1, 2 / 3, 1 / 3]
    config = ramped({"kind": "tokens", "tokens": 288}, {"kind": "fraction", "fraction": 1 / 3})
    assert Schedule(config).num_steps == 12
    assert [Schedule(config).lr_scale(step) for step in range(8, 12)] == pytest.approx([1, 1, 2 / 3, 1 / 3])


@pytest.mark.parametrize(
    ("budget", "warmdown"),
    [(12, {"kind": "tokens", "tokens": 224}), ({"kind": "tokens", "tokens": 288}, {"kind": "fraction", "fraction": 0.8})],
)
def test_a_warmdown_in_tokens_within_the_ramp_is_refused(budget, warmdown):
    with pytest.raises(ValueError, match=r"begins before train\.batch_ramp ends at step 6 of 12"):
        Schedule(ramped(budget, warmdown))
    assert Schedule(ramped(12, 12)).lr_scale(3) == 0.75  # in steps it may


def test_a_step_of_the_ramp_is_a_step_of_a_smaller_batch():
    """Before the sizes change, the run is that of the small batch; the tokens go on where it left off."""
    small, run = trainer(train_config(12, 4, batch_tokens=8)), trainer(ramped())
    for one in (small, run):
        one.advance(until_step=2)
    assert all(torch.equal(weight, run.weights[name]) for name, weight in small.weights.items())
    assert small.batches.cursor == run.batches.cursor
    inputs, _ = run.batches.next(torch.device("cpu"), 16)
    assert torch.equal(inputs.flatten(), torch.from_numpy(ToyStream().take(run.batches.start + 18, 16)))


@pytest.mark.parametrize("kind", ["sequential", "shuffled", "document-packing"])
@pytest.mark.parametrize("cut", [1, 2, 5, 6, 9])
def test_it_resumes_bit_for_bit(kind, cut, tmp_path):
    start = {"start": "seeded"} if kind == "sequential" else {}
    config = ramped(batch_tokens=64, accumulation_steps=2, batch_ramp=ramp(start_tokens=16), loader={"kind": kind, **start})
    whole, first, second = trainer(config), trainer(config), trainer(config)
    whole.advance()
    first.advance(until_step=cut)
    first.state().save(tmp_path)
    second.load(TrainState.load(tmp_path))
    second.advance()
    assert all(torch.equal(weight, second.weights[name]) for name, weight in whole.weights.items())
    assert whole.batches.cursor == second.batches.cursor


def way(**changes):
    config = ramped(**changes)
    return History(config, GRID).until_step(config.num_steps)


def test_states_are_keyed_by_the_sizes_that_were_read():
    assert [stretch[2].get("batch_tokens") for stretch in way()] == [8, 16, 16, 24, None, None]  # momentum warms up for 3 steps
    plain = way(batch_ramp={"kind": "off"})
    assert shared_until(way(), plain) == 0
    assert shared_until(way(), way(batch_ramp=ramp(9))) == 2  # the first size holds for two steps, or for three
    assert shared_until(way(batch_ramp=ramp(4, num_sizes=1)), way(batch_ramp=ramp(7, num_sizes=1))) == 4
    assert way(batch_ramp=ramp(0.5)) == way()
    assert History(ramped(), GRID).static() == History(ramped(batch_ramp={"kind": "off"}), GRID).static()


def test_ramps_that_end_apart_share_their_states_until_then():
    runs = [trainer(ramped(batch_ramp=ramp(until, num_sizes=1))) for until in (4, 7)]
    for step, equal in ((4, True), (5, False)):
        for run in runs:
            run.advance(until_step=step)
        early, late = (run.weights["tok_emb.weight"] for run in runs)
        assert torch.equal(early, late) is equal


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"batch_ramp": ramp(start_tokens=12)}, "multiple of 8, at most 8"),
        ({"batch_ramp": ramp(start_tokens=16)}, "multiple of 8, at most 8"),
        ({"batch_ramp": ramp(12)}, "ends at step 12 of 12"),
        ({"batch_ramp": ramp(1.0)}, "ends at step 12 of 12"),
        ({"batch_ramp": ramp(2)}, "3 sizes and ends at step 2"),
        ({"budget": {"kind": "tokens", "tokens": 90}}, "ends at step 6 of 6"),
        ({"budget": {"kind": "seconds", "seconds": 9}}, "needs a budget in steps or tokens"),
    ],
)
def test_ramps_that_cannot_be_are_refused(changes, match):
    with pytest.raises(ValueError, match=match):
        ramped(**changes)


def test_without_a_ramp_a_warmdown_in_tokens_may_be_longer_than_the_run():
    config = train_config(budget={"kind": "steps", "steps": 8}, warmdown={"kind": "tokens", "tokens": 1000})
    assert Schedule(config).lr_scale(0) < 1


def test_more_sizes_than_dynamo_keeps_by_itself_can_be_compiled():
    """Each size is a graph of its own; with Dynamo's limit of 8 the ninth would end the training."""
    config = ramped(batch_tokens=88, batch_ramp=ramp(10, num_sizes=10))
    assert len(set(sizes_of(config))) == 11
    torch._dynamo.reset()
    with torch._dynamo.config.patch(recompile_limit=8):
        plain, run = trainer(config), Trainer(config, model_config(), ToyStream(), 0, Execution(compile=True))
        run.loss = torch.compile(run.model, backend="eager", fullgraph=True, dynamic=False)
        plain.advance()
        run.advance()
    assert all(torch.equal(weight, run.weights[name]) for name, weight in plain.weights.items())
    torch._dynamo.reset()
