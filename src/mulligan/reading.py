"""What a finished road says: readings with their full address, the average in words, bytes against the budget.

Read from summaries in the store; torch-free, so that a run that finds everything there answers at once.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mulligan.core.error import OverBudgetError
from mulligan.core.units import format_bytes
from mulligan.engine.inline import Done
from mulligan.engine.job import Job
from mulligan.flow import Road
from mulligan.one_file.size import code_bytes
from mulligan.pack.budget import BUDGET_BYTES, fits, over_budget_text
from mulligan.recipe import Recipe
from mulligan.store.store import Store

READING = (
    "windows",
    "context_len",
    "stride",
    "documents",
    "nats_per_token",
    "bits_per_byte",
    "scored_tokens",
    "total_bytes",
    "bytes_kind",
    "validation_documents",
    "legal",
    "attention_window",
    "position_extension",
    "temperature",
    "mixture",
    "adaptation",
)


def windows_text(reading: Mapping[str, Any]) -> str:
    """Return a reading's kind of windows, what else scoring did otherwise than training, and a stamp if it is illegal."""
    window, extension = reading.get("attention_window"), reading.get("position_extension")
    said = [str(reading["windows"])]
    said += ["documents isolated"] if reading.get("documents") == "isolated" else []
    said += [f"attention {window.get('tokens', 'full')}"] if window else []
    said += [f"positions {_extension_text(extension)}"] if extension else []
    said += [f"temperature {temperature['value']:g}"] if (temperature := reading.get("temperature")) else []
    said += [f"{mixture['weight']:g} x {mixture['kind']}"] if (mixture := reading.get("mixture")) else []
    said += [str(adaptation["kind"])] if (adaptation := reading.get("adaptation")) else []
    return ", ".join([*said, *([] if reading["legal"] else ["ILLEGAL"])])


def _extension_text(extension: Mapping[str, Any]) -> str:
    lengths = [f" {word} {extension[name]}" for name, word in (("from_len", "from"), ("to_len", "to")) if name in extension]
    return ("as at first" if extension["kind"] == "off" else extension["kind"]) + "".join(lengths)


def read_road(road: Road, done: Sequence[Done], store: Store, recipe_name: str) -> dict[str, Any]:
    """Return the result of a run as plain data: what `run --json` prints."""
    return {
        "recipe": recipe_name,
        "seed": road.seed,
        **read_values(road, store),
        "stages": [_stage(item) for item in done],
        "store": str(store.root),
    }


def read_values(road: Road, store: Store) -> dict[str, Any]:
    """Return what a finished road measured: readings, what was averaged, and the artifact's bytes."""
    return {
        "readings": [_reading(job, store) for job in road.jobs if job.call.stage == "evaluate"],
        "average": _average(road, store),
        "replay_reproduced_the_state": _replay(road, store),
        "artifact": _artifact(road, store),
    }


def _reading(job: Job, store: Store) -> dict[str, Any]:
    summary = store.open(job.call).summary()
    return {"point": job.settings["point"], **{name: summary.get(name) for name in READING}}


def _average(road: Road, store: Store) -> dict[str, Any] | None:
    source = road.points.get("averaged", road.points["raw"])
    if not isinstance(source, Job):
        return None
    record: dict[str, Any] = store.open(source.call).summary()["record"]
    return record


def _replay(road: Road, store: Store) -> bool | None:
    """Return whether the training replayed for a late average met the stored state; None when nothing was replayed."""
    observed = [store.open(job.call) for job in road.jobs if job.call.stage == "observe" and store.has(job.call)]
    stamps = [entry.manifest["provenance"].get("replay_reproduced_the_state") for entry in observed]
    replayed = [stamp for stamp in stamps if stamp is not None]
    return all(replayed) if replayed else None


def check_budget(artifact: Mapping[str, Any], code_reserve_bytes: int | None = None) -> None:
    """Raise OverBudgetError, with the bytes per tensor, when what `artifact_bytes` returned does not fit.

    `code_reserve_bytes`: what a fitted artifact left for the code, which may not take more.
    """
    if code_reserve_bytes is not None and artifact["code_bytes"] > code_reserve_bytes:
        raise OverBudgetError(
            f"The code takes {format_bytes(artifact['code_bytes'])} as train_gpt.py, more than fit.code_reserve_bytes = "
            f"{code_reserve_bytes:,}. Give --set fit.code_reserve_bytes={artifact['code_bytes']} or more: the knob is then "
            "turned again, nothing is trained."
        )
    if not artifact["fits"]:
        from mulligan.values.artifact import Artifact

        summary = Artifact.from_file(Path(artifact["path"])).summary()
        raise OverBudgetError(over_budget_text(summary, artifact["code_bytes"], artifact["budget_bytes"]))


def _artifact(road: Road, store: Store) -> dict[str, Any]:
    job = road.points["quantized"]
    assert isinstance(job, Job)
    return artifact_bytes(store.open(job.call).folder / "artifact.bin", road.recipe)


def artifact_bytes(path: Path, recipe: Recipe | None, budget_bytes: int = BUDGET_BYTES) -> dict[str, Any]:
    """Return what an artifact counts: payload and the code of its recipe against the recipe's budget, in decimal bytes.

    Without a recipe the payload is judged alone, against `budget_bytes`.
    """
    payload, code = path.stat().st_size, code_bytes(recipe) if recipe else None
    kind = (
        f"train_gpt.py, {recipe.code_form}, as `mulligan submit build` writes it" if recipe else "not known without the recipe"
    )
    budget = recipe.budget_bytes if recipe else budget_bytes
    return {
        "path": str(path.resolve()),
        "payload_bytes": payload,
        "code_bytes": code,
        "code_bytes_kind": kind,
        "total_bytes": payload + (code or 0),
        "budget_bytes": budget,
        "fits": fits(payload, code or 0, budget),
    }


def _stage(item: Done) -> dict[str, Any]:
    return {
        "name": item.job.name,
        "stage": item.job.call.stage,
        "key": item.job.call.key,
        "status": item.status,
        "seconds": round(item.seconds, 3),
    }
