"""The network, assembled: embedding, blocks with U-Net skips, head. One forward path for training and scoring.

Parameter names are those of the challenge's scripts, so that their checkpoints can be read.
"""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import nn

from mulligan.core.random_stream import stream_seed
from mulligan.model.attention import Seen
from mulligan.model.attention_bias import buckets, slopes, spread
from mulligan.model.attention_mask import attention_mask
from mulligan.model.bigram_hash import BigramTable
from mulligan.model.config import ModelConfig
from mulligan.model.initialisation import initialise
from mulligan.model.kind import Alibi, InputSmear, Off, RelativeBuckets, Rope, SharedValueEmbedding, StaticSmear, TiedEmbedding
from mulligan.model.past import Past
from mulligan.model.positions import rotation, rotation_at
from mulligan.model.recurrence import layers_and_skips
from mulligan.model.residual import Block, rms_norm
from mulligan.model.skip_gate import join
from mulligan.model.smear_gate import StaticSmearGate, smear_by_input
from mulligan.model.softcap import softcap
from mulligan.model.value_embedding import ValueEmbeddingTable


class Head(nn.Module):
    """The last product, tied or not: a module without weights of its own, so that hooks see it as they see the linear ones."""

    def forward(self, hidden: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """Return hidden (..., model_dim) times weight (vocab_size, model_dim), transposed."""
        return F.linear(hidden, weight)


class GPT(nn.Module):
    """The network of levers section 2, with what `config` switches on. Set `looping` False until a recurrence begins."""

    def __init__(self, config: ModelConfig, seed: int) -> None:
        super().__init__()
        self.config = config
        self.looping = True
        self.tok_emb = nn.Embedding(config.vocab_size, config.model_dim)
        hashed, smear = config.bigram_hash, config.smear
        self.bigram = None if isinstance(hashed, Off) else BigramTable(hashed, config.model_dim)
        self.smear = StaticSmearGate(smear, config.model_dim) if isinstance(smear, StaticSmear) else None
        by_input = isinstance(smear, InputSmear)
        self.smear_gate = nn.Linear(smear.width, 1, bias=False) if isinstance(smear, InputSmear) else None
        self.smear_lambda = nn.Parameter(torch.zeros(1)) if by_input else None
        shared = config.value_embedding
        self.value_layers = shared.layers if isinstance(shared, SharedValueEmbedding) else ()
        self.ve_shared: ValueEmbeddingTable | None = None
        if isinstance(shared, SharedValueEmbedding):
            self.ve_shared = ValueEmbeddingTable(shared, config.vocab_size, config.kv_dim)
        self.ve_layer_scales = nn.ParameterList(torch.ones(1) for _ in self.value_layers)
        bucketed = config.positions
        self.relative_bias: nn.Embedding | None = None
        if isinstance(bucketed, RelativeBuckets):
            self.relative_bias = nn.Embedding(bucketed.num_buckets, config.num_heads)
        self.skip_weights = nn.Parameter(torch.ones(config.num_skips, config.model_dim))
        gated = config.skip_gates != "off"
        self.skip_gates = nn.Parameter(torch.zeros(config.num_skips, config.model_dim)) if gated else None
        with torch.random.fork_rng(devices=[]):  # a user's module may draw what `initialise` leaves as it is made
            torch.default_generator.manual_seed(stream_seed(seed, "init", "blocks"))
            self.blocks = nn.ModuleList(Block(config, layer) for layer in range(config.num_layers))
        tied = isinstance(config.embedding, TiedEmbedding)
        self.lm_head = None if tied else nn.Linear(config.model_dim, config.vocab_size, bias=False)
        self.head = Head()
        if not self.tok_emb.weight.is_meta:  # else asked for its shapes alone
            initialise(self, config, seed)

    def hidden(
        self, tokens: torch.Tensor, first: int = 0, context_len: int | None = None, past: Past | None = None
    ) -> torch.Tensor:
        """Return the final normalised stream (B, T - first, model_dim) of tokens (B, T), from position `first` on.

        The last block runs from `first` on alone: nobody reads what it would make of earlier positions. `context_len`:
        what positions that depend on the length take it to be (None: T, or the window of the past). `past`: that of the
        stream which the tokens (1, T) continue, `first` 0; they are in it afterwards.
        """
        assert past is None or (len(tokens) == 1 and first == 0), "a past is of one stream, every position of which is run"
        x = x0 = self._embed(tokens, past)
        seen = self._seen(tokens, context_len) if past is None else self._seen_in_stream(tokens, context_len, past)
        order = list(layers_and_skips(self.config, self.looping))
        skips: list[torch.Tensor] = []
        first_values: torch.Tensor | None = None
        for position, (layer, entering, feeds) in enumerate(order):
            if entering is not None:
                gate = None if self.skip_gates is None else self.skip_gates[entering]
                x = join(x, skips.pop(), self.skip_weights[entering], gate)
            last = position + 1 == len(order)
            given = seen[layer] if past is None else replace(seen[layer], past=past.layer(position))
            x, values = self.blocks[layer](x, x0, given, first_values, first if last else 0)
            if first_values is None and self.config.value_residual != "off":
                first_values = values
            if feeds:
                skips.append(x)
        if past is not None:
            past.advance(tokens)
        return rms_norm(x)

    def _starts(self, tokens: torch.Tensor, past: Past | None, num_old: int) -> torch.Tensor | None:
        """Return where a document begins, (B, T), or None where the levers that ask for it leak across documents.

        The first `num_old` of the tokens are past.
        """
        if past is not None and past.starts is not None:
            return past.begins(num_old, tokens.size(1) - num_old)
        return None if self.config.legacy_document_leak else tokens == self.config.bos_id

    def _embed(self, tokens: torch.Tensor, past: Past | None) -> torch.Tensor:
        """Return the normalised embedding (B, T, model_dim), smeared where a lever says so."""
        tokens, num_old = (tokens, 0) if past is None else past.with_last(tokens)
        x: torch.Tensor = self.tok_emb(tokens)
        if self.bigram is not None:
            x = x + self.bigram(tokens, self._starts(tokens, past, num_old))
        x = rms_norm(x)
        if self.smear is not None:
            x = self.smear(x, self._starts(tokens, past, num_old))
        elif self.smear_gate is not None and self.smear_lambda is not None:
            x = smear_by_input(x, self._starts(tokens, past, num_old), self.smear_gate.weight, self.smear_lambda)
        return x[:, num_old:] if num_old else x

    def _seen(self, tokens: torch.Tensor, context_len: int | None) -> list[Seen]:
        """Return what each layer's attention is given; what layers have in common is worked out once."""
        config, device, seq_len = self.config, tokens.device, tokens.size(1)
        positions = config.positions
        angles = rotation(positions, config.head_dim, seq_len, device, context_len) if isinstance(positions, Rope) else None
        by_distance = self._bias(seq_len, device)
        bias = None if by_distance is None else spread(by_distance)
        documents = (tokens == config.bos_id).cumsum(1) if config.document_attention == "isolated" else None
        masks = {
            tokens_seen: attention_mask(seq_len, tokens_seen, documents, bias, device)
            for tokens_seen in {config.window_of(layer) for layer in range(config.num_layers)}
        }
        added = self._value_embeddings(tokens)
        return [Seen(angles, masks[config.window_of(layer)], added[layer]) for layer in range(config.num_layers)]

    def _seen_in_stream(self, tokens: torch.Tensor, context_len: int | None, past: Past) -> list[Seen]:
        """Return what `_seen` does for tokens that continue a stream: at its positions, within the window of its past."""
        config, device, num_new = self.config, tokens.device, tokens.size(1)
        angles = None
        if isinstance(config.positions, Rope):
            position = torch.arange(past.position, past.position + num_new, device=device)
            cos, sin = rotation_at(config.positions, config.head_dim, position, context_len or past.window)
            angles = cos.to(self.tok_emb.weight.dtype), sin.to(self.tok_emb.weight.dtype)
        starts = past.begins(0, num_new)
        if starts is None and config.document_attention == "isolated":
            starts = tokens == config.bos_id
        windows = [min(past.window, config.window_of(layer) or past.window) for layer in range(config.num_layers)]
        masks = past.masks({*windows}, starts, self._bias(past.window, device), device, num_new)
        added = self._value_embeddings(tokens)
        return [Seen(angles, masks[windows[layer]], added[layer]) for layer in range(config.num_layers)]

    def _value_embeddings(self, tokens: torch.Tensor) -> list[torch.Tensor | None]:
        """Return what is added to each layer's values, (B, T, kv_dim) or None."""
        added = None if self.ve_shared is None else self.ve_shared(tokens)
        scales = dict(zip(self.value_layers, self.ve_layer_scales, strict=True))
        return [added * scales[layer] if layer in scales else None for layer in range(self.config.num_layers)]

    def _bias(self, num_distances: int, device: torch.device) -> torch.Tensor | None:
        """Return the positions' bias on the attention logits by distance, (num_heads, num_distances), or None."""
        positions = self.config.positions
        if isinstance(positions, Alibi):
            distance = torch.arange(num_distances, dtype=torch.float32, device=device)
            return -slopes(self.config.num_heads, device)[:, None] * distance
        if isinstance(positions, RelativeBuckets) and self.relative_bias is not None:
            by_distance: torch.Tensor = self.relative_bias(buckets(positions, num_distances, device)).t()
            return by_distance
        return None

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return the softcapped logits (..., vocab_size), float32, of a hidden stream (..., model_dim)."""
        weight = self.tok_emb.weight if self.lm_head is None else self.lm_head.weight
        return softcap(self.head(hidden, weight).float(), self.config.logit_softcap, self.config.softcap)

    def forward(
        self, tokens: torch.Tensor, targets: torch.Tensor, scored_from: int = 0, context_len: int | None = None
    ) -> torch.Tensor:
        """Return the nats (B, T - scored_from), float32, of targets (B, T) given tokens (B, T), both int64.

        Positions before `scored_from` are read as context; no logits are computed for them. `context_len`: see `hidden`.
        """
        logits = self.logits(self.hidden(tokens, scored_from, context_len))
        wanted = targets[:, scored_from:]
        nats = F.cross_entropy(logits.flatten(0, 1), wanted.flatten(), reduction="none")
        return nats.view(wanted.shape)


def parameter_shapes(config: ModelConfig) -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter by name, without allocating any."""
    with torch.device("meta"):
        return {name: tuple(parameter.shape) for name, parameter in GPT(config, seed=0).named_parameters()}
