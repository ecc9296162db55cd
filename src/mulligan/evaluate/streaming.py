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

from collections.abc import Callable, Iterator

import numpy as np
import torch

from mulligan.model.gpt import GPT
from mulligan.model.past import Past
from mulligan.values.byte_table import IntArray

CHUNK_TOKENS = 4096
CHUNK_LOGITS = 1 << 23


@torch.no_grad()
def stream_logits(
    model: GPT,
    gather: Callable[[IntArray], IntArray],
    num_positions: int,
    context_len: int,
    bos_id: int | None,
    precision: str,
    device: torch.device,
    chunk_tokens: int | None = None,
) -> Iterator[tuple[int, torch.Tensor]]:
    """Yield, in stream order, the first of some positions and the logits (n, vocab_size) float32 that follow each of them.

    `gather` returns the tokens at the positions that it is given; `bos_id`: the token that begins documents which do not
    see one another, None where they do. The length of the chunks changes nothing but rounding.
    """
    chunk = chunk_tokens or max(1, min(CHUNK_TOKENS, CHUNK_LOGITS // model.config.vocab_size))
    past = Past(min(context_len, num_positions), bos_id)
    for begin in range(0, num_positions, chunk):
        tokens = torch.from_numpy(gather(np.arange(begin, min(begin + chunk, num_positions)))).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            logits = model.logits(model.hidden(tokens[None], context_len=context_len, past=past))[0]
        yield begin, logits
