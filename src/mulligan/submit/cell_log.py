"""The log of a study's cell, written from the store in the form of the built script's: losses, sizes, readings, provenance."""

import re
from typing import Any

from mulligan.core.canonical import digest
from mulligan.engine.job import Job
from mulligan.flow import Road
from mulligan.report.series import training_loss
from mulligan.store.store import Store
from mulligan.study.metric import find_score
from mulligan.study.plan import Cell, LaidStudy
from mulligan.study.script_cell import ScriptRoad

LOSS_LINES = 200
ENVIRONMENT = ("device", "num_threads", "world_size", "torch", "python", "machine", "commit")


def cell_log(cell: Cell, result: dict[str, Any], laid: LaidStudy, store: Store) -> str:
    """Return the log of a finished cell; `result` is the cell's in the study's result.

    A cell that is somebody's script has the script's own log between the recipe and the score that the study read.
    """
    head = [f"study:{laid.hash} arm:{cell.arm.name}", f"recipe sha256:{digest(cell.arm.recipe.canonical())} seed:{cell.seed}"]
    if isinstance(cell.road, ScriptRoad):
        text = (store.open(cell.road.jobs[0].call).folder / "log.txt").read_text("utf-8")
        reading = store.open(cell.road.jobs[0].call).summary()["readings"][laid.config.metric.log]
        return "\n".join([*head, text.rstrip(), _final(reading)]) + "\n"
    final = store.open(find_score(cell.road, laid.config.metric).call).summary()
    sizes = _sizes(cell.road, result["artifact"], store)
    return "\n".join([*head, *_training(cell.road, store), *sizes, *_readings(cell.road, store), _final(final)]) + "\n"


def _training(road: Road, store: Store) -> list[str]:
    job = next((job for job in road.jobs if job.call.stage == "train"), None)
    if job is None or not store.has(job.call):
        return []
    provenance = store.open(job.call).manifest["provenance"]
    said = " ".join(f"{name}:{provenance[name]}" for name in ENVIRONMENT if provenance.get(name) is not None)
    losses = training_loss(road, store)
    values = [] if losses is None else losses.tolist()
    every = max(1, len(values) // LOSS_LINES)
    shown = [step for step in range(1, len(values) + 1) if step % every == 0 or step == len(values)]
    lines = [f"step:{step}/{len(values)} train_loss:{values[step - 1]:.4f}" for step in shown]
    timed = [f"train_seconds:{provenance['seconds']:.3f} steps:{len(values)}"] if values else []
    return [f"provenance {said}", *lines, *timed]


def _sizes(road: Road, artifact: dict[str, Any], store: Store) -> list[str]:
    packed = road.points["quantized"]
    assert isinstance(packed, Job)
    entry, codec = store.open(packed.call), road.recipe.pack.codec.kind
    sha256 = entry.manifest["files"]["artifact.bin"]["sha256"]
    return [
        f"code form:mulligan bytes:{artifact['code_bytes']}",
        f"artifact bytes:{artifact['payload_bytes']} sha256:{sha256}",
        f"Serialized model {codec}: {artifact['payload_bytes']} bytes",
        f"Code size: {artifact['code_bytes']} bytes",
        f"Total submission size {codec}: {artifact['total_bytes']} bytes",
    ]


def _readings(road: Road, store: Store) -> list[str]:
    lines = []
    for job in (job for job in road.jobs if job.call.stage == "evaluate"):
        entry = store.open(job.call)
        point = job.settings["point"]
        name = re.sub(r"\W+", "_", f"{point} {' '.join(job.name.split(f' {point}'))}").strip("_")
        said = _scores(entry.summary())
        stamp = "" if entry.summary()["legal"] else " ILLEGAL"
        lines.append(f"{name}_exact {said} eval_time:{1000 * entry.manifest['provenance']['seconds']:.0f}ms{stamp}")
    return lines


def _final(reading: dict[str, Any]) -> str:
    return f"final_exact {_scores(reading)}"


def _scores(reading: dict[str, Any]) -> str:
    return f"val_loss:{reading['nats_per_token']:.8f} val_bpb:{reading['bits_per_byte']:.8f}"
