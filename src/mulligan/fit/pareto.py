"""Score against bytes for one checkpoint: hundreds of ways to store it, really packed, scored on train documents.

Each integer family of the grid takes every format of a ladder on its own: row maxima at 3 to 8 bits, and steps in standard
deviations of a row, which is all that matters as long as nothing is clipped.
"""

import itertools
import json
import math
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mulligan.core.canonical import digest
from mulligan.core.execution import Execution
from mulligan.engine.inline import run_jobs
from mulligan.engine.job import Job, Outside, weights_at
from mulligan.fit.prediction import format_text
from mulligan.flow import Road, lay_road, lay_train_score
from mulligan.numerics.config import IntFormat, RowMax, StandardDeviations
from mulligan.recipe import Recipe
from mulligan.store.store import Store

ROW_MAX_BITS = (8, 7, 6, 5, 4, 3)
FINEST_STEP, COARSEST_STEP = 0.06, 1.3
"""In standard deviations of a row: about 6.1 to 1.7 bits a weight for a Gaussian row."""


@dataclass(frozen=True)
class Variant:
    """A way to store the checkpoint: the format of each family by its number, and the recipe that says so."""

    formats: dict[int, str]
    recipe: Recipe


@dataclass(frozen=True)
class Measured:
    """What a variant took and scored. `is_own`: the run's own recipe."""

    formats: dict[int, str]
    payload_bytes: int
    train_nats_per_token: float
    train_bits_per_byte: float
    is_own: bool


def variants(recipe: Recipe, num_points: int) -> list[Variant]:
    """Return about `num_points` variants, the recipe's own first. ValueError where the grid has no integer family."""
    families = [i for i, family in enumerate(recipe.grid.families) if isinstance(family.format, IntFormat)]
    if not families:
        raise ValueError("The grid of this run stores no tensor in integers: there is nothing to vary.")
    length = max(2, round(num_points ** (1 / len(families))))
    own = recipe.replace(fit=None)
    found = [Variant({i: format_text(own.grid.families[i].format) for i in families}, own)]
    for chosen in itertools.product(ladder(length), repeat=len(families)):
        changed = list(own.grid.families)
        for i, format in zip(families, chosen, strict=True):
            changed[i] = changed[i].replace(format=format)
        formats = {i: format_text(format) for i, format in zip(families, chosen, strict=True)}
        found.append(Variant(formats, own.replace(grid=own.grid.replace(families=tuple(changed)))))
    return found


def ladder(length: int) -> list[IntFormat]:
    """Return that many formats: row maxima for a third of them at most, steps in standard deviations for the rest."""
    num_row_max = min(len(ROW_MAX_BITS), length // 3)
    chosen = np.linspace(0, len(ROW_MAX_BITS) - 1, num_row_max).round().astype(int)
    rows = [IntFormat(kind="int", bits=ROW_MAX_BITS[i], scale=RowMax(kind="row-max")) for i in chosen]
    steps = np.geomspace(FINEST_STEP, COARSEST_STEP, length - num_row_max)
    return [*rows, *(_stepped(float(step)) for step in steps)]


def _stepped(step: float) -> IntFormat:
    """Return the least bits whose range reaches 4.5 standard deviations at this step."""
    bits = min(8, max(3, math.ceil(math.log2(4.5 / step + 1)) + 1))
    k = float(f"{step * (2 ** (bits - 1) - 1):.4g}")
    return IntFormat(kind="int", bits=bits, scale=StandardDeviations(kind="standard-deviations", k=k))


def measure(
    todo: Sequence[Variant], road: Road, corpus: Outside, store: Store, num_documents: int, execution: Execution
) -> Iterator[Measured]:
    """Yield what each variant of a finished run's checkpoint takes and scores; what was measured before is read, not run."""
    source = road.points.get("averaged", road.points["raw"])
    if not isinstance(source, Job):
        raise ValueError("The weights of this run were handed in, and the store does not hold them. Give a run that trained.")
    weights = weights_at(store.open(source.call).folder / "weights.safetensors")
    path = store.root / "pareto" / f"{digest([source.call.key, corpus.call.key, num_documents])[:16]}.jsonl"
    path.parent.mkdir(exist_ok=True)
    known = {line["key"]: line for line in _lines(path)}
    with tempfile.TemporaryDirectory(prefix="mulligan-pareto-") as folder:
        scratch = Store(Path(folder))
        for i, variant in enumerate(todo):
            laid = lay_road(variant.recipe, road.seed, corpus=corpus, weights=weights)
            scorer = lay_train_score(laid, num_documents)
            if scorer.call.key not in known:
                try:
                    known[scorer.call.key] = _run(laid, scorer, scratch, execution)
                except ValueError:
                    if i == 0:
                        raise
                    continue  # a format that the run's quantizer refuses is no point
                with path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(known[scorer.call.key]) + "\n")
            execution.progress("points", i + 1, len(todo), "")
            line = known[scorer.call.key]
            yield Measured(variant.formats, line["payload_bytes"], line["nats_per_token"], line["bits_per_byte"], i == 0)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of a file of JSON, but for one that a kill has torn."""
    for line in path.read_text("utf-8").splitlines() if path.is_file() else []:
        try:
            yield json.loads(line)
        except ValueError:
            continue


def _run(road: Road, scorer: Job, scratch: Store, execution: Execution) -> dict[str, Any]:
    """Quantize, pack and score, and keep only what other variants read: hundreds of artifacts would fill a disk."""
    jobs = [*(job for job in road.jobs if job.call.stage in ("calibrate", "quantize", "pack", "temperature")), scorer]
    run_jobs(jobs, scratch, Execution(execution.device, execution.compile))
    scores = scratch.open(scorer.call).summary()
    payload_bytes = scratch.open(next(job for job in jobs if job.call.stage == "pack").call).summary()["payload_bytes"]
    scratch.record_run("shared", {"keys": [job.call.key for job in jobs if job.call.stage == "calibrate"]})
    scratch.gc()
    return {
        "key": scorer.call.key,
        "payload_bytes": payload_bytes,
        "nats_per_token": scores["nats_per_token"],
        "bits_per_byte": scores["bits_per_byte"],
    }


def front(points: Sequence[Measured]) -> list[Measured]:
    """Return the points that no other beats in bytes and score at once, by bytes."""
    best, found = math.inf, []
    for point in sorted(points, key=lambda point: (point.payload_bytes, point.train_nats_per_token)):
        if point.train_nats_per_token < best:
            best = point.train_nats_per_token
            found.append(point)
    return found
