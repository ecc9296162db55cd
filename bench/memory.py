"""`python -m bench.memory`: memory while a corpus of 60 million tokens is scored, from a bare clone.

The validation text that ships with Python, as bytes, is repeated to that size and scored side by side by a small untrained
network, results written as they come. Memory is read once a second; what counts is
how far it rises above what stood before scoring, and its slope over the second half of the run.
"""

import argparse
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import torch

from mulligan.core.execution import Execution
from mulligan.data.embedded import read_embedded
from mulligan.data.import_shards import import_shards
from mulligan.data.prepare import prepare
from mulligan.data.shard import shard_header
from mulligan.data.tokenizer import ByteTokenizer
from mulligan.evaluate.config import EvaluateConfig
from mulligan.evaluate.stage import run
from mulligan.model.gpt import GPT
from mulligan.recipe import load_recipe
from mulligan.values.corpus import Corpus
from mulligan.values.weights import Weights

NUM_TOKENS = 60_000_000
SHARD_TOKENS = 10_000_000
SIZES = {"num_layers": 1, "model_dim": 32, "num_heads": 2, "num_kv_heads": 1}
"""Of the network, which is otherwise the demo's."""


def main() -> None:
    """Print memory over time, its greatest rise and its slope."""
    parser = argparse.ArgumentParser(prog="python -m bench.memory", description=__doc__)
    parser.add_argument("--tokens", type=int, default=NUM_TOKENS)
    parser.add_argument("--windows", choices=("flat", "streaming"), default="flat")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory(prefix="mulligan-memory-") as folder:
        measure(repeated_corpus(Path(folder), arguments.tokens), arguments.windows, Path(folder) / "scores")


def repeated_corpus(folder: Path, num_tokens: int) -> Corpus:
    """Return a corpus whose validation split repeats the embedded one up to `num_tokens` tokens."""
    train, validation = read_embedded()
    small = prepare(train[:1], validation, ByteTokenizer(), folder / "small").tokens("validation")
    tokens = small.read(0, small.num_tokens)
    (folder / "shards").mkdir()
    for i, begin in enumerate(range(0, num_tokens, SHARD_TOKENS)):
        index = np.arange(begin, min(begin + SHARD_TOKENS, num_tokens)) % len(tokens)
        with (folder / "shards" / f"text_val_{i:06d}.bin").open("wb") as file:
            file.write(shard_header(len(index)) + tokens[index].astype("<u2").tobytes())
    return import_shards(folder / "shards", ByteTokenizer(), folder / "corpus")


def measure(corpus: Corpus, windows: str, out: Path) -> None:
    """Score the corpus and print what memory did."""
    model = GPT(load_recipe("tiny").model.replace(**SIZES, vocab_size=corpus.vocab_size), seed=0)
    more = {"documents": "across"} if windows == "streaming" else {}
    data = {"windows": [{"kind": windows, "context_len": 256, **more}], "precision": "fp32", "bytes": "piece"}
    config = EvaluateConfig.model_validate(data)
    weights = Weights(model.state_dict(), model.config.canonical(), {})
    out.mkdir()
    samples: list[tuple[float, float]] = []
    ended, began, before = threading.Event(), time.monotonic(), resident_bytes()
    reader = threading.Thread(target=sample, args=(ended, samples, began))
    reader.start()
    summary = run(config, config.windows[0], None, weights, corpus, Execution()).save(out)
    ended.set()
    reader.join()
    seconds, rise = np.array(samples).T
    rise -= before
    late = seconds > seconds[-1] / 2
    slope = np.polyfit(seconds[late], rise[late], 1)[0] if late.sum() > 2 else float("nan")
    print(f"{summary['scored_tokens']:,} tokens, {summary['nats_per_token']:.4f} nats, {seconds[-1]:.0f} s, {windows} windows")
    for share in (0.1, 0.25, 0.5, 0.75, 1.0):
        i = int(share * (len(seconds) - 1))
        print(f"  after {seconds[i]:6.0f} s  {rise[i] / 2**20:8.0f} MiB above what stood before")
    print(f"greatest rise {rise.max() / 2**20:.0f} MiB; slope of the second half {slope / 2**20 * 60:+.2f} MiB a minute")


def sample(ended: threading.Event, samples: list[tuple[float, float]], began: float) -> None:
    """Note the memory that is resident, once a second, until it has ended."""
    while not ended.wait(1.0):
        samples.append((time.monotonic() - began, float(resident_bytes())))


def resident_bytes() -> int:
    """Return the memory of this process that is resident and not backed by files, which the system takes back at will."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text("ascii").splitlines())
    return int(fields["RssAnon"].split()[0]) * 1024


if __name__ == "__main__":
    main()
