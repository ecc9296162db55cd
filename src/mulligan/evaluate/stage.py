"""The evaluate stage: Weights (unpacked from an Artifact, or before quantization), Corpus -> Scores.

A lever of this stage may touch the context that each token sees; not which bytes are counted.
"""

from dataclasses import replace

import numpy as np

from mulligan.core.canonical import Json
from mulligan.core.execution import Execution
from mulligan.core.units import bits_per_byte
from mulligan.evaluate.config import AsTrained, DocumentIsolated, EvaluateConfig, Flat, UserWindows
from mulligan.evaluate.config import Windows as WindowsConfig
from mulligan.evaluate.document_isolated import document_isolated_windows
from mulligan.evaluate.flat import flat_windows
from mulligan.evaluate.scorer import score_windows
from mulligan.evaluate.sliding import sliding_windows
from mulligan.evaluate.window import Windows
from mulligan.model.network import load_network
from mulligan.values.byte_table import IntArray
from mulligan.values.corpus import Corpus, Documents, Split
from mulligan.values.scores import Array, Scores
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
) -> Scores:
    """Score the first `num_documents` documents (None: all) of the validation split, or the last ones of the train split.

    The stream of N documents ends with the next BOS, the last target of document N, where there is one. A target belongs
    to the document of the token before it. ValueError when the corpus and the network have different vocabularies.
    """
    num_documents = check_corpus(config, num_documents, corpus, split)
    documents, stream = corpus.documents(split), corpus.tokens(split)
    chosen, begin, last = _span(documents, num_documents, split, stream.num_tokens)
    starts, num_positions = documents.starts[chosen] - begin, last - begin - 1
    laid = lay_windows(windows, starts, num_positions)
    weights, address = _seen_through(config, weights)
    model = load_network(weights, corpus, execution.device)
    nats = score_windows(
        model,
        lambda index: stream.gather(index + begin),
        laid,
        num_positions,
        windows.context_len,
        config.precision,
        execution,
        what,
    ).numpy()
    if not np.isfinite(nats).all():
        raise ValueError("The weights give scores that are NaN or infinite; they come from a training that diverged.")
    piece_bytes = corpus.byte_table().bytes_of(stream.read(begin, last - 1), stream.read(begin + 1, last))
    document = np.searchsorted(starts, np.arange(num_positions), side="right").astype(np.int32) - 1
    raw_bytes = None if documents.raw_bytes is None else documents.raw_bytes[chosen]
    table = _per_document(nats, document, piece_bytes, num_documents, raw_bytes)
    total_nats, total_bytes = float(table["nats"].sum()), int(table[f"{config.bytes}_bytes"].sum())
    return Scores(
        nats=nats,
        document=document,
        position_in_window=_position_in_window(laid, num_positions),
        documents=table,
        summary={
            "windows": windows.kind,
            "context_len": windows.context_len,
            "stride": windows.stride,
            "precision": config.precision,
            "nats_per_token": total_nats / num_positions,
            "bits_per_byte": bits_per_byte(total_nats, total_bytes),
            "scored_tokens": num_positions,
            "total_bytes": total_bytes,
            "bytes_kind": config.bytes,
            "corpus": corpus.digest,
            f"{split}_documents": num_documents,
            "legal": True,
            **address,
        },
    )


def _span(documents: Documents, num_documents: int, split: Split, num_tokens: int) -> tuple[slice, int, int]:
    """Return which documents are scored, and the tokens [begin, last) that hold them and the BOS after them."""
    present = len(documents.starts)
    chosen = slice(0, num_documents) if split == "validation" else slice(present - num_documents, present)
    last = num_tokens if chosen.stop == present else int(documents.starts[chosen.stop]) + 1
    return chosen, int(documents.starts[chosen.start]), last


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
    return num_documents or present


def _seen_through(config: EvaluateConfig, weights: Weights) -> tuple[Weights, dict[str, Json]]:
    """Return the weights of a network with the window that scoring asks for, and what its address says of it."""
    if isinstance(config.attention_window, AsTrained):
        return weights, {}
    window = config.attention_window.canonical()
    return replace(weights, model={**weights.model, "attention_window": window}), {"attention_window": window}


def lay_windows(config: WindowsConfig, starts: IntArray, num_positions: int) -> Windows:
    """Return the windows of any kind over `num_positions` targets."""
    if isinstance(config, UserWindows):
        return checked(config, config.lay(starts, num_positions), num_positions)
    if isinstance(config, Flat):
        return flat_windows(config, num_positions)
    if isinstance(config, DocumentIsolated):
        return document_isolated_windows(config, starts, num_positions)
    return sliding_windows(config, num_positions)


def checked(config: UserWindows, laid: Windows, num_positions: int) -> Windows:
    """Return windows of the user's own; ValueError unless they count every position once, in stream order, in context."""
    counted = np.concatenate(([0], laid.stop))
    if not (np.array_equal(laid.first, counted[:-1]) and counted[-1] == num_positions and (laid.stop > laid.first).all()):
        raise ValueError(
            f"The windows {config.kind!r} do not count each of {num_positions} positions exactly once and in order: every "
            "`first` must be the `stop` before it, from 0 to the last."
        )
    longest = int((laid.stop - laid.start).max())
    if (laid.start > laid.first).any() or (laid.start < 0).any() or longest > config.context_len:
        raise ValueError(
            f"The windows {config.kind!r} run up to {longest} positions with context_len = {config.context_len}; give windows "
            "of at most that, which begin at 0 or later and not after what they count."
        )
    return laid


def _per_document(
    nats: Array, document: Array, piece_bytes: Array, num_documents: int, raw_bytes: Array | None
) -> dict[str, Array]:
    known = {} if raw_bytes is None else {"raw_bytes": raw_bytes}
    return {
        "nats": np.bincount(document, nats.astype(np.float64), num_documents),
        "tokens": np.bincount(document, minlength=num_documents).astype(np.int64),
        "piece_bytes": np.bincount(document, piece_bytes, num_documents).astype(np.int64),
        **known,
    }


def _position_in_window(windows: Windows, num_positions: int) -> Array:
    """Return for each target how many tokens stand before its predecessor in the window that counts it."""
    counted = windows.stop - windows.first
    offset = np.repeat(windows.start, counted)
    return (np.arange(num_positions) - offset).astype(np.int32)
