"""Per-document LoRA: every document trains low-rank updates of its own on what it has already scored.

What it does     Adds (alpha / rank) x A B to the linear maps that `match` names: A (in, rank) uniform within 1 / sqrt(in) and B
                 zero as a document begins, one pair for each time that a map runs in a forward pass. The document is scored in
                 chunks, each in a window that ends with it and reaches back to the document's BOS at most; after each chunk
                 but the last, one step of AdamW on its mean nats. A is drawn anew for each document (cold) or goes on (warm).
Why it may help  A document's own words, names and style come again; with cold A nothing of it spills into the next.
Touches          evaluate: the weights that score a token, by tokens of its document scored before it.
Recipe           evaluate.adaptation=lora
Cost             A forward and a backward pass over a whole window per chunk: up to 3 x context_len / chunk_tokens flat passes.
                 12 bytes x batch_documents x rank x the maps' inputs and outputs (PR 1855 on `small`: 1 GB).
Source           Hu et al. 2021, arXiv:2106.09685; parameter-golf PR 77, 1530, 1767 (warm, alpha), 1855.
Published        -3.1 mBPB (PR 77); -12.4 with global SGD, against a score that does not slide (PR 1736).

Documents of a batch are independent, and with cold A they go longest first. With warm A that order, the published one, would
let a document read from others that follow it in the stream; so batches are then cut from the stream as it comes, and A goes
from the n-th document of one to the n-th of the next. A document's last chunk is run in the window of a whole one: a published
window reaches back from the document's end, which no decoder knows before it comes. Published updates of the feed-forward and
of attention's output run beside them, from the block's input; these are of the matrices themselves.
"""

from collections.abc import Iterator

import numpy as np
import torch

from mulligan.evaluate.adaptation_config import Lora
from mulligan.evaluate.block import Block
from mulligan.evaluate.low_rank import Adapters, adapted
from mulligan.evaluate.scorer import BATCH_LOGITS, BATCH_TOKENS, BLOCK_POSITIONS, Scorer
from mulligan.evaluate.window import Windows
from mulligan.values.byte_table import IntArray
from mulligan.values.scores import Array


def adapt_per_document(config: Lora, scorer: Scorer, what: str) -> Iterator[Block]:
    """Yield the scores of all positions, in order, each by its own document's updates. The network is left as it was.

    Positions are held in memory until the last one is scored, 12 bytes each. ValueError when a glob matches no linear map.
    """
    passage, size = scorer.passage, scorer.passage.num_positions
    lengths = np.diff(passage.starts, append=size)
    nats, position_in_window, updates = np.empty(size, np.float32), np.empty(size, np.int32), np.empty(size, np.int32)
    done = 0
    with adapted(scorer.model, config, scorer.execution.device) as adapters:
        for places, documents in batches(config, lengths):
            adapters.begin(places)
            for chunk, rows, num_going_on in chunks(config, scorer, lengths[documents]):
                windows = chunk_windows(config, scorer.context_len, passage.starts, lengths, documents[rows], chunk)
                scored, position, counted = score_and_step(scorer, adapters, windows, rows, num_going_on, chunk)
                of = position[counted]
                nats[of] = scored[counted]
                position_in_window[of] = (position - windows.start[:, None])[counted]
                updates[of] = chunk
                done += len(of)
                scorer.execution.progress(what, done, size, "tokens")
            adapters.end(places)
    for begin in range(0, size, BLOCK_POSITIONS):
        part = slice(begin, begin + BLOCK_POSITIONS)
        yield Block(begin, nats[part], position_in_window[part], updates[part])


def batches(config: Lora, lengths: IntArray) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield batches of documents, longest first, and the place of each in its batch, from which warm A comes.

    Documents that predict nothing are left out.
    """
    documents = np.flatnonzero(lengths)
    if config.a == "cold":
        documents = documents[np.argsort(-lengths[documents], kind="stable")]
    for begin in range(0, len(documents), config.batch_documents):
        batch = documents[begin : begin + config.batch_documents]
        places = np.argsort(-lengths[batch], kind="stable")
        yield places, batch[places]


def chunks(config: Lora, scorer: Scorer, lengths: IntArray) -> Iterator[tuple[int, slice, int]]:
    """Yield the number of a chunk, rows of a batch that run together, and how many of them have another chunk.

    `lengths` of the batch's documents, longest first; so those that go on are the first ones.
    """
    counts = -(-lengths // config.chunk_tokens)
    for chunk in range(int(counts[0])):
        num_active, num_going_on = int((counts > chunk).sum()), int((counts > chunk + 1).sum())
        longest = min(int(lengths[0]), (chunk + 1) * config.chunk_tokens, scorer.context_len)
        logits = scorer.model.config.vocab_size * config.chunk_tokens
        at_once = max(1, min(BATCH_TOKENS // longest, BATCH_LOGITS // logits))
        for begin in range(0, num_active, at_once):
            end = min(begin + at_once, num_active)
            yield chunk, slice(begin, end), min(max(num_going_on - begin, 0), end - begin)


def chunk_windows(
    config: Lora, context_len: int, starts: IntArray, lengths: IntArray, documents: IntArray, chunk: int
) -> Windows:
    """Return the windows that count the chunk of each document: they end with it and never begin before the document.

    A last chunk begins as if it were whole: where its document ends is not known before its last token.
    """
    begin = starts[documents]
    first = begin + chunk * config.chunk_tokens
    stop = first + config.chunk_tokens
    return Windows(np.maximum(begin, stop - context_len), first, np.minimum(stop, begin + lengths[documents]))


def score_and_step(
    scorer: Scorer, adapters: Adapters, windows: Windows, rows: slice, num_going_on: int, chunk: int
) -> tuple[Array, IntArray, Array]:
    """Return what `Scorer.run` does, and then move the updates of the first `num_going_on` documents, each by its own nats."""
    with torch.set_grad_enabled(num_going_on > 0):
        updates = adapters.use(rows)
        nats, position, counted = scorer.run(windows)
    scored = nats.detach().float().cpu().numpy()
    if scorer.watch is not None:
        scorer.watch.scored(position[counted])
    if num_going_on:
        mask = torch.from_numpy(counted[:num_going_on]).to(nats.device)
        loss = (torch.where(mask, nats[:num_going_on], 0.0).sum(1) / mask.sum(1)).sum()
        adapters.step(rows, torch.autograd.grad(loss, updates), num_going_on, chunk + 1)
        if scorer.watch is not None:
            scorer.watch.updated(position[:num_going_on][counted[:num_going_on]])
    return scored, position, counted
