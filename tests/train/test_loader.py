"""Loaders: which tokens a batch holds, by a slow reference; the data seed moves the order and nothing else."""

import pytest
import torch

from mulligan.core.execution import Execution
from mulligan.train.trainer import Trainer
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
