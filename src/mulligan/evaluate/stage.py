"""The evaluate stage: Weights (unpacked from an Artifact, or before quantization), Corpus -> Scores.

A lever of this stage may touch the context that each token sees; not which bytes are counted.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mulligan.core.canonical import Json
from mulligan.core.execution import Execution
from mulligan.core.units import bits_per_byte
from mulligan.evaluate.adaptation_config import MuonUpdates, Sgd
from mulligan.evaluate.block import Block, Watch
from mulligan.evaluate.config import AsTrained, EvaluateConfig, FittedTemperature, FixedTemperature, Streaming
from mulligan.evaluate.config import Windows as WindowsConfig
from mulligan.evaluate.doubled_space import doubled_space
from mulligan.evaluate.evaluator import evaluate
from mulligan.evaluate.passage import Passage, chosen_documents
from mulligan.model.gpt import GPT
from mulligan.model.kind import Off
from mulligan.model.network import load_network
from mulligan.numerics.config import GridConfig
from mulligan.values.corpus import Corpus, Split
from mulligan.values.scores import Array, Scores, ScoreWriter
from mulligan.values.weights import Weights


def run(
    config: EvaluateConfig,
    windows: WindowsConfig,
    num_documents: int | None,
    weights: Weights,
    corpus: Corpus,
    execution: Execution,
    what: str = "evaluate",
    split: Split = "validation",
    grid: GridConfig | None = None,
    temperature: float | None = None,
) -> "Scoring":
    """Return the scoring of the first `num_documents` validation documents (None: all), or of the last ones of the train split.

    The stream of N documents ends with the next BOS, the last target of document N, where there is one. A target belongs
    to the document of the token before it. `grid`: by which adaptation rounds, where it does. `temperature`: the fitted one,
    where the config asks for one. ValueError when the corpus and the network have different vocabularies.
    """
    num_documents = check_corpus(config, num_documents, corpus, split)
    documents = corpus.documents(split)
    chosen = chosen_documents(num_documents, split, len(documents.starts))
    table = doubled_space(corpus.byte_table()) if config.bytes == "doubled-space" else corpus.byte_table()
    passage = Passage.of_stream(corpus.tokens(split), documents, chosen, table)
    weights, address_of_network = seen_through(config, weights)
    config, address_of_temperature = _at_temperature(config, temperature)
    model = load_network(weights, corpus, execution.device)
    address: dict[str, Json] = {
        "windows": windows.kind,
        "context_len": windows.context_len,
        "stride": windows.stride,
        "precision": config.precision,
        "bytes_kind": config.bytes,
        "corpus": corpus.digest,
        f"{split}_documents": num_documents,
        "legal": config.replace(windows=(windows,)).legal,
        **{name: part.canonical() for name in ("mixture", "adaptation") if not isinstance(part := getattr(config, name), Off)},
        **({"documents": windows.documents} if isinstance(windows, Streaming) else {}),
        **address_of_network,
        **address_of_temperature,
    }

    def blocks(passage: Passage, watch: Watch | None) -> Iterator[Block]:
        return evaluate(config, windows, model, passage, execution, what, watch, grid)

    raw_bytes = None if documents.raw_bytes is None else documents.raw_bytes[chosen]
    return Scoring(blocks, passage, raw_bytes, address, model)


@dataclass(frozen=True)
class Scoring:
    """A scoring that is about to happen: it runs as it is saved, or as its scores are asked for.

    `blocks` scores any passage; a judge gives it others than `passage`. `model` is the network that it uses.
    """

    blocks: Callable[[Passage, Watch | None], Iterator[Block]]
    passage: Passage
    raw_bytes: Array | None
    address: dict[str, Json]
    model: GPT

    def save(self, folder: Path) -> dict[str, Json]:
        """Score, write what `Scores.load` reads as it comes, and return the summary; memory does not grow with the passage."""
        with ScoreWriter(folder) as writer:
            documents, summary = self._through(writer.write)
            writer.finish(documents, summary)
        return summary

    def summary(self) -> dict[str, Json]:
        """Score, and return the summary alone."""
        return self._through(lambda _: None)[1]

    def scores(self, watch: Watch | None = None) -> Scores:
        """Score, and return all in memory."""
        found: list[dict[str, Array]] = []
        documents, summary = self._through(found.append, watch)
        columns = {name: np.concatenate([block[name] for block in found]) for name in found[0]}
        return Scores(**columns, documents=documents, summary=summary)

    def _through(
        self, write: Callable[[dict[str, Array]], None], watch: Watch | None = None
    ) -> tuple[dict[str, Array], dict[str, Json]]:
        """Score block by block; return the sums per document, and the summary."""
        num_documents, num_positions, done = len(self.passage.starts), self.passage.num_positions, 0
        counted_as = "doubled-space_bytes" if self.address["bytes_kind"] == "doubled-space" else "piece_bytes"
        sums = {
            "nats": np.zeros(num_documents),
            "tokens": np.zeros(num_documents, np.int64),
            counted_as: np.zeros(num_documents, np.int64),
        }
        for block in self.blocks(self.passage, watch):
            assert block.begin == done, "blocks follow one another"
            done += len(block.nats)
            if not np.isfinite(block.nats).all():
                raise ValueError("The weights give scores that are NaN or infinite; they come from a training that diverged.")
            document = self.passage.document_of(block.begin, done)
            times = 1 if block.times_counted is None else block.times_counted
            np.add.at(sums["nats"], document, block.nats.astype(np.float64) * times)
            np.add.at(sums["tokens"], document, times)
            np.add.at(sums[counted_as], document, self.passage.bytes_of(np.arange(block.begin, done)) * times)
            write(_columns(block, document))
        assert done == num_positions, "every position is scored"
        documents = sums if self.raw_bytes is None else {**sums, "raw_bytes": self.raw_bytes}
        nats, counted = float(sums["nats"].sum()), int(sums["tokens"].sum())
        num_bytes = int(documents[f"{self.address['bytes_kind']}_bytes"].sum())
        return documents, {
            **self.address,
            "nats_per_token": nats / counted,
            "bits_per_byte": bits_per_byte(nats, num_bytes),
            "scored_tokens": counted,
            "total_bytes": num_bytes,
        }


def _columns(block: Block, document: Array) -> dict[str, Array]:
    """Return what is stored of a block, a column each."""
    more = {"updates": block.updates, "times_counted": block.times_counted}
    return {
        "nats": block.nats,
        "document": document.astype(np.int32),
        "position_in_window": block.position_in_window,
        **{name: column for name, column in more.items() if column is not None},
    }


def check_corpus(config: EvaluateConfig, num_documents: int | None, corpus: Corpus, split: Split = "validation") -> int:
    """Return how many documents will be scored; ValueError when the corpus lacks them, or the bytes that are asked for."""
    documents = corpus.documents(split)
    if config.bytes == "raw" and documents.raw_bytes is None:
        raise ValueError(
            f'evaluate.bytes = "raw", and {corpus.folder} does not know its raw UTF-8 bytes (shards were taken over without '
            'the text). Use bytes = "piece", or prepare the corpus from text.'
        )
    present = len(documents.starts)
    if num_documents is not None and not 1 <= num_documents <= present:
        raise ValueError(
            f"{split}_documents = {num_documents}, and the {split} split has {present}. Give 1 to {present}"
            + (", or none for all." if split == "validation" else ".")
        )
    num_documents, adaptation = num_documents or present, config.adaptation
    num_tokens = int(documents.num_tokens[chosen_documents(num_documents, split, present)].sum())
    if isinstance(adaptation, Sgd | MuonUpdates) and num_tokens <= adaptation.chunk_tokens:
        raise ValueError(
            f"evaluate.adaptation.chunk_tokens = {adaptation.chunk_tokens:,}, and the {num_documents} documents to be scored "
            f"have {num_tokens:,} tokens: the first chunk is the last, and nothing is learned from it. Give shorter chunks, or "
            "more documents."
        )
    return num_documents


def seen_through(config: EvaluateConfig, weights: Weights) -> tuple[Weights, dict[str, Json]]:
    """Return the weights of a network with the window and positions that scoring asks for, and what its address says of it."""
    model, said = dict(weights.model), dict[str, Json]()
    if not isinstance(config.attention_window, AsTrained):
        model["attention_window"] = said["attention_window"] = config.attention_window.canonical()
    if not isinstance(config.position_extension, AsTrained):
        positions = model["positions"]
        assert isinstance(positions, dict)
        if positions["kind"] != "rope":
            raise ValueError(
                f"evaluate.position_extension = {config.position_extension.kind!r} stretches rotary positions, and the network "
                f"has positions {positions['kind']!r}. Leave it out, or score a network of positions 'rope'."
            )
        said["position_extension"] = config.position_extension.canonical()
        model["positions"] = {**positions, "extension": said["position_extension"]}
    return replace(weights, model=model), said


def _at_temperature(config: EvaluateConfig, fitted: float | None) -> tuple[EvaluateConfig, dict[str, Json]]:
    """Return the config with a fitted temperature put in, and what a score's address says of it."""
    asked = config.temperature
    if isinstance(asked, Off):
        return config, {}
    if isinstance(asked, FittedTemperature):
        assert fitted is not None, "fitted before scoring"
        config = config.replace(temperature=FixedTemperature(kind="fixed", value=fitted))
        return config, {"temperature": {**asked.canonical(), "value": fitted}}
    return config, {"temperature": asked.canonical()}
