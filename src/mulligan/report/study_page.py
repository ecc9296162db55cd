"""The page of a study: its result and what the store holds of its cells, as sections of one HTML file."""

from collections.abc import Mapping
from typing import Any

from mulligan.flow import Road
from mulligan.recipe import Recipe
from mulligan.report.byte_score import Point, budget_is_near, bytes_against_score
from mulligan.report.curve import learning_curves, make_curves, validation_curves
from mulligan.report.figure import arm_colours
from mulligan.report.forest import forest, rows_of, scale_of
from mulligan.report.interaction import centred_cells, interaction, level_colours
from mulligan.report.position import by_position, places_of
from mulligan.report.recipe_text import held_equal, recipe_lines, value_text
from mulligan.report.series import Array, Positions, read_positions, training_loss, validation_curve
from mulligan.report.table import answers, arm_rows, effect_rows, left_out, noise_text, secondary_rows
from mulligan.report.template import render
from mulligan.report.words import MEANINGS, percent, plain_mbpb
from mulligan.store.store import Store
from mulligan.study.metric import find_score
from mulligan.study.plan import LaidStudy

Data = Mapping[str, Any]

DATA_ORDER = ("batch_sizes", "seq_len", "sequence_curriculum", "accumulation_steps", "loader", "data_seed")
"""Settings that say which tokens a step reads, and in which rows (a part of a step is a span of its own)."""


def study_page(result: Data, laid: LaidStudy, store: Store) -> str:
    """Return the page; `laid` and `store` are asked for curves and positions only, which may be missing."""
    arms = [arm["name"] for arm in result["arms"]]
    colours = arm_colours(arms, result["baseline"])
    corrected = result["primary"]["adjusted_p"]
    study = result["study"]
    return render(
        "study.html.j2",
        result=result,
        study=study,
        colours=colours,
        held_equal=held_equal(result),
        noise=noise_text(result),
        margin=plain_mbpb(study["margin_bpb"]),
        confidence=percent(1 - result["primary"]["correction"]["alpha"]),
        inner_confidence=percent(1 - 2 * result["primary"]["correction"]["alpha"]),
        answers=answers(result, corrected),
        arms=arm_rows(result, colours, corrected),
        effects=effect_rows(result["primary"], corrected),
        secondary=secondary_rows(result),
        unfinished=[cell for cell in result["cells"] if cell["status"] != "done"],
        left_out=left_out(result),
        address=next((cell["address"] for cell in result["cells"] if cell["status"] == "done"), None),
        differences=_differences(result),
        baseline_recipe="\n".join(recipe_lines(result["arms"][0]["recipe"])),
        meanings=MEANINGS,
        **_forest(result, colours),
        **_interaction(result, colours),
        **_learning(laid, store, colours),
        **_validations(laid, store, colours),
        **_positions(laid, store, colours, result["baseline"]),
        **_bytes(result, colours),
    )


def _differences(result: Data) -> list[dict[str, Any]]:
    return [
        {
            "name": arm["name"],
            "lines": [(path, value_text(old), value_text(new)) for path, (old, new) in arm["difference"].items()],
        }
        for arm in result["arms"]
    ]


def _forest(result: Data, colours: Mapping[str, str]) -> dict[str, Any]:
    rows = rows_of(result["primary"], colours, result["baseline"])
    margin = result["study"]["margin_bpb"]
    if not rows:
        return {"forest": None, "scale": None}
    return {"forest": forest(rows, margin), "scale": scale_of(rows, margin)}


def _interaction(result: Data, colours: Mapping[str, str]) -> dict[str, Any]:
    factors = list(result["study"]["factors"])
    if len(factors) != 2 or result["study"]["design"]["kind"] != "full-factorial":
        return {"interaction": None}
    if not set.intersection(*(set(values) for values in result["primary"]["values"].values())):
        return {"interaction": None}
    cells = centred_cells(result["arms"], result["primary"]["values"], factors)
    return {"interaction": interaction(cells, level_colours(result["arms"], colours, factors), factors)}


def _learning(laid: LaidStudy, store: Store, colours: Mapping[str, str]) -> dict[str, Any]:
    losses: dict[str, dict[int, Array]] = {arm.name: {} for arm in laid.arms}
    known: dict[str, Array | None] = {}
    for cell in laid.cells:
        if not isinstance(cell.road, Road):
            continue
        key = next((job.call.key for job in cell.road.jobs if job.call.stage == "train"), "")
        if key not in known:
            known[key] = training_loss(cell.road, store)
        found = known[key]
        if found is not None:
            losses[cell.arm.name][cell.seed] = found
    curves = make_curves(losses, colours)
    if curves is None:
        return {"learning": None, "curves": None}
    return {"learning": learning_curves(curves, comparable=_is_comparable(laid)), "curves": curves}


def _is_comparable(laid: LaidStudy) -> bool:
    """Say whether step k of every arm sees the same tokens, so that its losses may be subtracted."""
    recipes = [arm.recipe for arm in laid.arms if isinstance(arm.recipe, Recipe)]
    seen = [[*(getattr(recipe.train, name) for name in DATA_ORDER), recipe.data, recipe.model.vocab_size] for recipe in recipes]
    return all(one == seen[0] for one in seen)


def _validations(laid: LaidStudy, store: Store, colours: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, dict[int, list[tuple[int, float]]]] = {}
    for cell in laid.cells:
        curve = validation_curve(cell.road.jobs[0], store)
        if curve:
            found.setdefault(cell.arm.name, {})[cell.seed] = curve
    return {"validation": validation_curves(found, colours) if found else None}


def _positions(laid: LaidStudy, store: Store, colours: Mapping[str, str], baseline: str) -> dict[str, Any]:
    readings: dict[str, dict[int, Positions]] = {}
    for cell in laid.cells:
        if not isinstance(cell.road, Road):
            continue
        found = read_positions(find_score(cell.road, laid.config.metric), store)
        if found is not None:
            readings.setdefault(cell.arm.name, {})[cell.seed] = found
    places = places_of(readings)
    return {
        "position": by_position(readings, colours, baseline) if places else None,
        "places": places,
        "read_arms": list(readings),
    }


def _bytes(result: Data, colours: Mapping[str, str]) -> dict[str, Any]:
    done = [cell for cell in result["cells"] if cell["status"] == "done" and cell["artifact"]["total_bytes"] is not None]
    points = [Point(cell["arm"], cell["artifact"]["total_bytes"], cell["values"]["primary"]) for cell in done]
    if not points:
        return {"bytes": None, "budget": None, "budget_drawn": False}
    budget = done[0]["artifact"]["budget_bytes"]
    return {
        "bytes": bytes_against_score(points, colours, budget),
        "budget": budget,
        "budget_drawn": budget_is_near(points, budget),
        "code_bytes_kind": done[0]["artifact"]["code_bytes_kind"],
    }
