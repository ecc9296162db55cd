"""What figures need from the store beyond summaries: losses per training step, scores by position. Column by column.

What is not in the store (deleted, or made elsewhere) is left out; a page says so. Torch-free.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mulligan.engine.job import Job
from mulligan.flow import Road
from mulligan.store.store import Store

Array = np.ndarray[Any, np.dtype[Any]]

NUM_BUCKETS = 64
"""Two per doubling: enough for 2^32 tokens."""
BATCH_TOKENS = 1 << 20


def training_loss(road: Road, store: Store) -> Array | None:
    """Return the loss of every step (nats per token), or None where the trained state is not in the store."""
    import pyarrow.parquet as pq

    job = next((job for job in road.jobs if job.call.stage == "train"), None)
    if job is None or not store.has(job.call):
        return None
    path = store.open(job.call).folder / "metrics.parquet"
    if "loss_nats" not in pq.read_schema(path).names:
        return None
    losses: Array = pq.read_table(path, columns=["loss_nats"])["loss_nats"].to_numpy().astype(np.float64)
    return losses


def validation_curve(job: Job, store: Store) -> list[tuple[int, float]] | None:
    """Return (step, bits per byte) of each validation in a script's log, or None where it is not in the store."""
    if job.call.stage != "script" or not store.has(job.call):
        return None
    return [(int(step), float(bits)) for step, _, bits in store.open(job.call).summary()["curve"] if bits is not None]


@dataclass(frozen=True)
class Buckets:
    """Sums over the tokens of each bucket: how many, their nats, and where they stand (1 = the first that is scored)."""

    tokens: Array
    nats: Array
    places: Array

    def bits_per_byte(self, bytes_per_token: float, least: int = 1) -> tuple[Array, Array]:
        """Return the mean place and the mean bits per byte of each bucket that holds `least` tokens or more."""
        held = self.tokens >= least
        tokens = self.tokens[held]
        return self.places[held] / tokens, self.nats[held] / tokens / np.log(2) / bytes_per_token


@dataclass(frozen=True)
class Positions:
    """One reading by the token's place in its window and in its document; `bytes_per_token` is the reading's mean.

    `slides`: the windows overlap across documents, so that all but the first's tokens have nearly the same context.
    """

    window: Buckets
    document: Buckets
    bytes_per_token: float
    slides: bool = False


def read_positions(score: Job, store: Store) -> Positions | None:
    """Return a reading by position, or None where it is not in the store."""
    if not store.has(score.call):
        return None
    entry = store.open(score.call)
    summary = entry.summary()
    window, document = _read_buckets(entry.folder / "tokens.parquet")
    slides = summary["windows"] == "sliding" or summary.get("documents") == "across"
    return Positions(window, document, summary["total_bytes"] / summary["scored_tokens"], slides)


def _read_buckets(path: Path) -> tuple[Buckets, Buckets]:
    """Return the sums by place in the window and by place in the document, a batch of rows at a time."""
    import pyarrow.parquet as pq

    totals = np.zeros((2, 3, NUM_BUCKETS))
    offset, last_document, start = 0, -1, 0
    columns = ["nats", "document", "position_in_window"]
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(BATCH_TOKENS, columns=columns):
            nats, document, in_window = (batch.column(name).to_numpy(zero_copy_only=False) for name in columns)
            index = offset + np.arange(len(nats))
            begins = np.diff(document, prepend=last_document) != 0
            starts = np.maximum.accumulate(np.where(begins, index, start))
            for sums, place in zip(totals, (in_window + 1, index - starts + 1), strict=True):
                _add(sums, place, nats)
            offset, last_document, start = offset + len(nats), int(document[-1]), int(starts[-1])
    window, of_document = (Buckets(*sums) for sums in totals)
    return window, of_document


def _add(sums: Array, place: Array, nats: Array) -> None:
    bucket = half_doubling(place)
    for row, weights in zip(sums, (None, nats, place), strict=True):
        row += np.bincount(bucket, weights, NUM_BUCKETS)


def half_doubling(place: Array) -> Array:
    """Return the bucket of each place (1 or more): two per doubling, from 0."""
    bucket: Array = np.floor(2 * np.log2(place) + 1e-9).astype(np.int64)
    return bucket


def mean_over_seeds(curves: Mapping[int, Array]) -> Array:
    """Return the mean curve, as far as the shortest goes."""
    length = min(len(curve) for curve in curves.values())
    mean: Array = np.mean([curve[:length] for curve in curves.values()], axis=0)
    return mean


def moving_mean(values: Array, window: int) -> Array:
    """Return the mean of the last `window` values at each place (of fewer at the beginning)."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    begins = np.maximum(ends - window, 0)
    mean: Array = (sums[ends] - sums[begins]) / (ends - begins)
    return mean


def shared_steps(curves: Sequence[Array]) -> int:
    """Return for how many first steps all curves are one and the same, bit for bit."""
    length = min(len(curve) for curve in curves)
    differs = np.any([curve[:length] != curves[0][:length] for curve in curves], axis=0)
    return int(np.argmax(differs)) if differs.any() else length
