"""How each stage's value is made from its sources: load, call the stage, publish. Stages are imported when one runs."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mulligan.core.canonical import Json
from mulligan.core.config import FrozenConfig
from mulligan.core.execution import Execution, Ranks
from mulligan.engine.job import Job, Outside, folder_of
from mulligan.store.store import Store

if TYPE_CHECKING:
    from mulligan.evaluate.stage import Scoring
    from mulligan.values.corpus import Corpus
    from mulligan.values.weights import Weights


def run_job(job: Job, store: Store, execution: Execution) -> None:
    """Make the value of `job` and publish it."""
    began = time.monotonic()

    def publish(save: Callable[[Path], object]) -> None:
        provenance: dict[str, Json] = {"device": execution.device}

        def save_and_time(folder: Path) -> None:
            save(folder)  # some stages work as they write
            provenance["seconds"] = time.monotonic() - began

        store.publish(job.call, save_and_time, provenance)

    if job.call.stage in ("train", "observe"):
        from mulligan.engine.training import run_trajectory
        from mulligan.train.parallel import check_shares

        assert job.trajectory is not None
        if store.has(job.call):
            return  # another observation's replay recorded this one too
        check_shares(job.trajectory.train, execution.ranks.world_size)
        with execution.ranks.joined(job.trajectory.state_call().key):
            run_trajectory(job.trajectory, folder_of(job.sources["corpus"], store), store, execution)
    elif job.call.stage == "evaluate":
        with execution.ranks.joined(job.call.key) as together:
            publish(scoring_of(job, store, execution if together else replace(execution, ranks=Ranks())).save)
    else:
        publish(_MAKERS[job.call.stage](job, store, replace(execution, ranks=Ranks())))  # the others wait, and share nothing


def _make_data(job: Job, store: Store, execution: Execution) -> Callable[[Path], None]:
    from mulligan.data import stage
    from mulligan.data.config import EmbeddedData

    config = job.config
    assert isinstance(config, EmbeddedData)
    return lambda folder: stage.run(config, folder, execution.progress)


def _make_average(job: Job, store: Store, execution: Execution) -> Callable[[Path], None]:
    from mulligan.average.blend import blend
    from mulligan.average.config import Blend, Observed
    from mulligan.average.last import last
    from mulligan.average.stage import average
    from mulligan.values.observer import Observation
    from mulligan.values.train_state import TrainState

    assert job.trajectory is not None
    if "state" in job.sources:
        return last(TrainState.load(folder_of(job.sources["state"], store))).save
    configs = [part.average for part in job.config.parts] if isinstance(job.config, Blend) else [job.config]
    averages = []
    for config, source in zip(configs, job.sources.values(), strict=True):
        assert isinstance(config, Observed)
        observation = Observation.load(folder_of(source, store))
        averages.append(average(config, observation, job.trajectory.model.canonical()))
    return (blend(job.config, averages) if isinstance(job.config, Blend) else averages[0]).save


def _make_hessians(job: Job, store: Store, execution: Execution) -> Callable[[Path], None]:
    from mulligan.quantize import stage
    from mulligan.quantize.config import Quantizer
    from mulligan.values.corpus import Corpus

    assert isinstance(job.config, Quantizer)
    corpus = Corpus.load(folder_of(job.sources["corpus"], store)) if "corpus" in job.sources else None
    return stage.calibrate(job.config, _weights(job.sources["weights"], store), corpus, job.call.seed or 0, execution).save


def _make_quantized(job: Job, store: Store, execution: Execution) -> Callable[[Path], None]:
    from mulligan.quantize import stage
    from mulligan.quantize.config import Quantizer, UserQuantizer
    from mulligan.values.hessians import Hessians

    assert isinstance(job.config, Quantizer | UserQuantizer)
    observed = Hessians.load(folder_of(job.sources["hessians"], store)) if "hessians" in job.sources else None
    return stage.run(job.config, job.settings["grid"], _weights(job.sources["weights"], store), observed).save


def _make_artifact(job: Job, store: Store, execution: Execution) -> Callable[[Path], None]:
    from mulligan.pack import stage
    from mulligan.pack.config import PackConfig
    from mulligan.values.quantized import Quantized

    assert isinstance(job.config, PackConfig)
    return stage.run(job.config, Quantized.load(folder_of(job.sources["quantized"], store))).save


def scoring_of(job: Job, store: Store, execution: Execution) -> "Scoring":
    """Return the scoring that an evaluate job is."""
    from mulligan.values.corpus import Corpus

    corpus = Corpus.load(folder_of(job.sources["corpus"], store))
    weights = _weights(job.sources["weights"], store)
    assert job.config is not None
    return make_scoring(job.config, job.settings, weights, corpus, execution, temperature_of(job, store), job.name)


def temperature_of(job: Job, store: Store) -> float | None:
    """Return the temperature that was fitted for an evaluate job, if one was."""
    fitted = job.sources.get("temperature")
    return float(store.open(fitted.call).summary()["value"]) if isinstance(fitted, Job) else None


def make_scoring(
    config: FrozenConfig,
    settings: Mapping[str, Any],
    weights: "Weights",
    corpus: "Corpus",
    execution: Execution,
    temperature: float | None,
    what: str = "evaluate",
) -> "Scoring":
    """Return the scoring of given weights and corpus by the config and the settings of an evaluate job."""
    from mulligan.evaluate import stage
    from mulligan.evaluate.config import EvaluateConfig

    assert isinstance(config, EvaluateConfig)
    windows, num_documents, split = (settings[name] for name in ("windows", "num_documents", "split"))
    told = (what, split, settings.get("grid"), temperature)
    return stage.run(config, windows, num_documents, weights, corpus, execution, *told)


def _make_temperature(job: Job, store: Store, execution: Execution) -> Callable[[Path], None]:
    from mulligan.evaluate import temperature
    from mulligan.evaluate.config import EvaluateConfig
    from mulligan.values.corpus import Corpus

    corpus = Corpus.load(folder_of(job.sources["corpus"], store))
    assert isinstance(job.config, EvaluateConfig)
    weights = _weights(job.sources["weights"], store)
    return temperature.fit(job.config, job.settings["context_len"], weights, corpus, execution).save


def _make_log(job: Job, store: Store, execution: Execution) -> Callable[[Path], None]:
    from mulligan.engine.script import run_script

    def tell(line: str) -> None:
        execution.progress("script", 0, 0, line[:100])

    settings = job.settings
    return run_script(folder_of(job.sources["script"], store), settings["launch"], settings["environment"], tell)


def _weights(source: Job | Outside, store: Store) -> "Weights":
    """Return the weights of a source: packed bytes are unpacked and dequantized, never taken from memory."""
    folder = folder_of(source, store)
    if isinstance(source, Outside):
        return read_weights(folder)
    return read_weights(folder / ("artifact.bin" if source.call.stage == "pack" else "weights.safetensors"))


def read_weights(path: Path) -> "Weights":
    """Return the weights in a packed artifact or in a weights file (safetensors with our metadata)."""
    from mulligan.values.artifact import MAGIC, Artifact
    from mulligan.values.weights import Weights

    with path.open("rb") as file:
        packed = file.read(len(MAGIC)) == MAGIC
    if not packed:
        return Weights.from_file(path)
    quantized = Artifact.from_file(path).unpack()
    return Weights(quantized.dequantize(), quantized.model, {"kind": "quantized"})


_MAKERS: dict[str, Callable[[Job, Store, Execution], Callable[[Path], object]]] = {
    "data": _make_data,
    "average": _make_average,
    "calibrate": _make_hessians,
    "quantize": _make_quantized,
    "pack": _make_artifact,
    "temperature": _make_temperature,
    "script": _make_log,
}
