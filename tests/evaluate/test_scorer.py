"""Batches of windows: each window runs once, within the limits on tokens and logits, beside windows like it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from model.test_lever import LEVERS, config_of
from mulligan.core.execution import Execution, Ranks
from mulligan.evaluate import scorer
from mulligan.evaluate.passage import Passage
from mulligan.evaluate.scorer import Scorer
from mulligan.evaluate.window import cover
from toy import ToyStream, model_config, random_network

LIMIT = 16_384
LENGTHS = st.lists(st.integers(0, 300), min_size=1, max_size=30)


@settings(max_examples=100, deadline=None)
@given(
    lengths=LENGTHS, context_len=st.integers(1, 200), stride=st.integers(1, 200), vocab_size=st.sampled_from([2, 1024, 65_536])
)
def test_every_window_runs_once_and_no_batch_exceeds_the_limits(lengths, context_len, stride, vocab_size):
    lengths = np.array(lengths)
    windows = cover(np.cumsum(lengths) - lengths, lengths, context_len, min(stride, context_len))
    batches = list(scorer._batches(windows, vocab_size, LIMIT))
    assert sorted(np.concatenate([np.zeros(0, np.int64), *batches]).tolist()) == list(range(len(windows.start)))
    for batch in batches:
        longest = (windows.stop - windows.start)[batch].max()
        assert len(batch) == 1 or len(batch) * longest <= LIMIT
        scored = longest - (windows.first - windows.start)[batch].min()
        assert len(batch) == 1 or len(batch) * scored * vocab_size <= scorer.BATCH_LOGITS
        shortest = (windows.stop - windows.start)[batch].min()
        assert shortest >= 0.8 * longest - 8


@pytest.mark.parametrize("stride", [16, 64, 1024])
def test_little_is_run_in_vain_on_a_long_stream(stride):
    """Equal windows fill their batches, and the first one, which counts everything, does not make the head run on all."""
    windows = cover(np.array([0]), np.array([100_000]), 1024, stride)
    batches = list(scorer._batches(windows, 1024, LIMIT))
    rows = LIMIT // 1024
    assert len(batches) <= len(windows.start) / rows + 3
    head = sum(len(b) * ((windows.stop - windows.start)[b].max() - (windows.first - windows.start)[b].min()) for b in batches)
    assert head <= 1.3 * 100_000


def test_a_large_vocabulary_does_not_empty_the_batches_of_sliding_windows():
    """Only the counted positions have logits."""
    windows = cover(np.array([0]), np.array([100_000]), 1024, 64)
    rows = LIMIT // 1024
    assert len(list(scorer._batches(windows, 8192, LIMIT))) <= len(windows.start) / rows + 3


@pytest.mark.parametrize("name", LEVERS)
def test_sliding_is_naive_sliding_with_every_lever(name):
    """Naive: each window alone and whole, all of its logits made, the new tail kept."""
    model, tokens = random_network(config_of(name)).eval(), np.random.default_rng(0).integers(0, 32, 42)
    windows = cover(np.array([0]), np.array([41]), 12, 5)
    found = Scorer(model, Passage.of_tokens(tokens, np.array([0])), 12, "fp32", Execution()).score(windows, "test")
    for start, first, stop in zip(windows.start, windows.first, windows.stop, strict=True):
        row, targets = torch.from_numpy(tokens[None, start:stop]), torch.from_numpy(tokens[start + 1 : stop + 1])
        with torch.no_grad():
            nats = cross_entropy(model.logits(model.hidden(row, context_len=12))[0], targets, reduction="none")
        np.testing.assert_allclose(found[first:stop], nats[first - start :].numpy(), rtol=0, atol=1e-5)


class OneOfTwo(Ranks):
    """One of two ranks, which never hears of the other: its sum is what it scored itself."""

    world_size = 2

    def __init__(self, rank):
        self.rank = rank


def test_two_ranks_score_every_window_once_between_them(monkeypatch):
    """What one does not score is 0, so that the sum over both has the bits of one process."""
    monkeypatch.setattr(scorer, "BATCH_TOKENS", 32)
    passage = Passage.of_tokens(ToyStream(200).tokens, np.array([0]))
    windows = cover(np.array([0]), np.array([199]), 16, 5)
    model = random_network(model_config()).eval()
    alone, *shares = [
        scorer.Scorer(model, passage, 16, "fp32", Execution(ranks=ranks)).score(windows, "")
        for ranks in (Ranks(), OneOfTwo(0), OneOfTwo(1))
    ]
    assert all(80 < (share != 0).sum() < 120 for share in shares)
    assert not ((shares[0] != 0) & (shares[1] != 0)).any()
    assert np.array_equal(shares[0] + shares[1], alone)
