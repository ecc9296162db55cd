"""`mulligan evaluate`: score a packed artifact or a weights file on a corpus."""

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from mulligan.cli.setting import DEFAULT_STORE, AsJson, Device, Set, StoreFolder, Threads

if TYPE_CHECKING:
    from mulligan.core.execution import Execution
    from mulligan.evaluate.config import EvaluateConfig
    from mulligan.numerics.config import GridConfig
    from mulligan.recipe import Recipe
    from mulligan.store.stage_call import OutsideInput, StageCall
    from mulligan.values.corpus import Corpus
    from mulligan.values.weights import Weights

CONTEXT_LEN, STRIDE = 1024, 64
STRIDELESS = {"flat": "they stand side by side", "streaming": "there is one for every token"}


def evaluate(
    artifact_or_weights: Path,
    /,
    *,
    data: Annotated[
        Path | None, Parameter(help="A prepared corpus. Default: the stored one that the file was trained on.")
    ] = None,
    recipe: Annotated[str | None, Parameter(help="Take the documents of this recipe, and how it scores.")] = None,
    windows: Annotated[
        Literal["flat", "sliding", "document-isolated", "streaming"] | None, Parameter(help="Default: the recipe's, else flat.")
    ] = None,
    context_len: Annotated[int | None, Parameter(help=f"Tokens of a window. Default: {CONTEXT_LEN}.")] = None,
    stride: Annotated[int | None, Parameter(help=f"Tokens between windows. Default: {STRIDE}.")] = None,
    validation_documents: Annotated[int | None, Parameter(help="Score the first N documents only.")] = None,
    scores: Annotated[Path | None, Parameter(help="Write per-token and per-document scores to this new folder.")] = None,
    changes: Set | None = None,
    store: StoreFolder = DEFAULT_STORE,
    device: Device = "auto",
    threads: Threads = None,
    json: AsJson = False,
) -> int:
    """Score the validation split of a corpus. An artifact is unpacked from its bytes into a fresh network.

    What was trained on the documentation of this Python needs no --data: the store knows the corpus behind its own values.
    """
    from mulligan.cli.setting import make_execution
    from mulligan.cli.terminal import show_progress
    from mulligan.engine.job import weights_at
    from mulligan.reading import artifact_bytes, check_budget
    from mulligan.recipe import load_recipe
    from mulligan.store.stage_call import OutsideInput

    given = load_recipe(recipe, changes or []) if recipe else None
    config, validation_documents = _config(recipe, changes or [], windows, context_len, stride, validation_documents)
    if scores is not None and scores.exists():
        raise ValueError(f"{scores} exists already. Give a folder that does not, or delete it first.")
    weights, corpus = _load(artifact_or_weights, data, store)
    inputs = weights_at(artifact_or_weights).call, OutsideInput("corpus", corpus.digest)
    with show_progress() as progress:
        execution = make_execution(device, threads, compile_network=False, progress=progress)
        fitted = _fit(config, given, weights, corpus, inputs, execution)
        grid = given.grid if given else None
        readings, stages = _score(config, grid, validation_documents, weights, corpus, inputs, execution, scores, fitted)
    result: dict[str, Any] = {
        "recipe": recipe,
        "seed": None,
        "readings": readings,
        "average": weights.record,
        "artifact": artifact_bytes(artifact_or_weights, given) if weights.record["kind"] == "quantized" else None,
        "stages": stages,
    }
    _print(result, f"{artifact_or_weights} on {corpus.folder}", as_json=json)
    if result["artifact"]:
        check_budget(result["artifact"])
    return 0


def _print(result: dict[str, Any], title: str, *, as_json: bool) -> None:
    from mulligan.cli.run import print_readings
    from mulligan.cli.terminal import print_json

    if as_json:
        print_json(result)
    else:
        print_readings(title, result["readings"])


def _load(file: Path, data: Path | None, store: Path) -> tuple["Weights", "Corpus"]:
    """Return the weights in a file, and the corpus in `data` or else the stored one that they were trained on."""
    from mulligan.engine.ancestry import corpus_behind
    from mulligan.engine.stage_runner import read_weights
    from mulligan.store.store import Store
    from mulligan.values.corpus import Corpus

    if not file.is_file():
        raise ValueError(f"{file}: no such file. Give an artifact.bin or a weights file (.safetensors).")
    return read_weights(file), Corpus.load(data or corpus_behind(file, Store(store)))


def _fit(
    config: "EvaluateConfig",
    recipe: "Recipe | None",
    weights: "Weights",
    corpus: "Corpus",
    inputs: tuple["OutsideInput", "OutsideInput"],
    execution: "Execution",
) -> tuple["StageCall", float] | None:
    """Return the call that fits a temperature, and what it gives, where the recipe asks for one."""
    from mulligan.evaluate import temperature
    from mulligan.evaluate.config import FittedTemperature
    from mulligan.flow import temperature_call

    if recipe is None or not isinstance(config.temperature, FittedTemperature):
        return None
    context_len = recipe.train.seq_len
    fitted = temperature.fit(config, context_len, weights, corpus, execution)
    return temperature_call(config, context_len, *inputs), fitted.value


def _score(
    config: "EvaluateConfig",
    grid: "GridConfig | None",
    validation_documents: int | None,
    weights: "Weights",
    corpus: "Corpus",
    inputs: tuple["OutsideInput", "OutsideInput"],
    execution: "Execution",
    folder: Path | None,
    temperature: tuple["StageCall", float] | None,
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the readings and the stages; each reading's scores go to a folder of their own below `folder`."""
    from mulligan.evaluate import stage
    from mulligan.flow import evaluate_call

    call, value = temperature or (None, None)
    calls = (*inputs, call) if call else inputs

    readings: list[dict[str, Any]] = []
    stages: list[dict[str, Any]] = []
    last = len(config.windows) - 1
    adapted = [] if config == config.unadapted else [(last, config, "adapted")]
    plain = [(i, config.unadapted, _point(weights.record)) for i in range(len(config.windows))]
    for number, (i, taken, point) in enumerate([*plain, *adapted]):
        window, began = config.windows[i], time.monotonic()
        what = f"{window.kind} windows, {point}"
        scoring = stage.run(taken, window, validation_documents, weights, corpus, execution, what, grid=grid, temperature=value)
        if folder is None:
            summary = scoring.summary()
        else:
            (folder / f"{number}-{window.kind}").mkdir(parents=True)
            summary = scoring.save(folder / f"{number}-{window.kind}")
        readings.append({"point": point, **summary})
        key = evaluate_call(taken, i, validation_documents, calls, grid).key
        stages.append({"stage": "evaluate", "key": key, "status": "ran", "seconds": round(time.monotonic() - began, 3)})
    return readings, stages


def _point(record: dict[str, Any]) -> str:
    names = {"quantized": "quantized", "last": "raw", "imported": "raw"}
    return names.get(str(record["kind"]), "averaged")


def _config(
    recipe: str | None,
    changes: list[str],
    windows: str | None,
    context_len: int | None,
    stride: int | None,
    validation_documents: int | None,
) -> tuple["EvaluateConfig", int | None]:
    """Return the readings to take: the recipe's, or one with the windows that the options ask for."""
    from mulligan.core.config import parse_config
    from mulligan.evaluate.config import EvaluateConfig
    from mulligan.recipe import load_recipe

    base: dict[str, Any] = {"precision": "fp32", "bytes": "piece"}
    if changes and recipe is None:
        raise ValueError("--set changes a recipe; give --recipe too.")
    if recipe is not None:
        loaded = load_recipe(recipe, changes)
        if validation_documents is None:
            validation_documents = loaded.data.validation_documents
        base = loaded.evaluate.model_dump(mode="json", exclude={"windows"})
        given = [window.model_dump() for window in loaded.evaluate.windows if windows in (None, window.kind)]
        if given and stride is not None and all(window["kind"] in STRIDELESS for window in given):
            raise ValueError(f"--stride {stride} changes none of the recipe's windows here: {_stride_of(given)}. Leave it out.")
        if given:
            chosen = [{**window, **_asked(window["kind"], context_len, stride)} for window in given]
            return parse_config(EvaluateConfig, {**base, "windows": chosen}, "evaluate"), validation_documents
    kind = windows or ("flat" if stride is None else "sliding")
    if kind in STRIDELESS and stride is not None:
        raise ValueError(f"--stride does not apply to {kind} windows: {STRIDELESS[kind]}. Use --windows sliding.")
    window: dict[str, Any] = {"kind": kind, "context_len": CONTEXT_LEN if context_len is None else context_len}
    if kind not in STRIDELESS:
        window["stride"] = STRIDE if stride is None else stride
    return parse_config(EvaluateConfig, {**base, "windows": [window]}, "evaluate"), validation_documents


def _stride_of(windows: list[dict[str, Any]]) -> str:
    """Return why these windows have no stride."""
    return "; ".join(dict.fromkeys(f"{window['kind']} windows: {STRIDELESS[window['kind']]}" for window in windows))


def _asked(kind: str, context_len: int | None, stride: int | None) -> dict[str, int]:
    """Return what the options change in a window of the recipe; some windows have no stride."""
    asked = {"context_len": context_len, "stride": None if kind in STRIDELESS else stride}
    return {name: value for name, value in asked.items() if value is not None}
