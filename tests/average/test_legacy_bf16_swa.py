"""The wrong sum is wrong in the way that was published, is labelled, and survives a cut like any observer."""

import pytest
import torch

from mulligan.average.config import LegacyBf16Swa
from mulligan.average.stage import average, make_observer
from mulligan.numerics.trigger import AtStep, Moment
from mulligan.values.observer import Observation

CONFIG = LegacyBf16Swa(kind="legacy-bf16-swa", start=AtStep(kind="at-step", step=1), every_steps=1)
WEIGHTS = {"b": torch.linspace(0.5, 1.0, 40).view(8, 5), "a": torch.full((3,), 0.7)}


def observed(count, cut=None, folder=None):
    observer = make_observer(CONFIG)
    observer.begin(WEIGHTS)
    for step in range(1, count + 1):
        observer.observe(Moment(step, step / count, 1.0), WEIGHTS)
        if step == cut:
            observer.observation().save(folder)
            observer = make_observer(CONFIG)
            observer.resume(Observation.load(folder))
    return observer.observation()


@pytest.mark.parametrize(("count", "least"), [(12, 0.001), (73, 0.01), (1000, 0.5)])
def test_the_mean_of_equal_snapshots_is_not_the_weights_and_the_record_says_so(count, least):
    """Levers 6.2: the sum stalls once it is 256 times a weight; the published runs lost from 0.6 % on."""
    mean = average(CONFIG, observed(count), {})
    error = torch.cat([(mean.tensors[name] - WEIGHTS[name]).flatten() for name in WEIGHTS]).norm()
    relative = float(error / torch.cat([weight.flatten() for weight in WEIGHTS.values()]).norm())
    assert relative > least
    assert mean.record["relative_rms_error"] == pytest.approx(relative, rel=1e-2)
    assert "bfloat16" in mean.record["wrong"]
    assert mean.record["num_snapshots"] == count


def test_a_cut_changes_no_bit(tmp_path):
    whole, cut = observed(50), observed(50, 20, tmp_path)
    assert whole.record == cut.record
    assert all(torch.equal(whole.tensors[name], tensor) for name, tensor in cut.tensors.items())
