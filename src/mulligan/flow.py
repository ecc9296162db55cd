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
from mulligan.evaluate.config import EvaluateConfig, FittedTemperature, Flat
from mulligan.numerics.config import GridConfig
from mulligan.numerics.trigger import AtStep
from mulligan.pack.config import VERSION as PACK
from mulligan.quantize.config import VERSION as QUANTIZE
from mulligan.quantize.config import Quantizer, SelfGenerated, TrainSplit
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
    *observed, quantized = _quantize(recipe, seed, points.get("averaged", points["raw"]), data)
    artifact = Job(
        "pack",
        StageCall("pack", PACK, recipe.pack.canonical(), (quantized.call,)),
        {"quantized": quantized},
        recipe.pack,
    )
    points["quantized"] = artifact
    plain = recipe.replace(evaluate=recipe.evaluate.unadapted)
    reads = {point: _read_by_scores(plain, data, point, source) for point, source in points.items()}
    num_windows = len(recipe.evaluate.windows)
    scores = [_score(plain, point, sources, i) for point, sources in reads.items() for i in range(num_windows)]
    if plain != recipe:
        scores.append(_score(recipe, "adapted", reads["quantized"], num_windows - 1))
    fits = [source for sources in reads.values() for role, source in sources.items() if role == "temperature"]
    scores = [*(job for job in fits if isinstance(job, Job)), *scores]
    return Road(recipe, seed, (*jobs, *observed, quantized, artifact, *scores), points)


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
    riding = observed_by(average)
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


def _quantize(recipe: Recipe, seed: int, weights: Job | Outside, data: Job | Outside) -> list[Job]:
    """Return the calibration, where there is one, and the quantization; corpus and seed are in keys only where text is read.

    What Hessians depend on is all in the quantization's key, which therefore need not name theirs.
    """
    config: dict[str, Json] = {"quantize": recipe.quantize.canonical(), "grid": recipe.grid.canonical()}
    calibration = getattr(recipe.quantize, "calibration", None)  # a quantizer of the user's own has none
    reads = {"weights": weights, **({"corpus": data} if isinstance(calibration, TrainSplit) else {})}
    drawn = seed if isinstance(calibration, SelfGenerated) else None
    inputs = tuple(source.call for source in reads.values())
    call, settings = StageCall("quantize", QUANTIZE, config, inputs, drawn), {"grid": recipe.grid, "model": recipe.model}
    if not isinstance(recipe.quantize, Quantizer) or recipe.quantize.calibration.kind == "off":
        return [Job("quantize", call, reads, recipe.quantize, settings=settings)]
    observe = StageCall("calibrate", QUANTIZE, recipe.quantize.before_observing(), inputs, drawn)
    hessians = Job("calibrate", observe, reads, recipe.quantize, wanted=False)
    given = {"weights": weights, "hessians": hessians}
    return [hessians, Job("quantize", call, given, recipe.quantize, settings=settings)]


def _read_by_scores(recipe: Recipe, data: Job | Outside, point: str, weights: Job | Outside) -> dict[str, Job | Outside]:
    """Return what every score of some weights reads: they, the corpus and, where one is fitted, their temperature."""
    reads = {"weights": weights, "corpus": data}
    if not isinstance(recipe.evaluate.temperature, FittedTemperature):
        return reads
    context_len = recipe.train.seq_len
    call = temperature_call(recipe.evaluate, context_len, weights.call, data.call)
    num_documents = recipe.evaluate.temperature.train_documents
    settings = {"context_len": context_len, "num_documents": num_documents, "split": "train"}
    return {**reads, "temperature": Job(f"temperature {point}", call, reads, recipe.evaluate, settings=settings, wanted=False)}


def _score(recipe: Recipe, point: str, reads: dict[str, Job | Outside], i: int) -> Job:
    num_documents = recipe.data.validation_documents
    inputs = tuple(source.call for source in reads.values())
    call = evaluate_call(recipe.evaluate, i, num_documents, inputs, recipe.grid)
    windows = recipe.evaluate.windows[i]
    settings: dict[str, Any] = {"point": point, "windows": windows, "num_documents": num_documents, "split": "validation"}
    if point == "adapted":
        settings |= {"grid": recipe.grid, "model": recipe.model}
    alike = point != "adapted" and sum(other.kind == windows.kind for other in recipe.evaluate.windows) > 1
    isolated = " isolated" if getattr(windows, "documents", "") == "isolated" else ""
    name = f"{windows.kind} {point}" + (f" {windows.context_len}/{windows.stride}{isolated}" if alike else "")
    return Job(name, call, reads, recipe.evaluate, settings=settings)


def lay_train_score(road: Road, num_documents: int) -> Job:
    """Return the job that scores the packed artifact on the last documents of the train split, in flat windows."""
    scored = next(job for job in road.jobs if job.settings.get("point") == "quantized")
    windows = Flat(kind="flat", context_len=road.recipe.train.seq_len)
    evaluate = road.recipe.evaluate.unadapted
    config: dict[str, Json] = {**evaluate.canonical(), "windows": windows.canonical()}
    inputs = tuple(source.call for source in scored.sources.values())
    call = StageCall("evaluate", EVALUATE, {**config, "train_documents": num_documents}, inputs)
    settings = {"point": "quantized", "windows": windows, "num_documents": num_documents, "split": "train"}
    return Job("score train documents", call, scored.sources, evaluate, settings=settings)


def evaluate_call(
    config: EvaluateConfig,
    i: int,
    validation_documents: int | None,
    inputs: tuple[StageCall | OutsideInput, ...],
    grid: GridConfig | None,
) -> StageCall:
    """Return the call that takes reading number `i` of `config`; the number of documents is part of its address.

    `inputs`: the weights, the corpus, a fitted temperature if there is one. `grid`: by which adaptation rounds, where it does.
    """
    data: dict[str, Json] = {**config.canonical(), "windows": config.windows[i].canonical()}
    if getattr(config.adaptation, "fake_quantize", "off") == "grid" and grid is not None:
        data["grid"] = grid.canonical()
    return StageCall("evaluate", EVALUATE, {**data, "validation_documents": validation_documents}, inputs)


def temperature_call(
    config: EvaluateConfig, context_len: int, weights: StageCall | OutsideInput, corpus: StageCall | OutsideInput
) -> StageCall:
    """Return the call that fits a temperature to some weights, in flat windows; how many bytes count does not bear on it."""
    bears = ("temperature", "precision", "attention_window", "position_extension")
    data = {name: value for name, value in config.canonical().items() if name in bears}
    return StageCall("temperature", EVALUATE, {**data, "context_len": context_len}, (weights, corpus))


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


def observed_by(average: Last | Observed | Blend) -> tuple[Observed, ...]:
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
