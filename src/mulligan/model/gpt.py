"""The network, assembled: embedding, blocks with U-Net skips, head. One forward path for training and scoring.

Parameter names are those of the challenge's starter script, so that its checkpoints can be read.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

from mulligan.core.random_stream import stream_seed
from mulligan.model.config import ModelConfig, TiedEmbedding
from mulligan.model.positions import rotation
from mulligan.model.residual import Block, rms_norm

ZERO_INITIALISED = (".attn.proj.weight", ".mlp.proj.weight", "lm_head.weight")


class GPT(nn.Module):
    """The baseline network of levers section 2. Every parameter is drawn from a stream of its own name."""

    def __init__(self, config: ModelConfig, seed: int) -> None:
        super().__init__()
        self.config = config
        self.num_encoder_layers = config.num_layers // 2
        self.tok_emb = nn.Embedding(config.vocab_size, config.model_dim)
        self.skip_weights = nn.Parameter(torch.ones(self.num_encoder_layers, config.model_dim))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_layers))
        tied = isinstance(config.embedding, TiedEmbedding)
        self.lm_head = None if tied else nn.Linear(config.model_dim, config.vocab_size, bias=False)
        self._initialise(seed)

    @torch.no_grad()
    def _initialise(self, seed: int) -> None:
        """Draw the tables and matrices; gains, scales and mixes keep the constants that they were made with."""
        if self.tok_emb.weight.is_meta:  # asked for its shapes alone
            return
        embedding = self.config.embedding
        for name, parameter in self.named_parameters():
            generator = torch.Generator().manual_seed(stream_seed(seed, "init", name))
            if name == "tok_emb.weight":
                std = embedding.init_std if isinstance(embedding, TiedEmbedding) else 1.0
                parameter.normal_(0.0, std, generator=generator)
            elif name.endswith(ZERO_INITIALISED):
                parameter.zero_()
            elif name.endswith(".weight"):
                bound = 1.0 / math.sqrt(parameter.size(1))  # kaiming uniform with a = sqrt(5), torch's default
                parameter.uniform_(-bound, bound, generator=generator)

    def hidden(self, tokens: torch.Tensor, first: int = 0) -> torch.Tensor:
        """Return the final normalised stream (B, T - first, model_dim) of tokens (B, T), from position `first` on.

        The last block runs from `first` on alone: nobody reads what it would make of earlier positions.
        """
        x = rms_norm(self.tok_emb(tokens))
        angles = rotation(self.config.positions, self.config.head_dim, tokens.size(1), tokens.device)
        x0 = x
        skips: list[torch.Tensor] = []
        for i, block in enumerate(self.blocks):
            if i >= self.num_encoder_layers and skips:
                x = x + self.skip_weights[i - self.num_encoder_layers].to(x.dtype) * skips.pop()
            x = block(x, x0, angles, first if i + 1 == self.config.num_layers else 0)
            if i < self.num_encoder_layers:
                skips.append(x)
        return rms_norm(x)

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the softcapped logits (..., vocab_size), float32, of a hidden stream (..., model_dim)."""
        weight = self.tok_emb.weight if self.lm_head is None else self.lm_head.weight
        cap = self.config.logit_softcap
        return cap * torch.tanh(F.linear(hidden, weight).float() / cap)

    def forward(self, tokens: torch.Tensor, targets: torch.Tensor, scored_from: int = 0) -> torch.Tensor:
        """Return the nats (B, T - scored_from), float32, of targets (B, T) given tokens (B, T), both int64.

        Positions before `scored_from` are read as context; no logits are computed for them.
        """
        logits = self.logits(self.hidden(tokens, scored_from))
        wanted = targets[:, scored_from:]
        nats = F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="none")
        return nats.view(wanted.shape)


def parameter_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter by name, without allocating any."""
    with torch.device("meta"):
        return {name: tuple(parameter.shape) for name, parameter in GPT(config, seed=0).named_parameters()}
