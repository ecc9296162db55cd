"""Loaders: which tokens a batch holds, by a slow reference; the data seed moves the order and nothing else."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from mulligan.core.execution import Execution
from mulligan.data.shard import ShardWriter
from mulligan.train.loader import make_batches
from mulligan.train.trainer import Trainer
from mulligan.values.corpus import TokenStream
from mulligan.values.train_state import TrainState
from toy import ToyStream, model_config, train_config

CPU = torch.device("cpu")


def trainer(seed=0, **changes):
    return Trainer(train_config(**changes), model_config(), ToyStream(), seed, Execution())


def same_weights(one, other):
    return all(torch.equal(weight, other.weights[name]) for name, weight in one.weights.items())


def same_tokens(one, other):
    return all(torch.equal(*parts) for parts in zip(one.batches.next(CPU), other.batches.next(CPU), strict=True))


def test_the_data_seed_moves_the_data_order_and_the_seed_then_moves_initialisation_alone():
    plain, one, other = trainer(0), trainer(0, data_seed=1), trainer(0, data_seed=2)
    assert same_weights(plain, one)
    assert same_weights(one, other)
    assert not same_tokens(one, other)
    first, second = trainer(0, data_seed=1), trainer(5, data_seed=1)
    assert not same_weights(first, second)
    assert same_tokens(first, second)


def test_the_order_without_a_data_seed_is_that_of_the_runs_seed():
    assert same_tokens(trainer(3), trainer(0, data_seed=3))


def test_a_data_seed_that_nothing_reads_is_refused():
    with pytest.raises(ValueError, match=r"data_seed = 1 draws nothing, because loader\.start is 'fixed'"):
        train_config(data_seed=1, loader={"kind": "sequential", "start": "fixed"})


def test_the_data_order_is_recorded():
    run = trainer(0, data_seed=1)
    assert run.state().data_start == trainer(1).batches.start
    assert run.config.canonical()["data_seed"] == 1
    assert "data_seed" not in train_config().canonical()


SHUFFLED = {"kind": "shuffled"}
PACKING = {"kind": "document-packing"}


def row_starts(run, count):
    """Return where the next rows lie in ToyStream(tokens = positions), after checking that each is adjacent tokens."""
    inputs, targets = (torch.cat(parts) for parts in zip(*(run.batches.next(CPU) for _ in range(count)), strict=True))
    assert torch.equal(targets, inputs + 1)
    assert torch.equal(inputs, inputs[:, :1] + torch.arange(inputs.size(1)))
    return inputs[:, 0].tolist()


def numbered(num_tokens=500):
    """Return a stream whose token number i is i, so that a batch says where it was read."""
    stream = ToyStream(num_tokens)
    stream.tokens = np.arange(num_tokens)
    return stream


def loader(stream, seed=0, **changes):
    return SimpleNamespace(batches=make_batches(train_config(**changes), stream, seed))


@pytest.mark.parametrize("num_tokens", [500, 503, 504, 505])
def test_each_epoch_reads_every_block_of_its_phase_once(num_tokens):
    """500 tokens, rows of 8: 61 blocks whatever the phase. Four epochs, each with a phase and an order of its own."""
    num_blocks = num_tokens // 8 - 1
    run = loader(numbered(num_tokens), loader=SHUFFLED, batch_tokens=8)
    epochs = [row_starts(run, num_blocks) for _ in range(4)]
    assert run.batches.start == epochs[0][0]
    for starts in epochs:
        phase = min(starts)
        assert 0 <= phase < 8
        assert sorted(starts) == list(range(phase, phase + 8 * num_blocks, 8))
        assert starts != sorted(starts)
    assert len({min(starts) for starts in epochs}) > 1
    assert len({tuple(start - min(starts) for start in starts) for starts in epochs}) == 4


def test_every_phase_is_drawn_and_every_token_is_a_target_in_time():
    """No token is left out for ever: phases cover 0 to seq_len - 1."""
    run = loader(numbered(40), loader=SHUFFLED, batch_tokens=8)
    starts = row_starts(run, 4 * 100)
    assert {min(starts[i : i + 4]) for i in range(0, 400, 4)} == set(range(8))
    assert {start + i for start in starts for i in range(1, 9)} == set(range(1, 40))


def test_the_shuffled_order_does_not_depend_on_how_it_is_cut_into_batches():
    whole = row_starts(loader(numbered(), loader=SHUFFLED, batch_tokens=8), 192)
    for changes in ({"batch_tokens": 24}, {"batch_tokens": 48, "accumulation_steps": 3}, {"batch_tokens": 256}):
        run = loader(numbered(), loader=SHUFFLED, **changes)
        count = 192 * 8 // run.batches.part_tokens
        assert row_starts(run, count) == whole


@pytest.mark.parametrize("cut", [0, 1, 60, 61, 62, 130])
def test_the_cursor_alone_is_the_state_of_a_shuffled_loader(cut):
    whole = row_starts(loader(numbered(), loader=SHUFFLED, batch_tokens=8), 150)
    run = loader(numbered(), loader=SHUFFLED, batch_tokens=8)
    run.batches.cursor = 8 * cut
    assert row_starts(run, 150 - cut) == whole[cut:]


def test_seeds_draw_different_orders():
    one, same, other = (row_starts(loader(numbered(), seed, loader=SHUFFLED), 8) for seed in (0, 0, 1))
    assert one == same != other


@pytest.mark.parametrize("num_tokens", [15, 31])
def test_a_stream_without_a_batch_of_blocks_is_refused(num_tokens):
    with pytest.raises(ValueError, match=f"{num_tokens} tokens and one batch takes 32"):
        loader(numbered(num_tokens), loader=SHUFFLED, batch_tokens=24)
    assert len(row_starts(loader(numbered(32), loader=SHUFFLED, batch_tokens=24), 2)) == 6


@pytest.mark.parametrize("loader", [SHUFFLED, PACKING], ids=lambda loader: loader["kind"])
@pytest.mark.parametrize("cut", [0, 3, 5, 8])
def test_a_training_is_cut_and_resumed_bit_for_bit(loader, cut, tmp_path):
    """The toy epoch is 61 rows, two a step; 40 steps pass its end."""
    config = {"budget": 40, "loader": loader}
    whole, first, second = trainer(**config), trainer(**config), trainer(**config)
    whole.advance()
    first.advance(until_step=5 * cut)
    first.state().save(tmp_path)
    second.load(TrainState.load(tmp_path))
    second.advance()
    assert same_weights(whole, second)
    assert whole.state().data_cursor == second.state().data_cursor


def test_rows_come_from_every_shard_and_across_their_ends(tmp_path):
    writer = ShardWriter(tmp_path, "train", 37)
    writer.add(np.arange(500))
    stream = TokenStream([tmp_path / shard["file"] for shard in writer.close()])
    found = row_starts(loader(stream, loader=SHUFFLED), 60)
    assert found == row_starts(loader(numbered(), loader=SHUFFLED), 60)
