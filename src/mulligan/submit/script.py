"""The main function of the one file: trains, averages, quantizes, packs and scores as `mulligan run` does, without its store.

Variables of the environment, by the challenge's names: DATA_PATH, TOKENIZER_PATH, SEED, OMP_NUM_THREADS, and
MAX_WALLCLOCK_SECONDS, at which training ends that has not ended (0: nowhere).
"""

import hashlib
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from mulligan.average.blend import blend
from mulligan.average.config import Blend
from mulligan.average.last import last
from mulligan.average.stage import average, make_observer
from mulligan.core.canonical import digest
from mulligan.core.error import DivergedError, LostRankError
from mulligan.core.execution import Execution, Ranks
from mulligan.evaluate import stage as evaluate_stage
from mulligan.evaluate.config import EvaluateConfig, FittedTemperature
from mulligan.evaluate.temperature import fit
from mulligan.flow import observed_by, resolved_average
from mulligan.pack import stage as pack_stage
from mulligan.quantize import stage as quantize_stage
from mulligan.quantize.config import Quantizer, TrainSplit
from mulligan.recipe import Recipe
from mulligan.submit.shard_folder import ShardFolder
from mulligan.train.config import SecondsBudget
from mulligan.train.parallel import check_shares, join, launched
from mulligan.train.trainer import Trainer
from mulligan.values.artifact import Artifact
from mulligan.values.weights import Weights

LOG_EVERY_STEPS = 50
WARM_UP_STEPS = 3
ARTIFACT = Path("final_model.bin")

Say = Callable[[str], None]


def main(recipe: Recipe, form: str) -> None:
    """Carry out a recipe; the first rank prints the log. `form` of the code: readable, minified or packed."""
    try:
        _run(recipe, form)
    except (ValueError, OSError, DivergedError, LostRankError) as error:
        sys.exit(f"train_gpt.py: {error}")  # without a traceback, which would print the whole of a packed file


def _run(recipe: Recipe, form: str) -> None:
    seed, cap = int(os.environ.get("SEED", "0")), float(os.environ.get("MAX_WALLCLOCK_SECONDS") or 0)
    cap = cap if cap > 0 else float("inf")
    if isinstance(recipe.train.budget, SecondsBudget) and cap < recipe.train.budget.seconds:
        budget = recipe.train.budget.replace(seconds=cap)
        recipe = recipe.replace(train=recipe.train.replace(budget=budget))  # another recipe, and the log says so
    folder, tokenizer = Path(os.environ.get("DATA_PATH", "data")), os.environ.get("TOKENIZER_PATH")
    corpus: Any = ShardFolder(folder, tokenizer, recipe.model.vocab_size, recipe.model.bos_id)
    corpus.tokens("train")  # what is wrong with the data is said before the training
    corpus.byte_table()
    evaluate_stage.check_corpus(recipe.evaluate, recipe.data.validation_documents, corpus)
    code = Path(sys.argv[0]).read_bytes()
    execution = _execution()

    def say(line: str) -> None:
        if execution.ranks.rank == 0:
            print(line, flush=True)

    say(f"recipe sha256:{digest(recipe.canonical())} seed:{seed}")
    say(f"code form:{form} bytes:{len(code)} sha256:{hashlib.sha256(code).hexdigest()}")
    points = _train(recipe, seed, corpus, execution, cap, say)
    if execution.ranks.rank == 0:
        payload = _pack(recipe, list(points.values())[-1], corpus, seed, execution, say)
        ARTIFACT.write_bytes(payload)
        codec = recipe.pack.codec.kind
        say(f"artifact bytes:{len(payload)} sha256:{hashlib.sha256(payload).hexdigest()}")
        say(f"Serialized model {codec}: {len(payload)} bytes")
        say(f"Code size: {len(code)} bytes")
        say(f"Total submission size {codec}: {len(payload) + len(code)} bytes")
    execution.ranks.meet()
    packed = Artifact(ARTIFACT.read_bytes()).unpack()
    points["quantized"] = Weights(packed.dequantize(), packed.model, {"kind": "quantized"})
    _score(recipe, points, corpus, execution, say)
    if execution.ranks.rank > 0:
        execution.ranks.from_first("")  # that nothing is left to do
    execution.ranks.end()


def _execution() -> Execution:
    """Return how to run here: on the GPU where there is one, over the processes that torchrun started."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    ranks = join(device) if launched() else Ranks()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or max(1, cores // ranks.world_size)))
    return Execution(device, compile=device == "cuda", ranks=ranks)


def _train(recipe: Recipe, seed: int, corpus: Any, execution: Execution, cap: float, say: Say) -> dict[str, Weights]:
    """Train for at most `cap` seconds; return the last weights and, where the recipe asks for one, their average."""
    check_shares(recipe.train, execution.ranks.world_size)
    averaged = resolved_average(recipe)
    observed = observed_by(averaged)
    observers = [make_observer(one) for one in observed]
    riding = observers if execution.ranks.rank == 0 else []
    trainer = Trainer(recipe.train, recipe.model, corpus.tokens("train"), seed, execution, riding, recipe.grid)
    trainer.begin()
    if execution.compile:
        trainer.warm_up(WARM_UP_STEPS)  # compilation is not training time
    seconds = 0.0
    while not trainer.finished and seconds < cap:
        began = time.monotonic()
        trainer.advance(until_step=trainer.step + LOG_EVERY_STEPS, for_seconds=cap - seconds)
        seconds = execution.ranks.largest(seconds + time.monotonic() - began)
        say(
            f"step:{trainer.step}/{trainer.schedule.num_steps or 0} train_loss:{trainer.last_loss:.4f} "
            f"train_time:{1000 * seconds:.0f}ms step_avg:{1000 * seconds / trainer.step:.2f}ms"
        )
    say(f"train_seconds:{seconds:.3f} steps:{trainer.step}")
    raw = last(trainer.state())
    if not observed or execution.ranks.rank > 0:
        return {"raw": raw}
    parts = [
        average(one, observer.observation(), recipe.model.canonical())
        for one, observer in zip(observed, observers, strict=True)
    ]
    return {"raw": raw, "averaged": blend(averaged, parts) if isinstance(averaged, Blend) else parts[0]}


def _pack(recipe: Recipe, weights: Weights, corpus: Any, seed: int, execution: Execution, say: Say) -> bytes:
    """Quantize and pack. The clock of training text is told apart: it counts as training, the rest as evaluation."""
    alone, config = replace(execution, ranks=Ranks()), recipe.quantize
    weights = Weights({name: tensor.detach().cpu() for name, tensor in weights.tensors.items()}, weights.model, weights.record)
    hessians = None
    if isinstance(config, Quantizer) and config.calibration.kind != "off":
        began = time.monotonic()
        text = corpus if isinstance(config.calibration, TrainSplit) else None
        hessians = quantize_stage.calibrate(config, weights, text, seed, alone)
        say(f"calibrate_seconds:{time.monotonic() - began:.3f}")
    began = time.monotonic()
    payload = pack_stage.run(recipe.pack, quantize_stage.on_grid(config, recipe.grid, weights, hessians)).payload
    say(f"pack_seconds:{time.monotonic() - began:.3f}")
    return payload


def _score(recipe: Recipe, points: dict[str, Weights], corpus: Any, execution: Execution, say: Say) -> None:
    """Score every point of the weights in all windows, the packed ones last; the last reading is the score."""
    plain, line = recipe.evaluate.unadapted, ""
    readings = [(point, plain, i) for point in points for i in range(len(plain.windows))]
    if plain != recipe.evaluate:
        readings.append(("adapted", recipe.evaluate, len(plain.windows) - 1))
    if execution.ranks.world_size > 1:
        readings = [reading for reading in readings if reading[0] in ("quantized", "adapted")]
    temperatures: dict[str, float | None] = {}
    for point, config, i in readings:
        began = time.monotonic()
        source = "quantized" if point == "adapted" else point
        if source not in temperatures:
            temperatures[source] = _temperature(recipe, config, points[source], corpus, execution)
        windows, num_documents = config.windows[i], recipe.data.validation_documents
        what, temperature = f"{windows.kind} {point}", temperatures[source]
        scoring = evaluate_stage.run(
            config, windows, num_documents, points[source], corpus, execution, what, grid=recipe.grid, temperature=temperature
        )
        found = scoring.summary()
        line = f"val_loss:{found['nats_per_token']:.8f} val_bpb:{found['bits_per_byte']:.8f}"
        name = "_".join([point, windows.kind, *(["ILLEGAL"] if not found["legal"] else [])])
        say(f"{name}_exact {line} eval_time:{1000 * (time.monotonic() - began):.0f}ms")
    say(f"final_exact {line}")


def _temperature(recipe: Recipe, config: EvaluateConfig, weights: Weights, corpus: Any, execution: Execution) -> float | None:
    if not isinstance(config.temperature, FittedTemperature):
        return None
    alone = replace(execution, ranks=Ranks())
    return fit(config, recipe.train.seq_len, weights, corpus, alone).value
