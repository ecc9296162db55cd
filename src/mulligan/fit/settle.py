"""The solver's driver: lays the plain road of one setting after another until the search is over.

It holds no state: what was tried is read off the store, so a killed search goes on where it was, and a finished one answers
at once. What to run between two steps is for the caller, in this process or over a pool.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mulligan.core.error import OverBudgetError
from mulligan.core.units import format_bytes
from mulligan.engine.job import Job, Outside
from mulligan.fit.search import Tried, Value, best_of, next_value, turning_point
from mulligan.flow import Road, lay_road, lay_train_score
from mulligan.numerics.config import GridConfig
from mulligan.pack.knob import FitConfig, Number
from mulligan.recipe import Recipe
from mulligan.store.store import Store


@dataclass(frozen=True)
class Point:
    """A setting that was tried: its values by path, its bytes, its score on train documents if it fits."""

    values: dict[str, int | float | str]
    payload_bytes: int
    total_bytes: int
    fits: bool
    train_nats_per_token: float | None


@dataclass(frozen=True)
class Step:
    """Where a search stands: the points so far, and the `jobs` to run before the next step, or the road that it found."""

    points: tuple[Point, ...]
    jobs: tuple[Job, ...]
    road: Road | None


def settle(
    recipe: Recipe,
    seed: int,
    store: Store,
    run: Callable[[Sequence[Job]], object],
    *,
    corpus: Outside | None = None,
    weights: Outside | None = None,
) -> Step:
    """Return the last step of a recipe's search, its jobs run by `run`; OverBudgetError where nothing fits."""
    while (step := next_step(recipe, seed, store, corpus=corpus, weights=weights)).road is None:
        run(step.jobs)
    return step


def next_step(
    recipe: Recipe, seed: int, store: Store, *, corpus: Outside | None = None, weights: Outside | None = None
) -> Step:
    """Return how far the store answers the search; a recipe without `fit` has nothing to search."""

    def lay(plain: Recipe) -> Road:
        return lay_road(plain, seed, corpus=corpus, weights=weights)

    fit = recipe.fit
    if fit is None:
        return Step((), (), lay(recipe))
    predict = _predictor(recipe, fit)
    if isinstance(fit.knob, Number) and (turn := turning_point(fit.knob, predict)) is not None:
        raise ValueError(
            f"fit.knob: between {fit.knob.low:g} and {fit.knob.high:g} the bytes are predicted to turn near {turn:.3g}, and "
            f"a knob has one direction. Give low = {turn:.3g} or more, or high = {turn:.3g} or less."
        )
    tried: list[Tried] = []
    roads: dict[Value, Road] = {}
    while (value := next_value(fit.knob, fit.budget_bytes, tried, predict)) is not None:
        roads[value] = lay(_turned(recipe, fit, value))
        artifact = roads[value].points["quantized"]
        assert isinstance(artifact, Job)
        if not store.has(artifact.call):
            return Step(_points(fit, tried, {}), _up_to_pack(roads[value], fit), None)
        payload_bytes = store.open(artifact.call).summary()["payload_bytes"]
        tried.append(Tried(value, payload_bytes + fit.code_reserve_bytes))
    scorers = {
        one.value: lay_train_score(roads[one.value], fit.train_documents)
        for one in tried
        if one.total_bytes <= fit.budget_bytes
    }
    missing = [job for job in scorers.values() if not store.has(job.call)]
    if missing:
        sources = [job for value in scorers for job in roads[value].jobs if job.call.stage != "evaluate"]
        return Step(_points(fit, tried, {}), (*sources, *missing), None)
    nats = {value: store.open(job.call).summary()["nats_per_token"] for value, job in scorers.items()}
    if not nats:
        raise OverBudgetError(_nothing_fits(fit, tried))
    best = best_of(fit.knob, fit.budget_bytes, [(one, nats[one.value]) for one in tried if one.value in nats])
    return Step(_points(fit, tried, nats), (), roads[best.value])


def chosen(step: Step, fit: FitConfig) -> dict[str, Any]:
    """Return what a finished search found, as plain data: the curve in the order of bytes, and the values taken."""
    assert step.road is not None
    found = next(point for point in step.points if step.road.recipe == step.road.recipe.turned(point.values))
    return {
        "budget_bytes": fit.budget_bytes,
        "code_reserve_bytes": fit.code_reserve_bytes,
        "train_documents": fit.train_documents,
        "values": found.values,
        "unused_bytes": fit.budget_bytes - found.total_bytes,
        "curve": [vars(point) for point in sorted(step.points, key=lambda point: point.total_bytes)],
    }


def _up_to_pack(road: Road, fit: FitConfig) -> tuple[Job, ...]:
    """Return what a setting's artifact takes; the scores that may follow stand by, so that what they lack is said first."""
    scores = [job for job in road.jobs if job.call.stage == "evaluate"]
    others = [job for job in road.jobs if job.call.stage != "evaluate"]
    later = [replace(job, wanted=False) for job in (*scores, lay_train_score(road, fit.train_documents))]
    return (*others, *later)


def _turned(recipe: Recipe, fit: FitConfig, value: Value) -> Recipe:
    return recipe.turned(dict(zip(fit.knob.paths, value, strict=True)))


def _predictor(recipe: Recipe, fit: FitConfig) -> Callable[[Value], float]:
    from mulligan.model.gpt import parameter_shapes
    from mulligan.numerics.grid import assign
    from mulligan.numerics.size_model import tensor_bytes

    shapes = parameter_shapes(recipe.model)
    known: dict[GridConfig, float] = {}

    def predict(value: Value) -> float:
        grid = _turned(recipe, fit, value).grid
        if grid not in known:
            formats = assign(grid, shapes)
            known[grid] = sum(tensor_bytes(formats[name], shape)[0] for name, shape in shapes.items())
        return known[grid] + fit.code_reserve_bytes

    return predict


def _points(fit: FitConfig, tried: Sequence[Tried], nats: dict[Value, float]) -> tuple[Point, ...]:
    return tuple(
        Point(
            dict(zip(fit.knob.paths, one.value, strict=True)),
            one.total_bytes - fit.code_reserve_bytes,
            one.total_bytes,
            one.total_bytes <= fit.budget_bytes,
            nats.get(one.value),
        )
        for one in tried
    )


def _nothing_fits(fit: FitConfig, tried: Sequence[Tried]) -> str:
    closest = min(tried, key=lambda one: one.total_bytes)
    values = ", ".join(f"{path} = {value}" for path, value in zip(fit.knob.paths, closest.value, strict=True))
    over = closest.total_bytes - fit.budget_bytes
    return (
        f"No setting of the knob fits: the closest miss, {values}, takes {format_bytes(closest.total_bytes)} with "
        f"{format_bytes(fit.code_reserve_bytes)} reserved for code, {format_bytes(over)} over the budget of "
        f"{format_bytes(fit.budget_bytes)} ({len(tried)} tried). Give the knob more room, or use a smaller model."
    )
