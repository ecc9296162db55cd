"""Streaming: one pass over the stream, every token run once, with a window of keys that moves with it.

What it does     Runs the stream in chunks that go on from one another: every layer keeps its last keys and values, and each
                 query sees the last `context_len` keys, itself included. No window is begun anew. With documents isolated,
                 keys of other documents are not seen.
Why it may help  Every target sees a full window, at the cost of about one flat pass, where sliding windows run every token
                 `context_len` / `stride` times. What a key knows reaches further back than the window, by a window a layer.
Touches          evaluate: the context each token sees.
Cost             A flat pass, with attention over whole windows instead of half ones on average; the keys and values of one
                 window per layer.
Source           Beltagy et al. 2020, arXiv:2004.05150 (windows); Dai et al. 2019, arXiv:1901.02860 (kept keys); parameter-golf
                 PR 1718 (prototype, never run).

Rotary keys are turned by their position in the whole stream, by angles in float64.
"""

from collections.abc import Iterator

import numpy as np
import torch

from mulligan.evaluate.block import Block
from mulligan.evaluate.config import Streaming
from mulligan.evaluate.scorer import BLOCK_POSITIONS, Scorer
from mulligan.model.past import Past
from mulligan.values.scores import Array

CHUNK_TOKENS = 4096
CHUNK_LOGITS = 1 << 23


def stream(config: Streaming, scorer: Scorer, what: str) -> Iterator[Block]:
    """Yield the scores of the scorer's passage, in order."""
    num_positions = scorer.passage.num_positions
    begin, nats = 0, np.zeros(0, np.float32)
    for scored in _chunks(config, scorer):
        nats = np.concatenate((nats, scored))
        done = begin + len(nats)
        scorer.execution.progress(what, done, num_positions, "positions")
        if len(nats) >= BLOCK_POSITIONS or done == num_positions:
            yield Block(begin, nats, _position_in_window(config, scorer, begin, done))
            begin, nats = done, nats[:0]


@torch.no_grad()
def _chunks(config: Streaming, scorer: Scorer) -> Iterator[Array]:
    """Yield the nats float32 of chunk after chunk; their length changes nothing but rounding."""
    model, passage, device = scorer.model, scorer.passage, torch.device(scorer.execution.device)
    isolated = config.documents == "isolated"
    starts = torch.from_numpy(passage.starts).to(device) if isolated else None
    past = Past(min(config.context_len, passage.num_positions), starts)
    chunk = max(1, min(CHUNK_TOKENS, CHUNK_LOGITS // model.config.vocab_size))
    for begin in range(0, passage.num_positions, chunk):
        position = np.arange(begin, min(begin + chunk, passage.num_positions))
        tokens = torch.from_numpy(passage.read(begin, begin + len(position) + 1)).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=scorer.precision == "bf16"):
            logits = model.logits(model.hidden(tokens[None, :-1], context_len=config.context_len, past=past))[0]
        nats = scorer.nats(logits, tokens[1:], position).float().cpu().numpy()
        if scorer.watch is not None:
            scorer.watch.scored(position)
        yield nats


def _position_in_window(config: Streaming, scorer: Scorer, begin: int, end: int) -> Array:
    """Return for each target of positions [begin, end) how many keys its predecessor sees before itself."""
    passage, position = scorer.passage, np.arange(begin, end)
    if config.documents == "isolated":
        position = position - passage.starts[passage.document_of(begin, end)]
    return np.minimum(position, config.context_len - 1).astype(np.int32)
