"""`python -m bench.evaluate`: seconds and nats of naive sliding, our sliding, streaming and flat, of one network in one run.

    python -m bench.evaluate small --weights FILE --data CORPUS

Naive sliding runs every window whole and makes all of its logits. Streaming is at W = T/2, 3T/4 and T. Times are of the first
`--tokens` validation tokens, in rounds of all ways after one that is not counted; a ratio is the median over rounds. Scores
are of the first `--scored` tokens; bits per byte count piece bytes. Without weights the recipe's network is trained for
`--steps` steps on the text that ships with Python, into `--store`: enough for times, not for scores.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from mulligan.core.execution import Execution
from mulligan.engine.inline import run_jobs
from mulligan.engine.job import Job, folder_of
from mulligan.engine.stage_runner import read_weights
from mulligan.evaluate.block import whole
from mulligan.evaluate.config import EvaluateConfig, Flat, Sliding, Streaming
from mulligan.evaluate.evaluator import evaluate
from mulligan.evaluate.passage import Passage
from mulligan.flow import lay_road
from mulligan.model.gpt import GPT
from mulligan.model.network import load_network
from mulligan.recipe import load_recipe
from mulligan.store.store import Store
from mulligan.values.corpus import Corpus
from mulligan.values.scores import Array
from mulligan.values.weights import Weights

Way = Callable[[Passage], Array]
STRIDE = 64
NAIVE, SLIDING = "naive sliding", "sliding"
BATCH_TOKENS = 16_384
TARGETS = "targets: sliding at least 1.2 times as fast as naive; streaming at most 1.5 flat passes, within 0.5 mBPB of sliding"


def main() -> None:
    """Measure each recipe's network."""
    parser = argparse.ArgumentParser(prog="python -m bench.evaluate", description=__doc__)
    parser.add_argument("recipes", nargs="*", default=["tiny", "small"])
    parser.add_argument("--weights", type=Path, help="a weights file or an artifact, of the one recipe that is named")
    parser.add_argument("--data", type=Path, help="the corpus folder that the weights are scored on")
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--scored", type=int, default=40_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--store", type=Path, default=Path(".mulligan"))
    given = parser.parse_args()
    if (given.weights is None) != (given.data is None) or (given.weights and len(given.recipes) != 1):
        parser.error("give --weights and --data together, for one recipe")
    torch.set_num_threads(given.threads)
    print(f"torch {torch.__version__}, {given.threads} threads; {TARGETS}")
    for name in given.recipes:
        made = (
            (read_weights(given.weights), Corpus.load(given.data)) if given.weights else train(name, given.steps, given.store)
        )
        report(name, *made, given.tokens, given.scored, given.rounds)


def train(name: str, steps: int, store_folder: Path) -> tuple[Weights, Corpus]:
    """Return the weights of a short training of the recipe's network on the embedded corpus, and the corpus."""
    budget = [
        f"train.budget.steps={steps}",
        f"train.warmdown.steps={steps // 2}",
        f"train.optimizer.momentum_warmup_steps={steps}",
    ]
    data = 'data={kind = "embedded", vocab_size = 1024}'
    road, store = lay_road(load_recipe(name, [data, 'average={kind = "last"}', *budget]), 0), Store(store_folder)
    raw = road.points["raw"]
    assert isinstance(raw, Job)
    run_jobs([job for job in road.jobs if job.call.stage in ("data", "train", "average")], store, Execution())
    corpus = next(job for job in road.jobs if job.call.stage == "data")
    return read_weights(folder_of(raw, store) / "weights.safetensors"), Corpus.load(folder_of(corpus, store))


def report(name: str, weights: Weights, corpus: Corpus, tokens: int, scored: int, rounds: int) -> None:
    """Print seconds, ratios and scores of every way."""
    model, context_len = load_network(weights, corpus, "cpu"), load_recipe(name).train.seq_len
    documents = corpus.documents("validation")
    passage = Passage.of_stream(corpus.tokens("validation"), documents, slice(0, len(documents.starts)), corpus.byte_table())
    timed, long = (replace(passage, num_positions=min(count, passage.num_positions)) for count in (tokens, scored))
    ways, shape = all_ways(model, context_len), f"{model.config.num_layers} layers x {model.config.model_dim}"
    print(f"\n{name}: {shape}, positions {model.config.positions.kind}, T = {context_len}", flush=True)
    seconds, nats = alternate(ways, timed, rounds)
    apart = np.abs(nats[SLIDING] - nats[NAIVE]).max()
    print(f"  {timed.num_positions:,} tokens, {rounds} rounds; our sliding is within {apart:.1e} nats of naive at every token")
    for way in ways:
        flats, times = ratio(seconds, way, "flat"), ratio(seconds, NAIVE, way)
        print(f"  {way:<14} {statistics.median(seconds[way]):8.3f} s  {flats:6.2f} flat passes  {times:6.2f} x naive's speed")
    read = long.read(0, long.num_positions + 1)
    per_byte = np.log(2) * corpus.byte_table().bytes_of(read[:-1], read[1:]).sum()
    print(f"  scores of {long.num_positions:,} tokens", flush=True)
    slid = None
    for way in [SLIDING, *(way for way in ways if way not in (SLIDING, NAIVE))]:
        total = ways[way](long).sum(dtype=np.float64)
        slid = total if slid is None else slid
        difference = f"{1000 * (total - slid) / per_byte:+.2f} mBPB from sliding"
        print(f"  {way:<14} {total / long.num_positions:.5f} nats  {total / per_byte:.5f} bpb  {difference}", flush=True)


def all_ways(model: GPT, context_len: int) -> dict[str, Way]:
    """Return what scores a passage, by name."""

    def way(kind: Flat | Sliding | Streaming) -> Way:
        config = EvaluateConfig(windows=(kind,), precision="fp32", bytes="piece")
        return lambda passage: whole(evaluate(config, kind, model, passage, Execution())).nats

    windows = (context_len // 2, 3 * context_len // 4, context_len)
    return {
        "flat": way(Flat(kind="flat", context_len=context_len)),
        NAIVE: lambda passage: naive_sliding(model, passage, context_len),
        SLIDING: way(Sliding(kind="sliding", context_len=context_len, stride=STRIDE)),
        **{f"streaming {window}": way(Streaming(kind="streaming", context_len=window)) for window in windows},
    }


@torch.no_grad()
def naive_sliding(model: GPT, passage: Passage, context_len: int) -> Array:
    """Return the nats of every target: full windows STRIDE apart, all of their logits made, the new tail kept."""
    num_positions, nats, scored = passage.num_positions, np.zeros(passage.num_positions, np.float32), 0
    context_len = min(context_len, num_positions)
    starts = [*range(0, num_positions - context_len, STRIDE), num_positions - context_len]
    batch = max(1, BATCH_TOKENS // context_len)
    for i in range(0, len(starts), batch):
        part = np.array(starts[i : i + batch])
        tokens = torch.from_numpy(passage.gather(part[:, None] + np.arange(context_len + 1)))
        logits = model.logits(model.hidden(tokens[:, :-1]))
        losses = F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten(), reduction="none").view(len(part), -1).numpy()
        for start, row in zip(part, losses, strict=True):
            nats[scored : start + context_len] = row[scored - start :]
            scored = start + context_len
    return nats


def alternate(ways: dict[str, Way], passage: Passage, rounds: int) -> tuple[dict[str, list[float]], dict[str, Array]]:
    """Return the seconds of each way in each round after the first, and its nats."""
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    nats = {}
    for _ in range(rounds + 1):
        for way, run in ways.items():
            began = time.perf_counter()
            nats[way] = run(passage)
            seconds[way].append(time.perf_counter() - began)
    return {way: times[1:] for way, times in seconds.items()}, nats


def ratio(seconds: dict[str, list[float]], way: str, other: str) -> float:
    """Return how many times as long one way takes as another, the median over rounds."""
    return statistics.median(a / b for a, b in zip(seconds[way], seconds[other], strict=True))


if __name__ == "__main__":
    main()
