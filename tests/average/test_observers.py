"""Observers against plain averages in float64; every one survives a cut; none writes to the weights."""

import pytest
import torch

from mulligan.average.config import Ema, Lawa, Swa
from mulligan.average.lawa import mean_of_snapshots
from mulligan.average.stage import make_observer
from mulligan.numerics.trigger import AtStep, LrScaleBelow, Moment
from mulligan.values.observer import Observation

SWA = Swa(kind="swa", start=AtStep(kind="at-step", step=4), every_steps=3)
EMA = Ema(kind="ema", decay=0.9)
LAWA = Lawa(kind="lawa", num_snapshots=3, every_steps=2)
NUM_STEPS = 17


def weights_at(step, dtype=torch.float32):
    generator = torch.Generator().manual_seed(step)
    shapes = {"b": (4, 5), "a": (3,)}  # not sorted, and not alike: files return them sorted
    return {name: torch.randn(shape, generator=generator).to(dtype) for name, shape in shapes.items()}


def moment(step):
    return Moment(step, step / NUM_STEPS, 1.0 - step / NUM_STEPS)


def run(observer, start=0, stop=NUM_STEPS):
    if start == 0:
        observer.begin(weights_at(0))
    for step in range(start + 1, stop + 1):
        observer.observe(moment(step), weights_at(step))
    return observer


def result(observer):
    observation = observer.observation()
    return mean_of_snapshots(observation) if observation.record["kind"] == "lawa" else observation.tensors


def expected(config):
    if config is EMA:
        shadow = {name: weight.double() for name, weight in weights_at(0).items()}
        for step in range(1, NUM_STEPS + 1):
            shadow = {name: 0.9 * shadow[name] + 0.1 * weight.double() for name, weight in weights_at(step).items()}
        return shadow
    steps = [6, 9, 12, 15] if config is SWA else [12, 14, 16]
    return {name: torch.stack([weights_at(step)[name].double() for step in steps]).mean(0) for name in ("a", "b")}


@pytest.mark.parametrize("config", [SWA, EMA, LAWA], ids=lambda config: config.kind)
def test_the_average_is_the_declared_one(config):
    for name, value in expected(config).items():
        assert torch.allclose(result(run(make_observer(config)))[name].double(), value, atol=1e-6)


@pytest.mark.parametrize("config", [SWA, EMA, LAWA], ids=lambda config: config.kind)
@pytest.mark.parametrize("cut", [1, 5, 6, 13, 16])
def test_a_cut_changes_no_bit(config, cut, tmp_path):
    whole = run(make_observer(config))
    first = run(make_observer(config), stop=cut)
    first.observation().save(tmp_path)
    second = make_observer(config)
    second.resume(Observation.load(tmp_path))
    run(second, start=cut)
    assert second.observation().record == whole.observation().record
    assert all(torch.equal(result(second)[name], result(whole)[name]) for name in ("a", "b"))


def test_the_record_says_what_was_averaged():
    assert run(make_observer(SWA)).observation().record == {
        "kind": "swa", "num_snapshots": 4, "first_step": 6, "last_step": 15, "every_steps": 3, "started": True,
    }  # fmt: skip
    assert run(make_observer(LAWA)).observation().record == {
        "kind": "lawa", "num_snapshots": 3, "first_step": 12, "last_step": 16, "every_steps": 2,
    }  # fmt: skip
    ema = run(make_observer(EMA)).observation().record
    assert (ema["num_snapshots"], ema["first_step"], ema["last_step"]) == (NUM_STEPS + 1, 0, NUM_STEPS)


@pytest.mark.parametrize("kind", ["swa", "ema", "lawa"])
@pytest.mark.parametrize("count", [24, 1000])
def test_the_mean_of_equal_bf16_weights_is_those_weights(kind, count):
    """B1: a sum kept in bf16 loses updates; the mean of 1,000 copies shrinks to 0.37 of the weight."""
    weights = {"a": torch.linspace(-3, 3, 64).to(torch.bfloat16)}
    config = {
        "swa": Swa(kind="swa", start=AtStep(kind="at-step", step=0), every_steps=1),
        "ema": Ema(kind="ema", decay=0.997),
        "lawa": Lawa(kind="lawa", num_snapshots=count, every_steps=1),
    }[kind]
    observer = make_observer(config)
    observer.begin(weights)
    for step in range(1, count + 1):
        observer.observe(moment(step), weights)
    assert torch.allclose(result(observer)["a"], weights["a"].float(), rtol=1e-6, atol=0)
    assert result(observer)["a"].dtype == torch.float32


@pytest.mark.parametrize("config", [SWA, EMA, LAWA], ids=lambda config: config.kind)
def test_observers_keep_copies_and_leave_the_weights_alone(config):
    observer = make_observer(config)
    weights = weights_at(0)
    before = {name: weight.clone() for name, weight in weights.items()}
    observer.begin(weights)
    for step in range(1, 13):
        observer.observe(moment(step), weights)
    kept = {name: tensor.clone() for name, tensor in result(observer).items()}
    assert all(torch.equal(weights[name], before[name]) for name in weights)
    for weight in weights.values():
        weight.add_(1.0)
    assert all(torch.equal(result(observer)[name], kept[name]) for name in kept)


def test_a_trigger_is_latched():
    """A learning-rate scale that rises again does not stop the average (budgets in seconds judge it live)."""
    observer = make_observer(Swa(kind="swa", start=LrScaleBelow(kind="lr-scale-below", value=0.5), every_steps=1))
    for step, scale in enumerate([1.0, 0.4, 0.9, 0.9], start=1):
        observer.observe(Moment(step, 0.0, scale), weights_at(step))
    assert observer.observation().record["num_snapshots"] == 3
