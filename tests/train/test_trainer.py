"""The training loop: bits do not depend on where it is cut, observers change nothing, every parameter learns."""

import hashlib

import numpy as np
import pytest
import torch

from mulligan.average.config import Ema
from mulligan.average.stage import make_observer
from mulligan.core.error import DivergedError
from mulligan.core.execution import Execution
from mulligan.train.parameter_group import split_parameters
from mulligan.train.trainer import Trainer
from mulligan.values.train_state import TrainState
from toy import GRID, ToyStream, model_config, train_config


def trainer(config=None, seed=0, observers=(), model=None, **execution):
    config, model = config or train_config(), model or model_config()
    return Trainer(config, model, ToyStream(), seed, Execution(**execution), observers, grid=GRID)


def bits(state):
    parts = [*state.weights.items(), *state.optimizer.items()]
    digest = hashlib.sha256()
    for name, tensor in sorted(parts):
        digest.update(name.encode() + tensor.detach().numpy().tobytes())
    for name, column in sorted(state.metrics.items()):
        digest.update(name.encode() + column.tobytes())
    return digest.hexdigest(), state.step, state.data_cursor


def trained(**arguments):
    run = trainer(**arguments)
    run.begin()
    run.advance()
    return run


@pytest.mark.parametrize("cut", range(9))
def test_cutting_anywhere_gives_the_same_bits(cut, tmp_path):
    whole = bits(trained().state())
    first = trainer()
    first.advance(until_step=cut)
    first.state().save(tmp_path)
    second = trainer()
    second.load(TrainState.load(tmp_path))
    second.advance()
    assert bits(second.state()) == whole


def test_equal_states_are_equal_bytes(tmp_path):
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder, cuts in zip(folders, ([8], [3, 5, 8]), strict=True):
        run = trainer()
        for cut in cuts:
            run.advance(until_step=cut)
        folder.mkdir()
        run.state().save(folder)
    for path in folders[0].iterdir():
        assert path.read_bytes() == (folders[1] / path.name).read_bytes(), path.name


def test_observers_change_no_bit():
    plain = bits(trained().state())
    observers = [make_observer(Ema(kind="ema", decay=0.9))]
    assert bits(trained(observers=observers).state()) == plain
    assert observers[0].observation().record["num_snapshots"] == 9


def test_every_parameter_is_in_exactly_one_group_and_moves():
    """B7: a parameter that no optimizer owns keeps its initial value for ever."""
    for model in (model_config(), model_config(embedding={"kind": "untied"}), model_config(num_layers=3)):
        optimizer = {"kind": "muon-adam", "head_lr": 0.01 if model.embedding.kind == "untied" else None}
        run = trainer(train_config(optimizer=optimizer), model=model)
        owned = [name for group in split_parameters(run.model) for name in group.parameters]
        assert sorted(owned) == sorted(name for name, p in run.model.named_parameters() if p.requires_grad)
        before = {name: weight.detach().clone() for name, weight in run.weights.items()}
        run.advance(until_step=4)
        still = [name for name, weight in run.weights.items() if torch.equal(weight, before[name])]
        assert still == []


def test_no_gradient_outlives_its_step():
    """B8: gradients are cleared over the model, not over what the optimizer happens to own."""
    run = trainer()
    run.advance(until_step=2)
    assert all(weight.grad is None for weight in run.model.parameters())


def test_the_seed_moves_initialisation_and_data_order():
    one, other = trainer(seed=0), trainer(seed=1)
    assert not torch.equal(one.weights["tok_emb.weight"], other.weights["tok_emb.weight"])
    assert one.batches.start != other.batches.start
    fixed = train_config(loader={"kind": "sequential", "start": "fixed"})
    assert trainer(fixed, seed=1).batches.start == 0


def test_accumulating_gradients_agrees_with_one_large_batch():
    """Equal up to rounding and to the one token that each part of a step skips at its end."""
    run = trainer(train_config(batch_tokens=32, accumulation_steps=2))
    parts = [run.batches.next(torch.device("cpu")) for _ in range(2)]
    run.batches.cursor = 0
    run._gradients()
    accumulated = run.weights["blocks.0.mlp.proj.weight"].grad.clone()
    run.model.zero_grad()
    inputs, targets = (torch.cat([part[i] for part in parts]) for i in (0, 1))
    run.model(inputs, targets).mean().backward()
    assert torch.allclose(run.weights["blocks.0.mlp.proj.weight"].grad, accumulated, atol=1e-6)


def test_clipping_bounds_the_global_norm_and_is_recorded():
    run = trained(config=train_config(grad_clip_norm=0.01))
    assert np.isfinite(run.state().metrics["grad_norm"]).all()
    assert np.isnan(trained().state().metrics["grad_norm"]).all()
    run._gradients()
    run._clip()
    total = torch.stack([p.grad.norm() for p in run.model.parameters()]).norm()
    assert total <= 0.0100001


def test_training_learns():
    losses = trained(config=train_config(60, 20)).state().metrics["loss_nats"]
    assert losses[-5:].mean() < losses[:5].mean() - 0.3


def test_a_loss_that_is_not_finite_ends_the_run_and_says_where():
    run = trainer(train_config(40, 4))
    run.advance(until_step=5)
    with torch.no_grad():
        run.weights["tok_emb.weight"].fill_(float("nan"))
    with pytest.raises(DivergedError, match="at step 5 of 40"):
        run.advance()


def test_warming_up_leaves_no_trace():
    """B17: the rollback covers weights, every optimizer state, the loader, and the metrics."""
    for steps_before in (0, 3):
        run = trainer(observers=[make_observer(Ema(kind="ema", decay=0.9))])
        run.begin()
        run.advance(until_step=steps_before)
        before = bits(run.state())
        run.warm_up(3)
        assert bits(run.state()) == before
        run.advance()
        assert bits(run.state()) == bits(trained().state())


def test_a_budget_in_seconds_stops_by_the_clock():
    run = trained(config=train_config({"kind": "seconds", "seconds": 0.3}, {"kind": "seconds", "seconds": 0.1}))
    state = run.state()
    assert 0.3 <= state.elapsed_seconds < 5
    assert state.step > 0
    assert state.metrics["lr_scale"][-1] < 1


def test_a_corpus_smaller_than_a_batch_is_refused():
    with pytest.raises(ValueError, match="500 tokens and one batch takes 513"):
        trainer(train_config(batch_tokens=512))


def test_the_compiled_network_trains_the_same_bits():
    """Dynamo's eager backend: what the compiler traces is what runs, before and after the warmdown begins."""
    plain = trained()
    run = trainer()
    run.loss = torch.compile(run.model, backend="eager", fullgraph=True)
    run.advance()
    assert bits(run.state()) == bits(plain.state())


# What begins late: a recurrence at step 2 and rounded weights at step 4 of 8

LOOPED = model_config(num_layers=3, recurrence={"kind": "loop", "first": 1, "last": 1, "num_repeats": 2})
LATE = train_config(
    recurrence_start={"kind": "at-step", "step": 2},
    fake_quantize={"kind": "parameter-swap", "start": {"kind": "at-step", "step": 4}},
)


@pytest.mark.parametrize("cut", range(9))
def test_what_begins_late_begins_at_its_step_wherever_the_run_is_cut(cut, tmp_path):
    whole = bits(trained(config=LATE, model=LOOPED).state())
    first = trainer(LATE, model=LOOPED)
    first.advance(until_step=cut)
    first.state().save(tmp_path)
    second = trainer(LATE, model=LOOPED)
    second.load(TrainState.load(tmp_path))
    second.advance()
    assert bits(second.state()) == whole


def test_warming_up_past_what_begins_late_leaves_no_trace():
    run = trainer(LATE, model=LOOPED)
    run.warm_up(6)
    assert not run.model.looping
    run.advance()
    assert bits(run.state()) == bits(trained(config=LATE, model=LOOPED).state())


def test_a_recurrence_changes_the_training_from_its_step_on_and_the_graph_with_it(monkeypatch):
    """B3: compiled before and after it begins, the network trains the bits of the eager one."""
    never, looped = trained(config=train_config(), model=LOOPED), trained(config=LATE, model=LOOPED)
    early = trainer(LATE, model=LOOPED)
    early.advance(until_step=2)
    plain = trainer(train_config(recurrence_start={"kind": "at-step", "step": 7}), model=LOOPED)
    plain.advance(until_step=2)
    assert bits(early.state()) == bits(plain.state())
    assert bits(never.state()) != bits(looped.state())
    compiled = torch.compile
    monkeypatch.setattr(torch, "compile", lambda model, **how: compiled(model, **{**how, "backend": "eager"}))
    torch._dynamo.reset()
    assert bits(trained(config=LATE, model=LOOPED, compile=True).state()) == bits(looped.state())
