"""The network's config, torch-free. A choice between parts is a union of kinds; levers add members to it."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mulligan.core.config import FrozenConfig


class ReluSquared(FrozenConfig):
    """Two matrices around relu squared; the hidden size is `mult` x model_dim."""

    kind: Literal["relu-squared"]
    mult: int = Field(ge=1)


class Rope(FrozenConfig):
    """Rotary positions over the whole head, wavelengths from 2 pi to 2 pi x `base` tokens."""

    kind: Literal["rope"]
    base: float = Field(gt=1)


class TiedEmbedding(FrozenConfig):
    """One table for input and head, initialised with standard deviation `init_std`."""

    kind: Literal["tied"]
    init_std: float = Field(gt=0)


class UntiedEmbedding(FrozenConfig):
    """An input table of standard deviation 1 and a head of its own that starts at zero."""

    kind: Literal["untied"]


FeedForward = Annotated[ReluSquared, Field()]
Positions = Annotated[Rope, Field()]
Embedding = Annotated[TiedEmbedding | UntiedEmbedding, Field(discriminator="kind")]


class ModelConfig(FrozenConfig):
    """The baseline network: sizes in counts, `logit_softcap` in logits, `qk_gain_init` a factor."""

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

    @model_validator(mode="after")
    def _heads_divide(self) -> Self:
        if self.model_dim % self.num_heads:
            raise ValueError(f"model_dim = {self.model_dim} is not a multiple of num_heads = {self.num_heads}")
        if self.num_heads % self.num_kv_heads:
            raise ValueError(f"num_heads = {self.num_heads} is not a multiple of num_kv_heads = {self.num_kv_heads}")
        if self.head_dim % 2:
            raise ValueError(f"head_dim = model_dim / num_heads = {self.head_dim} is odd; rotary positions need an even one")
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
        return self.feed_forward.mult * self.model_dim

    @property
    def num_matrix_parameters(self) -> int:
        """Weights that multiply every token: the matrices of the blocks and the head."""
        block = self.model_dim * (2 * self.model_dim + 2 * self.kv_dim + 2 * self.hidden_dim)
        return self.num_layers * block + self.vocab_size * self.model_dim
