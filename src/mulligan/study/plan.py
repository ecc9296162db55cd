"""The plan of a study: cells, the jobs they share, and what that costs, before anything runs. Torch-free."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from mulligan.core.canonical import digest
from mulligan.core.error import OverBudgetError
from mulligan.engine.inline import missing_jobs
from mulligan.engine.job import Job, Outside, weights_at
from mulligan.engine.plan import Estimate
from mulligan.engine.sharing import share
from mulligan.fit.settle import next_step
from mulligan.flow import Road, lay_road
from mulligan.recipe import Recipe
from mulligan.store.store import Store
from mulligan.study.config import StudyConfig
from mulligan.study.design import Arm, make_arms
from mulligan.study.metric import check_metrics, taken
from mulligan.study.script_cell import ScriptRoad, lay_script

BEFORE_A_KNOB = ("data", "train", "observe", "average")
BYTES_PER_PARAMETER = 12
"""A stored state: float32 weights and at most two moments."""


@dataclass(frozen=True)
class Cell:
    """One arm at one seed, and its road; where a knob is not settled yet, the road before it is turned.

    `pending`: what its search must run next. `error`: why no setting fits.
    """

    arm: Arm
    seed: int
    road: Road | ScriptRoad
    pending: tuple[Job, ...] = ()
    error: str | None = None

    @property
    def jobs(self) -> tuple[Job, ...]:
        """What to run for it now."""
        return () if self.error else self.pending or self.road.jobs


@dataclass(frozen=True)
class LaidStudy:
    """A study laid out: its arms, its cells, and the jobs of all cells with what they share.

    `hash`: 16 hex digits for all that the question consists of: the file, the recipes of the arms, corpus, weights and script.
    """

    config: StudyConfig
    arms: tuple[Arm, ...]
    cells: tuple[Cell, ...]
    jobs: tuple[Job, ...]
    hash: str
    corpus: Outside | None = None

    @cached_property
    def steps_without_sharing(self) -> int:
        """Training steps if every cell were a run of its own."""
        if self.config.weights:
            return 0
        recipes = [cell.arm.recipe for cell in self.cells]
        return sum(recipe.train.num_steps or 0 for recipe in recipes if isinstance(recipe, Recipe))


def lay_study(study: StudyConfig, corpus: Outside | None = None, store: Store | None = None) -> LaidStudy:
    """Return the study's cells, seeds outermost, and their shared jobs. `corpus`: a prepared one for all arms.

    `store`: answers the searches of arms that are fitted to a budget, as far as it can.
    """
    arms = make_arms(study)
    weights: list[Outside | None] = [weights_at(Path(file)) for file in study.weights] or [None] * len(study.seeds)
    cells = [_lay(arm, seed, corpus, given, store) for seed, given in zip(study.seeds, weights, strict=True) for arm in arms]
    check_metrics(study, arms, [cell.road for cell in cells[: len(arms)] if isinstance(cell.road, Road)])
    cells = [replace(cell, road=taken(study, cell.road)) if isinstance(cell.road, Road) else cell for cell in cells]
    first = cells[: len(arms)]
    _check_difference(first)
    scripts = [source for job in first[0].road.jobs for role, source in job.sources.items() if role == "script"]
    identity = study_hash(study, arms, [given.call.key for given in (corpus, *weights, *scripts) if given])
    if study.phase == "confirm" and study.frozen != identity:
        raise ValueError(
            f"A study that confirms is frozen before it runs: write frozen = {identity!r} into its file, and change nothing "
            f"after, neither file, recipe, corpus nor weights. Given: {study.frozen!r}."
        )
    return LaidStudy(study, tuple(arms), tuple(cells), tuple(share(cell.jobs for cell in cells)), identity, corpus)


def study_hash(study: StudyConfig, arms: Sequence[Arm], outside: Sequence[str]) -> str:
    """Return the hash of a study but for `frozen` itself; `outside`: the keys of corpus, weights and script."""
    data = {name: value for name, value in study.model_dump(mode="json").items() if name != "frozen"}
    described = [[arm.name, arm.recipe.model_dump(mode="json")] for arm in arms]
    return digest([data, described, list(outside)])[:16]


def _lay(arm: Arm, seed: int, corpus: Outside | None, weights: Outside | None, store: Store | None) -> Cell:
    if not isinstance(arm.recipe, Recipe):
        return Cell(arm, seed, lay_script(arm.recipe, seed))
    before = lay_road(arm.recipe.replace(fit=None), seed, corpus=corpus, weights=weights)
    if arm.recipe.fit is None:
        return Cell(arm, seed, before)
    if store is None:
        return Cell(arm, seed, before, pending=tuple(job for job in before.jobs if job.call.stage in BEFORE_A_KNOB))
    try:
        step = next_step(arm.recipe, seed, store, corpus=corpus, weights=weights)
    except OverBudgetError as error:
        return Cell(arm, seed, before, error=str(error))
    return Cell(arm, seed, step.road or before, step.jobs)


def _check_difference(cells: Sequence[Cell]) -> None:
    """Raise ValueError when an arm's recipe differs from another's in nothing that is run."""
    seen: dict[tuple[str, ...], Cell] = {}
    for cell in cells:
        fit = cell.arm.recipe.fit if isinstance(cell.arm.recipe, Recipe) else None
        twin = seen.setdefault((*(job.call.key for job in cell.road.jobs if job.wanted), repr(fit)), cell)
        if twin is not cell:
            raise ValueError(
                f"The arms {twin.arm.name} and {cell.arm.name} run one and the same stages: what they differ in "
                "acts on none of them (weights that are given are not trained, readings that no metric names are not taken). "
                "Correct the levels or the metric."
            )


@dataclass(frozen=True)
class Cost:
    """What is left to do: training steps, stages, seconds of one worker (None where unknown) and bytes of states."""

    steps_to_run: int
    segments: int
    stages_to_run: int
    seconds: float
    unknown_stages: int
    state_bytes: int


def cost_of(laid: LaidStudy, store: Store) -> Cost:
    """Return what running the study would still cost."""
    must_run = missing_jobs(laid.jobs, store)
    estimate = Estimate(laid.jobs, store, must_run)
    seconds = [estimate.seconds(job) for job in laid.jobs if job.call.key in must_run]
    trained = [end - begin for begin, end in estimate.steps.values() if end > begin]
    return Cost(
        steps_to_run=sum(trained),
        segments=len(trained),
        stages_to_run=len(must_run),
        seconds=sum(known for known in seconds if known is not None),
        unknown_stages=sum(known is None for known in seconds),
        state_bytes=_state_bytes([job for job in laid.jobs if job.call.key in must_run]),
    )


def _state_bytes(jobs: Sequence[Job]) -> int:
    sizes = [job.trajectory.model.num_matrix_parameters for job in jobs if job.call.stage == "train" and job.trajectory]
    return int(np.sum(sizes, dtype=np.int64)) * BYTES_PER_PARAMETER
