"""Contrasts between readings of one checkpoint, with intervals over documents: what quantizing, windows and adaptation did."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mulligan.compare.document import document_contrast
from mulligan.engine.job import Job
from mulligan.flow import Road
from mulligan.store.store import Store

Array = NDArray[Any]


def checkpoint_contrasts(road: Road, store: Store) -> list[dict[str, Any]]:
    """Return rows {what, baseline, estimate, low, high, documents} in bits per byte; empty for fewer than two documents."""
    scores = [job for job in road.jobs if job.call.stage == "evaluate"]
    source = "averaged" if "averaged" in road.points else "raw"
    packed = [job for job in scores if job.settings["point"] == "quantized"]
    pairs = [(job, other) for job in packed for other in scores if _is(other, source) and _windows(other) == _windows(job)]
    pairs += [(job, packed[0]) for job in packed[1:]]
    pairs += [(job, packed[-1]) for job in scores if _is(job, "adapted")]
    return [row for job, other in pairs if (row := _contrast(job, other, store)) is not None]


def _is(job: Job, point: str) -> bool:
    return bool(job.settings["point"] == point)


def _windows(job: Job) -> Any:
    return job.settings["windows"]


def _contrast(job: Job, other: Job, store: Store) -> dict[str, Any] | None:
    (nats, size), (baseline, _) = _documents(job, store), _documents(other, store)
    if len(nats) < 2:
        return None
    found = document_contrast(nats, baseline, size)
    place = {"estimate": found.estimate, "low": found.low, "high": found.high, "documents": found.documents}
    return {"what": job.name, "baseline": other.name, **place}


def _documents(job: Job, store: Store) -> tuple[Array, Array]:
    """Return nats and bytes per document of a reading."""
    import pyarrow.parquet as pq

    entry = store.open(job.call)
    column = f"{entry.summary()['bytes_kind']}_bytes"
    table = pq.read_table(entry.folder / "documents.parquet", columns=["nats", column])
    return np.asarray(table["nats"]), np.asarray(table[column])
