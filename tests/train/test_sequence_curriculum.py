"""The sequence-length curriculum: the same tokens in shorter rows, up to the step that the history names and no further."""

import pytest
import torch

from mulligan.core.execution import Execution
from mulligan.train.history import History, shared_until
from mulligan.train.schedule import Schedule
from mulligan.train.sequence_curriculum import row_lengths
from mulligan.train.trainer import Trainer
from mulligan.values.train_state import TrainState
from toy import GRID, ToyStream, model_config, train_config

CPU = torch.device("cpu")
LOADERS = [{"kind": "sequential", "start": "seeded"}, {"kind": "shuffled"}, {"kind": "document-packing"}]


def curriculum(until=5, seq_len=4):
    trigger = {"kind": "at-step", "step": until} if isinstance(until, int) else until
    return {"kind": "shorter-first", "seq_len": seq_len, "until": trigger}


def config(until=5, seq_len=4, **changes):
    """12 steps of 32 tokens, in rows of 4 for the first five and of 8 after."""
    return train_config(12, 4, **{"batch_tokens": 32, "sequence_curriculum": curriculum(until, seq_len), **changes})


def trainer(config):
    return Trainer(config, model_config(), ToyStream(), 0, Execution())


def weights_at(config, *steps):
    """Return the weights after each of `steps` steps."""
    run, found = trainer(config), []
    for step in steps:
        run.advance(until_step=step)
        found.append({name: weight.detach().clone() for name, weight in run.weights.items()})
    return found


def same(one, other):
    return all(torch.equal(weight, other[name]) for name, weight in one.items())


@pytest.mark.parametrize("loader", LOADERS, ids=lambda loader: loader["kind"])
def test_the_tokens_are_those_of_full_rows_and_their_order_too(loader):
    plain, run = trainer(config(loader=loader, sequence_curriculum={"kind": "off"})), trainer(config(loader=loader))
    shapes = []
    forward = run.loss
    run.loss = lambda inputs, targets: (shapes.append(tuple(inputs.shape)), forward(inputs, targets))[1]
    for _ in range(7):
        before = plain.batches.cursor
        whole, short = plain.batches.next(CPU), run.batches.next(CPU, 32, 4)
        assert short[0].shape == (8, 4)
        assert all(torch.equal(one.flatten(), other.flatten()) for one, other in zip(whole, short, strict=True))
        assert run.batches.cursor == plain.batches.cursor > before
    run.advance()
    assert shapes == [(8, 4)] * 5 + [(4, 8)] * 7


def test_before_the_change_it_is_the_training_on_short_rows():
    """The sequential loader reads equal spans whatever the length of rows."""
    short = train_config(12, 4, batch_tokens=32, seq_len=4)
    (at_5, at_6), (short_5, short_6) = weights_at(config(), 5, 6), weights_at(short, 5, 6)
    assert same(at_5, short_5)
    assert not same(at_6, short_6)


@pytest.mark.parametrize("loader", LOADERS, ids=lambda loader: loader["kind"])
def test_runs_that_differ_in_when_the_change_comes_share_the_trunk_until_then(loader):
    """Equal keys are equal states, and the histories part at the very step at which the weights do."""
    early, late = config(4, loader=loader), config(7, loader=loader)
    ways = [History(one, GRID).until_step(12) for one in (early, late)]
    assert History(early, GRID).static() == History(late, GRID).static()
    assert shared_until(*ways) == 4
    (early_4, early_5), (late_4, late_5) = weights_at(early, 4, 5), weights_at(late, 4, 5)
    assert same(early_4, late_4)
    assert not same(early_5, late_5)


def test_the_history_names_the_short_rows_where_they_act():
    way = History(config(), GRID).until_step(12)
    assert [(start, stop, acting.get("seq_len")) for start, stop, acting in way] == [
        (0, 3, 4),  # the momentum's warm-up
        (3, 5, 4),
        (5, 9, None),
        (9, 12, None),  # the warmdown
    ]
    plain = History(config(sequence_curriculum={"kind": "off"}), GRID)
    assert History(config(), GRID).static() == plain.static()
    assert shared_until(way, plain.until_step(12)) == 0


@pytest.mark.parametrize(
    ("until", "step"),
    [
        ({"kind": "at-fraction", "value": 0.5}, 6),
        ({"kind": "lr-scale-below", "value": 0.9}, 9),
        ({"kind": "at-step", "step": 5}, 5),
    ],
)
def test_every_trigger_ends_it_before_the_step_that_runs(until, step):
    lengths = row_lengths(config(until), Schedule(config(until)))
    assert [lengths.at(i) for i in range(12)] == [4] * step + [8] * (12 - step)


@pytest.mark.parametrize("cut", [1, 4, 5, 6])
def test_it_resumes_bit_for_bit(cut, tmp_path):
    first, second = trainer(config(loader=LOADERS[1])), trainer(config(loader=LOADERS[1]))
    first.advance(until_step=cut)
    first.state().save(tmp_path)
    second.load(TrainState.load(tmp_path))
    second.advance()
    assert same(second.weights, weights_at(config(loader=LOADERS[1]), 12)[0])


def test_a_ramp_and_a_curriculum_act_at_once():
    """Rows of 4 for five steps, batches of 16 for three: equal tokens, other shapes."""
    ramp = {"kind": "linear", "start_tokens": 16, "num_sizes": 1, "until": {"kind": "at-step", "step": 3}}
    run, shapes = trainer(config(batch_ramp=ramp)), []
    forward = run.loss
    run.loss = lambda inputs, targets: (shapes.append(tuple(inputs.shape)), forward(inputs, targets))[1]
    run.advance()
    assert shapes == [(4, 4)] * 3 + [(8, 4)] * 2 + [(4, 8)] * 7


def test_the_compiled_network_trains_the_same_bits_before_and_after_the_change():
    torch._dynamo.reset()
    run = trainer(config())
    run.loss = torch.compile(run.model, backend="eager", fullgraph=True, dynamic=False)
    run.advance()
    assert same(run.weights, weights_at(config(), 12)[0])


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"seq_len": 3}, r"give one of \[1, 2, 4\]"),
        ({"seq_len": 8}, r"give one of \[1, 2, 4\]"),
        ({"seq_len": 16}, r"give one of \[1, 2, 4\]"),
        ({"budget": {"kind": "seconds", "seconds": 9}}, "needs a budget in steps or tokens"),
    ],
)
def test_curricula_that_cannot_be_are_refused(changes, match):
    with pytest.raises(ValueError, match=match):
        train_config(
            changes.get("budget", 12), 4, batch_tokens=32, sequence_curriculum=curriculum(5, changes.get("seq_len", 4))
        )


@pytest.mark.parametrize(("until", "match"), [(0, "before the first step"), (12, "never fires in 12 steps")])
def test_a_curriculum_that_never_acts_or_never_ends_is_refused(until, match):
    with pytest.raises(ValueError, match=match):
        History(config(until), GRID)
