"""Calibration: which inputs the matrices meet, observed on text of the train split or on text that the network writes.

What it does     Runs the network over the calibration text and keeps the mean of x x^T over the inputs x of every linear module
                 (its Hessian, up to a factor); for the head, tied or not, over the final norm's outputs.
Why it may help  GPTQ needs it, and any quantizer can tell by it what its errors do to outputs. Generated text asks for no data.
Touches          quantize: what is known of the inputs; no weight by itself, and never a validation token.
Cost             A forward pass over the text and cols^2 products per input, once for all grids; 4 bytes x cols^2 per matrix are
                 stored. Writing text itself takes a pass per token over all before it, half of seq_len times as much (128 x 256
                 tokens, 1 M parameters, one busy core: 7 minutes).
Source           Frantar et al. 2023, arXiv:2210.17323; parameter-golf PR 1394 (train split), 1019 (self-generated).

Products are summed in float32, in the order of the text. Their last bits follow those of the forward pass, and so the number of
threads and the device, which provenance records.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from mulligan.core.execution import Execution
from mulligan.core.random_stream import random_stream
from mulligan.model.gpt import GPT
from mulligan.quantize.check import check_text
from mulligan.quantize.config import SelfGenerated, TrainSplit
from mulligan.values.corpus import TokenStream

BATCH_TOKENS = 16_384
WHAT = "calibrate"


@torch.no_grad()
def mean_products(model: GPT, sequences: torch.Tensor, execution: Execution) -> dict[str, torch.Tensor]:
    """Return the mean of x x^T, float32 (cols, cols) on the CPU, by the name of each matrix whose inputs x are observed.

    `sequences` (n, T) int64. A layer that runs several times is observed each time.
    """
    sums: dict[str, torch.Tensor] = {}
    counts: dict[str, int] = {}

    def observe(name: str, inputs: torch.Tensor) -> None:
        rows = inputs.reshape(-1, inputs.size(-1)).float()
        if name not in sums:
            sums[name] = rows.new_zeros(rows.size(1), rows.size(1))
        sums[name].addmm_(rows.T, rows)
        counts[name] = counts.get(name, 0) + len(rows)

    def hook(name: str) -> Callable[[nn.Module, Any], None]:
        return lambda _, inputs: observe(name, inputs[0])

    linear = {f"{name}.weight": module for name, module in model.named_modules() if isinstance(module, nn.Linear)}
    handles = [module.register_forward_pre_hook(hook(name)) for name, module in linear.items()]
    head = "tok_emb.weight" if model.lm_head is None else "lm_head.weight"
    try:
        for done, batch in _batches(sequences):
            observe(head, model.hidden(batch.to(execution.device)))
            execution.progress(WHAT, done, len(sequences), "sequences")
    finally:
        for handle in handles:
            handle.remove()
    return {name: (total / counts[name]).cpu() for name, total in sums.items()}


def train_sequences(config: TrainSplit, stream: TokenStream) -> torch.Tensor:
    """Return (num_sequences, seq_len) tokens int64, evenly spaced over the train split; ValueError where it is shorter."""
    check_text(config.seq_len, stream)
    room = stream.num_tokens - config.seq_len
    starts = np.arange(config.num_sequences) * room // max(1, config.num_sequences - 1)
    return torch.from_numpy(stream.gather(starts[:, None] + np.arange(config.seq_len)))


@torch.no_grad()
def generated_sequences(config: SelfGenerated, model: GPT, seed: int, execution: Execution) -> torch.Tensor:
    """Return (num_sequences, seq_len) tokens int64 that the network writes: the first any token, the rest drawn one by one."""
    rng = random_stream(seed, "calibration")
    first = rng.integers(0, model.config.vocab_size, config.num_sequences)
    drawn = torch.from_numpy(rng.random((config.num_sequences, config.seq_len)))
    sequences = torch.from_numpy(first)[:, None].repeat(1, config.seq_len)
    done = 0
    for end, tokens in _batches(sequences):
        written = tokens.to(execution.device)
        for t in range(1, config.seq_len):
            logits = model.logits(model.hidden(written[:, :t], t - 1, config.seq_len))[:, 0]
            chances = (logits / config.temperature).softmax(-1).cpu().double().cumsum(-1)
            wanted = drawn[done:end, t, None] * chances[:, -1:]
            written[:, t] = torch.searchsorted(chances, wanted, right=True)[:, 0].clamp(max=chances.size(-1) - 1)
            execution.progress("generate", done * config.seq_len + t * len(tokens), sequences.numel(), "tokens")
        sequences[done:end] = written.cpu()
        done = end
    return sequences


def _batches(sequences: torch.Tensor) -> Iterator[tuple[int, torch.Tensor]]:
    """Yield how many sequences are done with each batch, and the batch, of about BATCH_TOKENS tokens."""
    size = max(1, BATCH_TOKENS // sequences.size(1))
    for begin in range(0, len(sequences), size):
        batch = sequences[begin : begin + size]
        yield begin + len(batch), batch
