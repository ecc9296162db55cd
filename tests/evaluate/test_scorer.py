"""Batches of windows: each window runs once, within the limits on tokens and logits, beside windows like it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mulligan.evaluate import scorer
from mulligan.evaluate.window import cover

LENGTHS = st.lists(st.integers(0, 300), min_size=1, max_size=30)


@settings(max_examples=100, deadline=None)
@given(
    lengths=LENGTHS, context_len=st.integers(1, 200), stride=st.integers(1, 200), vocab_size=st.sampled_from([2, 1024, 65_536])
)
def test_every_window_runs_once_and_no_batch_exceeds_the_limits(lengths, context_len, stride, vocab_size):
    lengths = np.array(lengths)
    windows = cover(np.cumsum(lengths) - lengths, lengths, context_len, min(stride, context_len))
    batches = list(scorer._batches(windows, vocab_size))
    assert sorted(np.concatenate([np.zeros(0, np.int64), *batches]).tolist()) == list(range(len(windows.start)))
    for batch in batches:
        longest = (windows.stop - windows.start)[batch].max()
        assert len(batch) == 1 or len(batch) * longest <= scorer.BATCH_TOKENS
        scored = longest - (windows.first - windows.start)[batch].min()
        assert len(batch) == 1 or len(batch) * scored * vocab_size <= scorer.BATCH_LOGITS
        shortest = (windows.stop - windows.start)[batch].min()
        assert shortest >= 0.8 * longest - 8


@pytest.mark.parametrize("stride", [16, 64, 1024])
def test_little_is_run_in_vain_on_a_long_stream(stride):
    """Equal windows fill their batches, and the first one, which counts everything, does not make the head run on all."""
    windows = cover(np.array([0]), np.array([100_000]), 1024, stride)
    batches = list(scorer._batches(windows, 1024))
    rows = scorer.BATCH_TOKENS // 1024
    assert len(batches) <= len(windows.start) / rows + 3
    head = sum(len(b) * ((windows.stop - windows.start)[b].max() - (windows.first - windows.start)[b].min()) for b in batches)
    assert head <= 1.3 * 100_000


def test_a_large_vocabulary_does_not_empty_the_batches_of_sliding_windows():
    """Only the counted positions have logits."""
    windows = cover(np.array([0]), np.array([100_000]), 1024, 64)
    rows = scorer.BATCH_TOKENS // 1024
    assert len(list(scorer._batches(windows, 8192))) <= len(windows.start) / rows + 3
