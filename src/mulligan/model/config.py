"""The network's config, torch-free: its sizes, and a choice of kinds for each of its parts; levers add kinds.

Layers are counted from 0. A field that stands at its `off` value builds nothing and is left out of every key.
"""

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import Field, model_validator

from mulligan.core.config import FrozenConfig, lever_field
from mulligan.model.kind import (
    OFF,
    AttentionGate,
    AttentionWindow,
    BigramHash,
    Embedding,
    FeedForward,
    Initialisation,
    KaimingInit,
    Loop,
    Ntk,
    Off,
    Positions,
    Recurrence,
    Rope,
    SharedValueEmbedding,
    Smear,
    SwiGlu,
    ValueEmbedding,
    Window,
)


class ModelConfig(FrozenConfig):
    """The network: sizes in counts, `logit_softcap` in logits, `qk_gain_init` a factor; the rest are levers, off at first."""

    vocab_size: int = Field(ge=2, le=65_536)
    num_layers: int = Field(ge=1)
    model_dim: int = Field(ge=2)
    num_heads: int = Field(ge=1)
    num_kv_heads: int = Field(ge=1)
    feed_forward: FeedForward
    positions: Positions
    embedding: Embedding
    logit_softcap: float = Field(gt=0)
    qk_gain_init: float
    softcap: Literal["tanh", "poly-5"] = lever_field("tanh", off="tanh")
    initialisation: Initialisation = lever_field(KaimingInit(kind="kaiming"), off={"kind": "kaiming"})
    bigram_hash: BigramHash = lever_field(OFF, off={"kind": "off"})
    smear: Smear = lever_field(OFF, off={"kind": "off"})
    value_embedding: ValueEmbedding = lever_field(OFF, off={"kind": "off"})
    value_residual: Literal["off", "first-layer"] = lever_field("off", off="off")
    num_exclusive_layers: int = lever_field(0, off=0, ge=0, examples=[2])
    attention_gate: AttentionGate = lever_field(OFF, off={"kind": "off"})
    attention_window: Window = lever_field(OFF, off={"kind": "off"})
    document_attention: Literal["across", "isolated"] = lever_field("across", off="across")
    layer_norm_scale: Literal["off", "inverse-sqrt-depth"] = lever_field("off", off="off")
    residual_mixing: Literal["off", "mhc"] = lever_field("off", off="off")
    parallel_from_layer: int | None = lever_field(None, off=None, ge=0, examples=[2])
    skip_gates: Literal["off", "sigmoid"] = lever_field("off", off="off")
    recurrence: Recurrence = lever_field(OFF, off={"kind": "off"})
    bos_id: int = lever_field(1, off=1, ge=0)
    legacy_document_leak: bool = lever_field(False, off=False)

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.model_dim % self.num_heads:
            raise ValueError(f"model_dim = {self.model_dim} is not a multiple of num_heads = {self.num_heads}")
        if self.num_heads % self.num_kv_heads:
            raise ValueError(f"num_heads = {self.num_heads} is not a multiple of num_kv_heads = {self.num_kv_heads}")
        if isinstance(self.positions, Rope):
            self._check_rotated(self.positions)
        return self

    def _check_rotated(self, rope: Rope) -> None:
        if self.head_dim % 2:
            raise ValueError(f"head_dim = model_dim / num_heads = {self.head_dim} is odd; rotary positions need an even one")
        rotated = rope.rotated_dims
        if rotated is not None and (rotated % 2 or rotated >= self.head_dim):
            raise ValueError(
                f"positions.rotated_dims = {rotated}: give an even number below head_dim = {self.head_dim}, or leave it out to "
                "rotate all"
            )
        if isinstance(rope.extension, Ntk) and (rotated or self.head_dim) <= 2:
            raise ValueError("positions.extension = ntk needs more than 2 rotated dimensions")

    @model_validator(mode="after")
    def _layers_are_there(self) -> Self:
        asked: dict[str, Sequence[int]] = {}
        if isinstance(self.value_embedding, SharedValueEmbedding):
            asked["value_embedding.layers"] = self.value_embedding.layers
        if isinstance(self.attention_window, AttentionWindow) and self.attention_window.layers is not None:
            asked["attention_window.layers"] = self.attention_window.layers
        if self.parallel_from_layer is not None:
            asked["parallel_from_layer"] = [self.parallel_from_layer]
        if isinstance(self.recurrence, Loop):
            asked["recurrence"] = [self.recurrence.first, self.recurrence.last]
        for name, layers in asked.items():
            if max(layers) >= self.num_layers or min(layers) < 0 or (len({*layers}) < len(layers) and name != "recurrence"):
                raise ValueError(f"{name} = {list(layers)}: layers are 0 to {self.num_layers - 1}, each named once")
        if self.num_exclusive_layers > self.num_layers:
            raise ValueError(f"num_exclusive_layers = {self.num_exclusive_layers} is above num_layers = {self.num_layers}")
        if isinstance(self.recurrence, Loop) and self.recurrence.first > self.recurrence.last:
            raise ValueError(f"recurrence: first = {self.recurrence.first} comes after last = {self.recurrence.last}")
        return self

    @model_validator(mode="after")
    def _levers_have_something_to_act_on(self) -> Self:
        for name in ("smear", "attention_gate"):
            width = getattr(getattr(self, name), "width", 0)
            if width > self.model_dim:
                raise ValueError(f"{name}.width = {width} is above model_dim = {self.model_dim}")
        if self.value_residual != "off" and self.num_layers < 2:
            raise ValueError("value_residual needs a second layer to act in")
        if self.legacy_document_leak and self.smear.kind == "off" and self.bigram_hash.kind == "off":
            raise ValueError("legacy_document_leak acts on smear and bigram_hash alone, and both are off; switch one on")
        if self.bos_id >= self.vocab_size:
            raise ValueError(f"bos_id = {self.bos_id} is no token of vocab_size = {self.vocab_size}")
        return self

    @property
    def head_dim(self) -> int:
        """Width of one head."""
        return self.model_dim // self.num_heads

    @property
    def kv_dim(self) -> int:
        """Width of all key (or value) heads together."""
        return self.num_kv_heads * self.head_dim

    @property
    def hidden_dim(self) -> int:
        """Width of the feed-forward's hidden layer."""
        forward = self.feed_forward
        return forward.hidden_dim if forward.hidden_dim is not None else (forward.mult or 0) * self.model_dim

    @property
    def knows_documents(self) -> bool:
        """Whether anything in the network asks where documents begin: then the corpus must begin them with `bos_id`."""
        remembers = self.smear.kind != "off" or self.bigram_hash.kind != "off"
        return self.document_attention == "isolated" or (remembers and not self.legacy_document_leak)

    def layer_order(self, looping: bool = True) -> tuple[int, ...]:
        """Return the layers in the order in which they run; the first half of it feeds the skips of the second."""
        if not isinstance(self.recurrence, Loop) or not looping:
            return tuple(range(self.num_layers))
        first, last = self.recurrence.first, self.recurrence.last
        looped = tuple(range(first, last + 1)) * (self.recurrence.num_repeats + 1)
        return (*range(first), *looped, *range(last + 1, self.num_layers))

    def window_of(self, layer: int) -> int | None:
        """Return how many positions, itself included, a query of `layer` sees; None: all before it."""
        window = self.attention_window
        if isinstance(window, Off) or (window.layers is not None and layer not in window.layers):
            return None
        return window.tokens

    @property
    def num_skips(self) -> int:
        """Skips from the first half of the layers to the second, as many as the longest order has."""
        return len(self.layer_order()) // 2

    @property
    def num_matrix_parameters(self) -> int:
        """Weights that multiply every token: the matrices of the blocks, as often as each is run, and the head."""
        hidden = (3 if isinstance(self.feed_forward, SwiGlu) else 2) * self.hidden_dim
        block = self.model_dim * (2 * self.model_dim + 2 * self.kv_dim + hidden)
        return len(self.layer_order()) * block + self.vocab_size * self.model_dim
