"""The page of a single run, found by the name of its record in the store, without its recipe file or corpus at hand."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mulligan.core.config import parse_config
from mulligan.engine.job import Job, Outside
from mulligan.flow import Road, lay_road
from mulligan.reading import read_values
from mulligan.recipe import Recipe
from mulligan.report.checkpoint import checkpoint_contrasts
from mulligan.report.curve import learning_curves, make_curves
from mulligan.report.figure import BASELINE
from mulligan.report.position import by_position, places_of
from mulligan.report.recipe_text import recipe_lines
from mulligan.report.series import Positions, read_positions, training_loss
from mulligan.report.template import render
from mulligan.store.stage_call import OutsideInput, StageCall
from mulligan.store.store import Store

ERRORS = ("relative_rms_error", "relative_hessian_error")
PROVENANCE = ("published", "seconds", "device", "num_threads", "torch", "python", "machine", "commit")


def find_record(name: str, store: Store) -> tuple[str, dict[str, Any]]:
    """Return the record that `name` means: its name, or the beginning of exactly one. ValueError lists what there is."""
    records = {path.stem: path for path in sorted((store.root / "runs").glob("*.json"))}
    found = [name] if name in records else [record for record in records if record.startswith(f"{name}-")]
    found = found or [record for record in records if record.startswith(name)]
    runs = [record for record in records if not record.startswith("study-")]
    if len(found) != 1:
        which = ", ".join(found or runs) or "(none)"
        many = f"{len(found)} runs begin with {name!r}" if found else f"No run is called {name!r} in {store.root}"
        raise ValueError(f"{many}. Give one of: {which}. `mulligan run` makes and names them: RECIPE-seedN-digest.")
    if found[0].startswith("study-"):
        raise ValueError(f"{found[0]} is a study. Use `mulligan study report FILE`.")
    record: dict[str, Any] = json.loads(records[found[0]].read_text("utf-8"))
    return found[0], record


def road_of(name: str, record: Mapping[str, Any], store: Store) -> Road:
    """Return the road of a record. What was handed in from outside is known by the keys that the stored values name."""
    headers = {}
    for key in record["keys"]:
        path = store.folder(key) / "manifest.json"
        if path.is_file():
            headers[key] = json.loads(path.read_text("utf-8"))["header"]
    by_stage = {header["stage"]: header for header in headers.values()}
    if "evaluate" not in by_stage or "quantize" not in by_stage:
        raise ValueError(f"{name}: this run is not finished. Run `mulligan run {record['recipe_name']}` as before to go on.")
    known, weights = set(record["keys"]), None
    corpus_key = by_stage["evaluate"]["inputs"][1]
    corpus = None if corpus_key in known else Outside(Path("corpus"), OutsideInput("corpus", corpus_key))
    if not {"train", "average"} & set(by_stage):
        weights = Outside(Path("weights"), OutsideInput("weights", by_stage["quantize"]["inputs"][0]))
    road = lay_road(parse_config(Recipe, record["recipe"], name), record["seed"], corpus=corpus, weights=weights)
    if [job.call.key for job in road.jobs] != record["keys"]:
        raise ValueError(f"{name}: made by another version of mulligan, whose stages had other keys. Run the recipe again.")
    missing = [job.name for job in road.jobs if job.wanted and not store.has(job.call)]
    if missing:
        raise ValueError(
            f"{name}: this run is not finished, {', '.join(missing)} is not in the store. "
            f"Run `mulligan run {record['recipe_name']}` as before to go on."
        )
    return road


def read_run(name: str, store: Store) -> tuple[dict[str, Any], Road]:
    """Return what a run measured, as plain data, and its road."""
    name, record = find_record(name, store)
    road = road_of(name, record, store)
    result = {
        "name": name,
        "recipe": record["recipe_name"],
        "seed": record["seed"],
        **read_values(road, store),
        "stages": [_stage(job, store) for job in road.jobs if store.has(job.call)],
        "store": str(store.root),
    }
    return result, road


def _stage(job: Job, store: Store) -> dict[str, Any]:
    provenance = store.open(job.call).manifest["provenance"]
    return {"name": job.name, "stage": job.call.stage, "key": job.call.key, **{k: provenance.get(k) for k in PROVENANCE}}


def run_page(result: Mapping[str, Any], road: Road, store: Store) -> str:
    """Return the page of a run."""
    losses = training_loss(road, store)
    curves = make_curves({"run": {0: losses}}, {"run": BASELINE}) if losses is not None and len(losses) else None
    scores = [job for job in road.jobs if job.call.stage == "evaluate"]
    readings = {job.name: read_positions(job, store) for job in scores if job.settings["point"] in ("quantized", "adapted")}
    present: dict[str, Mapping[int, Positions]] = {label: {0: found} for label, found in readings.items() if found}
    colours = reading_colours(list(present))
    packed = road.points["quantized"]
    assert isinstance(packed, Job)
    summary = store.open(packed.call).summary()
    quantized = packed.sources["quantized"].call
    assert isinstance(quantized, StageCall)
    made = store.open(quantized).summary()["tensors"] if store.has(quantized) else {}
    return render(
        "run.html.j2",
        result=result,
        contrasts=checkpoint_contrasts(road, store),
        learning=learning_curves(curves, comparable=False) if curves else None,
        curves=curves,
        position=by_position(present, colours, "") if places_of(present) else None,
        places=places_of(present),
        colours=colours,
        tensors=sorted(summary["tensors"].items(), key=lambda item: (-item[1]["bytes"], item[0])),
        errors={name: _told(made.get(name, {})) for name in summary["tensors"]},
        codec=summary["codec"],
        container_bytes=summary["container_bytes"],
        recipe="\n".join(recipe_lines(road.recipe.model_dump(mode="json"))),
    )


def _told(made: Mapping[str, Any]) -> list[str]:
    """Return the errors of a tensor in percent and its kurtosis; nothing where a number is not known."""
    percents = ["" if made.get(error) is None else f"{100 * made[error]:.2f}" for error in ERRORS]
    return [*percents, f"{made['excess_kurtosis']:+.2f}" if "excess_kurtosis" in made else ""]


def reading_colours(names: list[str]) -> dict[str, str]:
    """Return one colour per reading."""
    from mulligan.report.figure import ARMS

    return {name: (BASELINE, *ARMS)[i % (len(ARMS) + 1)] for i, name in enumerate(names)}
