"""Initial values: each parameter is drawn from a random stream of its own name, so that no lever moves another's.

What it does     Matrices start uniform within 1 / sqrt(inputs) (kaiming) or orthogonal (those with both sides at least
                 `min_dim`, and hashed bigrams' projection at any size); projections back into the stream start at zero,
                 tables as their levers say.
Why it may help  Orthogonal matrices pass every direction on alike; zero projections let a block begin as the identity.
Touches          model: the values at step 0.
Cost             One QR decomposition per matrix, once.
Source           He et al. 2015, arXiv:1502.01852; Saxe et al. 2013, arXiv:1312.6120; parameter-golf starter script, PR 162.
Published        Nothing on its own.

With `scale_projections` the orthogonal projections are divided by sqrt(2 num_layers). Advertised as scaling the projections of
blocks, which are zero: it acts on those of hashed bigrams and value embeddings alone.
"""

import math

import torch
from torch import nn

from mulligan.core.random_stream import stream_seed
from mulligan.model.config import ModelConfig
from mulligan.model.kind import LinearHash, OrthogonalInit, PlainGate, TiedEmbedding

ZERO = (
    ".attn.proj.weight",
    ".mlp.proj.weight",
    ".attn_gate_proj.weight",
    "lm_head.weight",
    "smear_gate.weight",
    "relative_bias.weight",
)
TABLE_STD = 0.01


@torch.no_grad()
def initialise(model: nn.Module, config: ModelConfig, seed: int) -> None:
    """Draw the tables and matrices of a network; gains, scales, biases and mixes keep the constants they were made with."""
    for name, parameter in model.named_parameters():
        if not name.endswith(".weight") or parameter.ndim < 2:
            continue
        generator = torch.Generator().manual_seed(stream_seed(seed, "init", name))
        std = _normal_std(name, config)
        if std is not None:
            parameter.normal_(0.0, std, generator=generator) if std else parameter.zero_()
        else:
            _draw_matrix(name, parameter, config, generator)


def _normal_std(name: str, config: ModelConfig) -> float | None:
    """Return the standard deviation of a parameter that starts normal or at zero; None for a matrix."""
    linear = isinstance(config.bigram_hash, LinearHash)
    if name == "tok_emb.weight":
        return config.embedding.init_std if isinstance(config.embedding, TiedEmbedding) else 1.0
    if name == "bigram.embed.weight":
        return TABLE_STD if linear else 0.0
    if name == "bigram.proj.weight" and linear:
        return 0.0
    if name == "ve_shared.embed.weight":
        return TABLE_STD
    if name.endswith(".attn_gate_proj.weight") and isinstance(config.attention_gate, PlainGate):
        return config.attention_gate.init_std
    return 0.0 if name.endswith(ZERO) else None


def _draw_matrix(name: str, parameter: torch.Tensor, config: ModelConfig, generator: torch.Generator) -> None:
    start = config.initialisation
    small = min(parameter.shape) < getattr(start, "min_dim", 0) and name != "bigram.proj.weight"
    if not isinstance(start, OrthogonalInit) or small:
        bound = 1.0 / math.sqrt(parameter.size(1))  # kaiming uniform with a = sqrt(5), torch's default
        parameter.uniform_(-bound, bound, generator=generator)
        return
    nn.init.orthogonal_(parameter, generator=generator)
    if start.scale_projections and name.endswith("proj.weight"):
        parameter.mul_(1.0 / math.sqrt(2 * config.num_layers))
