"""SLOT: what it claims and why it is not legal; its gradients are those of the scorer's own nats."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from evaluate.test_lora import network, passage
from mulligan.core.execution import Execution
from mulligan.evaluate.adaptation_config import Slot
from mulligan.evaluate.block import Watch
from mulligan.evaluate.config import Flat, Sliding
from mulligan.evaluate.evaluator import lay_windows
from mulligan.evaluate.passage import Passage
from mulligan.evaluate.scorer import Scorer
from mulligan.evaluate.slot import SlotScorer

FLAT = Flat(kind="flat", context_len=8)
SLIDING = Sliding(kind="sliding", context_len=8, stride=3)
SHIFT = Slot(kind="slot", num_steps=8, lr=0.02)
BOTH = SHIFT.replace(logit_bias="per-window")
each_fit = pytest.mark.parametrize("slot", [SHIFT, BOTH], ids=lambda slot: slot.logit_bias)


def nats_of(slot, text, windows=FLAT, model=None, watch=None):
    model = model or network()
    laid = lay_windows(windows, text.starts, text.num_positions)
    scorer = Scorer(model, text, windows.context_len, "fp32", Execution(), watch=watch)
    if slot is not None:
        scorer = SlotScorer(model, text, windows.context_len, "fp32", Execution(), watch=watch, slot=slot)
    return scorer.score(laid, "evaluate")


@each_fit
@pytest.mark.parametrize("windows", [FLAT, SLIDING], ids=lambda windows: windows.kind)
def test_nats_fall_and_the_network_stays(slot, windows):
    model, text = network(), passage()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    plain, fitted = (nats_of(s, text, windows, model) for s in (None, slot))
    assert fitted.mean() < plain.mean() - 0.05
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_bias_fits_more_than_a_shift_alone():
    assert nats_of(BOTH, passage()).mean() < nats_of(SHIFT, passage()).mean() - 0.01


@each_fit
def test_a_target_late_in_a_window_changes_the_scores_before_it(slot):
    """This is what makes it illegal; without the fit no score but its own changes."""
    text = passage((24,))
    tokens = text.read(0, 25)
    tokens[16] = (tokens[16] + 5) % 30 + 2  # the last target of the second window
    other = Passage.of_tokens(tokens, text.starts)
    moved = np.abs(nats_of(slot, text) - nats_of(slot, other))
    assert moved[8:15].min() > 1e-4
    assert moved[:8].max() < 1e-5  # windows do not share anything
    assert np.abs(nats_of(None, text) - nats_of(None, other))[:15].max() < 1e-5


def test_the_fit_is_that_of_a_window_alone_on_the_targets_that_it_counts():
    model, text = network(), passage()
    windows = lay_windows(SLIDING, text.starts, text.num_positions)
    found = nats_of(BOTH, text, SLIDING, model)
    model.requires_grad_(False)
    for start, first, stop in zip(windows.start, windows.first, windows.stop, strict=True):
        tokens = torch.from_numpy(text.read(start, stop + 1))[None]
        hidden = model.hidden(tokens[:, :-1], 0, SLIDING.context_len)[0, first - start :]
        shift, bias = torch.zeros(hidden.size(-1), requires_grad=True), torch.zeros(32, requires_grad=True)
        optimizer = torch.optim.AdamW([shift, bias], lr=BOTH.lr)
        for step in range(BOTH.num_steps + 1):
            nats = F.cross_entropy(model.logits(hidden + shift) + bias, tokens[0, first - start + 1 :], reduction="none")
            if step < BOTH.num_steps:
                optimizer.zero_grad()
                nats.mean().backward()
                optimizer.step()
        np.testing.assert_allclose(found[first:stop], nats.detach().numpy(), rtol=0, atol=1e-5)


def test_a_watch_sees_the_fitted_distributions_and_that_the_fit_came_before_the_scores():
    text = passage()
    watch = Watch(frozenset(range(text.num_positions)))
    nats = nats_of(BOTH, text, watch=watch)
    targets = text.read(1, text.num_positions + 1)
    np.testing.assert_allclose([-watch.rows[p][targets[p]] for p in range(len(nats))], nats, rtol=0, atol=1e-5)
    kinds = [event.kind for event in watch.events]
    assert kinds == ["updated"] * (len(kinds) - 1) + ["scored"]
    updated = np.sort(np.concatenate([event.positions for event in watch.events[:-1]]))
    np.testing.assert_array_equal(updated, np.arange(text.num_positions))


def test_it_says_that_it_is_not_legal():
    assert Slot.legal is False
