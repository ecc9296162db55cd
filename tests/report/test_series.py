"""Scores by position against a loop, and what is read from a real store."""

import math

import numpy as np
import pytest

from mulligan.report import series
from mulligan.report.series import moving_mean, read_positions, shared_steps, training_loss
from mulligan.store.store import Store
from mulligan.study.metric import find_score
from mulligan.values.scores import Scores


def loop(nats, document, position):
    """The same sums, one token at a time."""
    sums = {"window": {}, "document": {}}
    place = 0
    for i in range(len(nats)):
        place = place + 1 if i and document[i] == document[i - 1] else 1
        for kind, where in (("window", position[i] + 1), ("document", place)):
            tokens, total, places = sums[kind].get(math.floor(2 * math.log2(where) + 1e-9), (0, 0.0, 0))
            sums[kind][math.floor(2 * math.log2(where) + 1e-9)] = (tokens + 1, total + nats[i], places + where)
    return sums


@pytest.mark.parametrize("batch", [1, 7, 100_000])
def test_buckets_are_those_of_a_loop_however_the_file_is_read(tmp_path, monkeypatch, batch):
    rng = np.random.default_rng(0)
    nats = rng.exponential(1.0, 300).astype(np.float32)
    document = np.repeat([0, 1, 2, 4], [5, 1, 200, 94]).astype(np.int32)
    position = rng.integers(0, 64, 300).astype(np.int32)
    Scores(nats, document, position, {"nats": np.zeros(1)}, {}).save(tmp_path)
    monkeypatch.setattr(series, "BATCH_TOKENS", batch)
    found = dict(zip(("window", "document"), series._read_buckets(tmp_path / "tokens.parquet"), strict=True))
    for kind, expected in loop(nats, document, position).items():
        buckets = found[kind]
        held = {int(i): (buckets.tokens[i], buckets.nats[i], buckets.places[i]) for i in np.flatnonzero(buckets.tokens)}
        assert held == {i: pytest.approx(values) for i, values in expected.items()}


def test_positions_of_a_reading_add_up_to_its_score(finished):
    job = find_score(finished.laid.cells[3].road, finished.laid.config.metric)
    found, summary = read_positions(job, finished.store), finished.store.open(job.call).summary()
    for buckets in (found.window, found.document):
        assert buckets.tokens.sum() == summary["scored_tokens"]
        places, scores = buckets.bits_per_byte(found.bytes_per_token)
        held = buckets.tokens[buckets.tokens > 0]
        assert (scores * held).sum() / held.sum() == pytest.approx(summary["bits_per_byte"], rel=1e-6)
        assert np.all(np.diff(places) > 0)
    assert found.window.places.max() <= found.document.places.max()


def test_losses_are_those_of_every_step_and_absent_where_nothing_is_stored(finished, tmp_path):
    losses = [training_loss(cell.road, finished.store) for cell in finished.laid.cells if cell.seed == 0]
    assert [len(loss) for loss in losses] == [12] * 4
    assert shared_steps(losses) == 8
    assert shared_steps(losses[:2]) == 12
    assert training_loss(finished.laid.cells[0].road, Store(tmp_path / "empty")) is None


def test_a_moving_mean_is_the_mean_of_what_was_seen():
    assert moving_mean(np.array([1.0, 3.0, 5.0, 7.0]), 2).tolist() == [1.0, 2.0, 4.0, 6.0]
    assert moving_mean(np.array([1.0, 3.0, 5.0]), 1).tolist() == [1.0, 3.0, 5.0]
