"""The road, on one screen: data -> train -> average -> quantize -> pack -> evaluate.

Each line is a stage call whose key is known before anything runs. Torch-free: `lay_road` plans, the engine runs.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mulligan.average.config import VERSION as AVERAGE
from mulligan.average.config import Blend, Ema, Last, Lawa, LegacyBf16Swa, Observed, SnapshotsFrom, Swa, TightSwa
from mulligan.average.tight_swa import as_swa
from mulligan.core.canonical import Json, digest
from mulligan.data.config import VERSION as DATA
from mulligan.data.config import EmbeddedData
from mulligan.engine.job import Job, Outside
from mulligan.engine.trajectory import Trajectory
from mulligan.evaluate.config import VERSION as EVALUATE
from mulligan.evaluate.config import EvaluateConfig, Flat
from mulligan.numerics.config import GridConfig
from mulligan.numerics.trigger import AtStep
from mulligan.pack.config import VERSION as PACK
from mulligan.quantize.config import VERSION as QUANTIZE
from mulligan.quantize.config import SelfGenerated, TrainSplit
from mulligan.recipe import Recipe
from mulligan.store.stage_call import OutsideInput, StageCall
from mulligan.train.config import TrainConfig
from mulligan.train.schedule import Schedule


@dataclass(frozen=True)
class Road:
    """The jobs of one recipe and seed, in order; the points of the weights (raw, averaged, quantized) by name."""

    recipe: Recipe
    seed: int
    jobs: tuple[Job, ...]
    points: dict[str, Job | Outside]

    def record(self, recipe_name: str) -> tuple[str, dict[str, Json]]:
        """Return the name and the content of the store's record of this run: which keys to keep, and for what."""
        recipe = self.recipe.model_dump(mode="json")
        keys = [job.call.key for job in self.jobs]
        name = f"{Path(recipe_name).stem}-seed{self.seed}-{digest([recipe, self.seed, keys])[:10]}"
        return name, {"recipe_name": recipe_name, "recipe": recipe, "seed": self.seed, "keys": list(keys)}


def lay_road(recipe: Recipe, seed: int, *, corpus: Outside | None = None, weights: Outside | None = None) -> Road:
    """Return the road of `recipe`; `corpus` is a prepared folder, `weights` a file that stands in for training."""
    data = corpus or _data(recipe)
    jobs = [] if isinstance(data, Outside) else [data]
    if weights:
        points: dict[str, Job | Outside] = {"raw": weights}
    else:
        points, trained = _train_and_average(recipe, seed, data)
        jobs += trained
    quantized = _quantize(recipe, seed, points.get("averaged", points["raw"]), data)
    artifact = Job(
        "pack",
        StageCall("pack", PACK, recipe.pack.canonical(), (quantized.call,)),
        {"quantized": quantized},
        recipe.pack,
    )
    points["quantized"] = artifact
    num_windows = len(recipe.evaluate.windows)
    plain = recipe.replace(evaluate=recipe.evaluate.unadapted)
    scores = [_score(plain, data, point, source, i) for point, source in points.items() for i in range(num_windows)]
    if plain != recipe:
        scores.append(_score(recipe, data, "adapted", artifact, num_windows - 1))
    return Road(recipe, seed, (*jobs, quantized, artifact, *scores), points)


def _data(recipe: Recipe) -> Job:
    from mulligan.data.embedded import source_digest

    if not isinstance(recipe.data, EmbeddedData):
        raise ValueError(
            f"The recipe's data is {recipe.data.kind!r}: it needs a prepared corpus. Give --data DIR, made by "
            "`mulligan data prepare` or `mulligan data import-shards`."
        )
    config = {name: value for name, value in recipe.data.canonical().items() if name != "validation_documents"}
    source = OutsideInput("the documentation of this Python", source_digest())
    return Job("data", StageCall("data", DATA, config, (source,), hashed_on_read=False), config=recipe.data)


def _train_and_average(recipe: Recipe, seed: int, data: Job | Outside) -> tuple[dict[str, Job | Outside], list[Job]]:
    average = resolved_average(recipe)
    riding = _observed(average)
    trajectory = Trajectory(recipe.train, recipe.model, recipe.grid, riding, data.call, seed)
    train = Job("train", trajectory.state_call(), {"corpus": data}, trajectory=trajectory, wanted=False)
    raw = _average("raw", Last(kind="last"), {"state": train}, trajectory)
    if not riding:
        return {"raw": raw}, [train, raw]
    observations: dict[str, Job | Outside] = {}
    for i, observed in enumerate(riding, start=1):
        number = f" {i}" if len(riding) > 1 else ""
        reads = {"corpus": data, "state": train}
        observations["observation" + number] = Job(
            "observe" + number, trajectory.observe_call(observed), reads, trajectory=trajectory, wanted=False
        )
    averaged = _average("average", average, observations, trajectory)
    jobs = [job for job in observations.values() if isinstance(job, Job)]
    return {"raw": raw, "averaged": averaged}, [train, *jobs, raw, averaged]


def _average(name: str, config: Last | Observed | Blend, sources: dict[str, Job | Outside], trajectory: Trajectory) -> Job:
    call = StageCall("average", AVERAGE, config.canonical(), tuple(source.call for source in sources.values()))
    return Job(name, call, sources, config, trajectory=trajectory)


def _quantize(recipe: Recipe, seed: int, weights: Job | Outside, data: Job | Outside) -> Job:
    """Return the quantization; the corpus and the seed are in its key only where its calibration reads them."""
    config: dict[str, Json] = {"quantize": recipe.quantize.canonical(), "grid": recipe.grid.canonical()}
    calibration = getattr(recipe.quantize, "calibration", None)  # a quantizer of the user's own has none
    reads = {"weights": weights, **({"corpus": data} if isinstance(calibration, TrainSplit) else {})}
    drawn = seed if isinstance(calibration, SelfGenerated) else None
    call = StageCall("quantize", QUANTIZE, config, tuple(source.call for source in reads.values()), drawn)
    return Job("quantize", call, reads, recipe.quantize, settings={"grid": recipe.grid, "model": recipe.model})


def _score(recipe: Recipe, data: Job | Outside, point: str, weights: Job | Outside, i: int) -> Job:
    num_documents = recipe.data.validation_documents
    call = evaluate_call(recipe.evaluate, i, num_documents, weights.call, data.call, recipe.grid)
    windows = recipe.evaluate.windows[i]
    settings: dict[str, Any] = {"point": point, "windows": windows, "num_documents": num_documents, "split": "validation"}
    if point == "adapted":
        settings |= {"grid": recipe.grid, "model": recipe.model}
    alike = point != "adapted" and sum(other.kind == windows.kind for other in recipe.evaluate.windows) > 1
    name = f"{windows.kind} {point}" + (f" {windows.context_len}/{windows.stride}" if alike else "")
    return Job(name, call, {"weights": weights, "corpus": data}, recipe.evaluate, settings=settings)


def lay_train_score(road: Road, num_documents: int) -> Job:
    """Return the job that scores the packed artifact on the last documents of the train split, in flat windows."""
    scored = next(job for job in road.jobs if job.call.stage == "evaluate")
    windows = Flat(kind="flat", context_len=road.recipe.train.seq_len)
    evaluate = road.recipe.evaluate.unadapted
    config: dict[str, Json] = {**evaluate.canonical(), "windows": windows.canonical()}
    artifact, data = road.points["quantized"], scored.sources["corpus"]
    call = StageCall("evaluate", EVALUATE, {**config, "train_documents": num_documents}, (artifact.call, data.call))
    settings = {"point": "quantized", "windows": windows, "num_documents": num_documents, "split": "train"}
    sources = {"weights": artifact, "corpus": data}
    return Job("score train documents", call, sources, evaluate, settings=settings)


def evaluate_call(
    config: EvaluateConfig,
    i: int,
    validation_documents: int | None,
    weights: StageCall | OutsideInput,
    corpus: StageCall | OutsideInput,
    grid: GridConfig | None,
) -> StageCall:
    """Return the call that takes reading number `i` of `config`; the number of documents is part of its address.

    `grid` is, too, where adaptation rounds by it.
    """
    data: dict[str, Json] = {**config.canonical(), "windows": config.windows[i].canonical()}
    if getattr(config.adaptation, "fake_quantize", "off") == "grid" and grid is not None:
        data["grid"] = grid.canonical()
    return StageCall("evaluate", EVALUATE, {**data, "validation_documents": validation_documents}, (weights, corpus))


def resolved_average(recipe: Recipe) -> Last | Observed | Blend:
    """Return the average with its triggers resolved to steps where the budget counts steps, and tight SWA as SWA.

    ValueError when no snapshot would enter it, or when a blend holds one average twice: better said before the training.
    """
    average = recipe.average
    if isinstance(average, Last):
        return average
    if not isinstance(average, Blend):
        return _resolved(average, recipe.train)
    found = [_resolved(part.average, recipe.train) for part in average.parts]
    twice = [part.average.canonical() for i, part in enumerate(average.parts) if found[i] in found[:i]]
    if twice:
        raise ValueError(f"The blend holds {twice[0]} twice, perhaps by another name. Give each average once, with one weight.")
    parts = [part.replace(average=one) for part, one in zip(average.parts, found, strict=True)]
    return average.replace(parts=tuple(parts))


def _observed(average: Last | Observed | Blend) -> tuple[Observed, ...]:
    """Return what observers must record for a resolved average: nothing for the last weights, every part for a blend."""
    if isinstance(average, Blend):
        return tuple(part.average for part in average.parts if not isinstance(part.average, TightSwa))
    return () if isinstance(average, Last) else (average,)


def _resolved(given: Ema | Swa | TightSwa | Lawa | LegacyBf16Swa, train: TrainConfig) -> Observed:
    average = as_swa(given) if isinstance(given, TightSwa) else given
    if isinstance(average, SnapshotsFrom):
        average = average.replace(start=Schedule(train).resolve(average.start))
    num_steps = train.num_steps
    if num_steps is not None and not isinstance(average, Ema):
        first = average.start.step if isinstance(average, SnapshotsFrom) and isinstance(average.start, AtStep) else 1
        if num_steps // average.every_steps * average.every_steps < first:
            raise ValueError(
                f"The average {given.canonical()} holds no snapshot: no multiple of {average.every_steps} is among "
                f"steps {first} to {num_steps}. Give a smaller every_steps or a trigger that fires earlier."
            )
    return average
