"""Bits per byte along something that every scored token has: a place, a frequency, how far the score had come.

Read from the stored nats of every target a stretch at a time, summed per document and bin, so that the difference of two
scores has an interval over documents. Torch-free.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from mulligan.compare.document import binned_contrasts
from mulligan.evaluate.passage import Passage, chosen_documents
from mulligan.report.series import BATCH_TOKENS, Array, half_doubling
from mulligan.values.corpus import Corpus, Split

By = Literal["window", "document", "frequency", "progress", "updates"]
BYS: tuple[By, ...] = get_args(By)
NUM_BINS = 64
"""More than two per doubling of any number of tokens."""
NUM_STRETCHES = 20
"""Bins of equal length over the stream."""
LEAST_TOKENS = 10
"""A bin that holds fewer tokens is left out."""


@dataclass(frozen=True)
class Sums:
    """Of one score: `nats` and `bytes` (documents, bins), `tokens` and `places` (bins,); a place is summed over tokens."""

    nats: Array
    bytes: Array
    tokens: Array
    places: Array

    @classmethod
    def empty(cls, documents: int) -> "Sums":
        """Return sums over nothing yet."""
        return cls(np.zeros((documents, NUM_BINS)), np.zeros((documents, NUM_BINS)), np.zeros(NUM_BINS), np.zeros(NUM_BINS))

    def add(self, document: Array, bins: Array, place: Array, nats: Array, num_bytes: Array, times: Array) -> None:
        """Add targets (n,), each counted `times`; `document` ascends."""
        first, last = int(document[0]), int(document[-1])
        index, rows = (document - first) * NUM_BINS + bins, slice(first, last + 1)
        for total, values in ((self.nats, nats), (self.bytes, num_bytes)):
            added = np.bincount(index, values * times, minlength=(last + 1 - first) * NUM_BINS)
            total[rows] += added.reshape(-1, NUM_BINS)
        self.tokens[:] += np.bincount(bins, times, minlength=NUM_BINS)
        self.places[:] += np.bincount(bins, place * times, minlength=NUM_BINS)


@dataclass(frozen=True)
class Curve:
    """One score, bin by bin: `place` is the mean in the bin, `bytes` those of the reading's own kind."""

    place: Array
    tokens: Array
    bytes: Array
    bits_per_byte: Array


@dataclass(frozen=True)
class Curves:
    """What is drawn: one or two scores over the same bins, and the second less the first with its interval over documents.

    `difference`, `low`, `high` are in bits per byte; None for one score, or where the two put tokens into other bins.
    """

    by: By
    names: tuple[str, ...]
    curves: tuple[Curve, ...]
    difference: Array | None = None
    low: Array | None = None
    high: Array | None = None
    num_documents: int = 0


def token_curves(scores: Mapping[str, Path], summaries: Sequence[Mapping[str, Any]], corpus: Corpus, by: By) -> Curves:
    """Return the curves of one or two stored scores by name; ValueError where they cannot be compared or lack what is asked."""
    _check_alike(tuple(scores), summaries)
    sums = read_sums(list(scores.values()), summaries, corpus, by)
    # Bytes of single tokens are those of their pieces; another kind of bytes is known in total alone.
    scale = [summary["total_bytes"] / one.bytes.sum() for summary, one in zip(summaries, sums, strict=True)]
    held = np.all([(one.tokens >= LEAST_TOKENS) & (one.bytes.sum(0) > 0) for one in sums], axis=0)
    curves = tuple(_curve(one, held, factor) for one, factor in zip(sums, scale, strict=True))
    found = Curves(by, tuple(scores), curves, num_documents=len(sums[0].nats))
    if len(sums) < 2 or not np.array_equal(sums[0].bytes, sums[1].bytes):
        return found
    bits = (sums[1].nats - sums[0].nats)[:, held] / np.log(2)
    difference, low, high = binned_contrasts(bits, scale[0] * sums[0].bytes[:, held])
    return Curves(by, found.names, curves, difference, low, high, found.num_documents)


def _curve(sums: Sums, held: Array, scale: float) -> Curve:
    tokens, size = sums.tokens[held], scale * sums.bytes.sum(0)[held]
    return Curve(sums.places[held] / tokens, tokens, size, sums.nats.sum(0)[held] / np.log(2) / size)


def _check_alike(names: Sequence[str], summaries: Sequence[Mapping[str, Any]]) -> None:
    for what in ("corpus", "bytes_kind", "validation_documents", "train_documents"):
        found = {name: summary.get(what) for name, summary in zip(names, summaries, strict=True)}
        if len(set(found.values())) > 1:
            said = "; ".join(f"{name}: {value}" for name, value in found.items())
            raise ValueError(
                f"The scores differ in {what} ({said}) and are never subtracted. Give two of one text and one kind."
            )


def read_sums(folders: Sequence[Path], summaries: Sequence[Mapping[str, Any]], corpus: Corpus, by: By) -> list[Sums]:
    """Return the sums of each score over the bins of `by`; all are read side by side, a stretch at a time."""
    split: Split = "validation" if "validation_documents" in summaries[0] else "train"
    documents = corpus.documents(split)
    chosen = chosen_documents(summaries[0][f"{split}_documents"], split, len(documents.starts))
    passage = Passage.of_stream(corpus.tokens(split), documents, chosen, corpus.byte_table())
    bin_of = _binning(by, passage, corpus)
    sums = [Sums.empty(len(passage.starts)) for _ in folders]
    begin = 0
    for rows in _side_by_side([_columns(folder / "tokens.parquet") for folder in folders]):
        position = np.arange(begin, begin + len(rows[0]["nats"]))
        begin += len(position)
        if begin > passage.num_positions:
            break
        num_bytes = passage.bytes_of(position)
        updates = next((found["updates"] for found in rows if "updates" in found), None)
        for total, found in zip(sums, rows, strict=True):
            with_updates = found if updates is None else {"updates": updates, **found}
            place, bins = bin_of(position, with_updates)
            times = found.get("times_counted", np.ones(len(position), np.int32))
            total.add(found["document"].astype(np.int64), bins, place, found["nats"].astype(np.float64), num_bytes, times)
    if begin != passage.num_positions:
        raise ValueError(
            f"{folders[0]}: {begin} targets and more, and the corpus has {passage.num_positions} there. Score again."
        )
    return sums


def _binning(by: By, passage: Passage, corpus: Corpus) -> Callable[[Array, Mapping[str, Array]], tuple[Array, Array]]:
    """Return what gives the place and the bin of targets, by their positions and their stored columns."""
    if by == "frequency":
        counts = train_counts(corpus)

        def by_frequency(position: Array, _: Mapping[str, Array]) -> tuple[Array, Array]:
            place = np.maximum(counts[passage.gather(position + 1)], 0.5)  # never seen: left of 1 on a logarithmic axis
            return place, np.floor(np.log2(place)).astype(np.int64) + 1

        return by_frequency

    def by_place(position: Array, rows: Mapping[str, Array]) -> tuple[Array, Array]:
        if by == "progress":
            return position + 1, position * NUM_STRETCHES // passage.num_positions
        if by == "updates" and "updates" not in rows:
            raise ValueError("Nothing was updated in these scores. Give one of an adapted reading, or --by progress.")
        if by == "window":
            place = rows["position_in_window"].astype(np.int64) + 1
        elif by == "updates":
            place = rows["updates"].astype(np.int64) + 1
        else:
            place = position - passage.starts[rows["document"]] + 1
        return place, half_doubling(place)

    return by_place


def train_counts(corpus: Corpus) -> Array:
    """Return how often each token (vocab_size,) is in the train split, read a stretch at a time."""
    counts = np.zeros(corpus.vocab_size, np.int64)
    for shard in corpus.tokens("train").shards:
        for begin in range(0, len(shard), BATCH_TOKENS):
            counts += np.bincount(shard[begin : begin + BATCH_TOKENS], minlength=corpus.vocab_size)
    return counts


def _columns(path: Path) -> Iterator[dict[str, Array]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(BATCH_TOKENS):
            yield {name: batch.column(name).to_numpy(zero_copy_only=False) for name in batch.schema.names}


def _side_by_side(files: Sequence[Iterator[dict[str, Array]]]) -> Iterator[list[dict[str, Array]]]:
    """Yield the same rows of every file, as far as the shortest goes; their batches may be cut elsewhere."""
    heads: list[dict[str, Array]] = [{} for _ in files]
    while True:
        for i, file in enumerate(files):
            if not len(heads[i].get("nats", ())):
                following = next(file, None)
                if following is None:
                    return
                heads[i] = following
        size = min(len(head["nats"]) for head in heads)
        yield [{name: column[:size] for name, column in head.items()} for head in heads]
        heads = [{name: column[size:] for name, column in head.items()} for head in heads]
