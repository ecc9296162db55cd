"""The network's config, torch-free. A choice between parts is a union of kinds; levers add members to it.

Layers are counted from 0. A field that stands at its `off` value builds nothing and is left out of every key.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from mulligan.core.config import FrozenConfig, lever_field
from mulligan.core.user_lever import UserLever

if TYPE_CHECKING:
    from torch import nn


class FeedForwardKind(FrozenConfig):
    """The hidden size is `mult` x model_dim or `hidden_dim`: one of the two is given."""

    mult: int | None = lever_field(None, off=None, ge=1)
    hidden_dim: int | None = lever_field(None, off=None, ge=1)

    @model_validator(mode="after")
    def _one_size(self) -> Self:
        if (self.mult is None) == (self.hidden_dim is None):
            raise ValueError("give either mult (times model_dim) or hidden_dim, and not both")
        return self


class ReluSquared(FeedForwardKind):
    """Two matrices around relu squared."""

    kind: Literal["relu-squared"]


class LeakyReluSquared(FeedForwardKind):
    """Two matrices around the square of a leaky relu: a negative input x gives (negative_slope x)^2."""

    kind: Literal["leaky-relu-squared"]
    negative_slope: float = Field(gt=0, le=1)


class SwiGlu(FeedForwardKind):
    """Three matrices: W2 (silu(Wg x) * (W1 x))."""

    kind: Literal["swiglu"]


class UserFeedForward(UserLever, FeedForwardKind):
    """A feed-forward of the user's own."""

    path: ClassVar[str] = "model.feed_forward"

    def build(self, model: "ModelConfig") -> "nn.Module":
        """Return the module of one block, (B, T, model_dim) -> (B, T, model_dim); its input is normalised.

        Matrices are called `<name>.weight` and drawn as the network's others are; one called `proj` starts at zero.
        """
        raise NotImplementedError


class NoExtension(FrozenConfig):
    """Wavelengths are those of `base` at every length."""

    kind: Literal["off"]


class Ntk(FrozenConfig):
    """Beyond `from_len` tokens of context T the base grows to base x (T / from_len)^(d / (d - 2)), d the rotated dimensions.

    `from_len` is the length trained at; a smaller one changes the base in training too (published scripts: 1024 at 2048).
    """

    kind: Literal["ntk"]
    from_len: int = Field(ge=1)


class Yarn(FrozenConfig):
    """Long wavelengths are stretched by `to_len` / `from_len`, short ones kept, a ramp between; at every length alike."""

    kind: Literal["yarn"]
    from_len: int = Field(ge=1)
    to_len: int = Field(ge=1)

    @model_validator(mode="after")
    def _stretches(self) -> Self:
        if self.to_len <= self.from_len:
            raise ValueError(f"to_len = {self.to_len} is not above from_len = {self.from_len}: nothing is stretched")
        return self


Extension = Annotated[NoExtension | Ntk | Yarn, Field(discriminator="kind")]


class Rope(FrozenConfig):
    """Rotary positions, wavelengths from 2 pi to 2 pi x `base` tokens, on the first `rotated_dims` of a head (None: all)."""

    kind: Literal["rope"]
    base: float = Field(gt=1)
    rotated_dims: int | None = lever_field(None, off=None, ge=2)
    extension: Extension = lever_field(NoExtension(kind="off"), off={"kind": "off"})


class NoPositions(FrozenConfig):
    """No positions but what the causal mask tells."""

    kind: Literal["none"]


class Alibi(FrozenConfig):
    """Attention falls off linearly with distance, at a fixed slope of each head's own."""

    kind: Literal["alibi"]


class RelativeBuckets(FrozenConfig):
    """A learned bias per head and bucket of distance: exact up to half of `num_buckets`, then logarithmic to `max_distance`."""

    kind: Literal["relative-buckets"]
    num_buckets: int = Field(default=32, ge=4)
    max_distance: int = Field(default=128, ge=4)

    @model_validator(mode="after")
    def _reaches_beyond_the_exact_half(self) -> Self:
        if self.max_distance <= self.num_buckets // 2:
            raise ValueError(f"max_distance = {self.max_distance} is not above num_buckets / 2 = {self.num_buckets // 2}")
        return self


class TiedEmbedding(FrozenConfig):
    """One table for input and head, initialised with standard deviation `init_std`."""

    kind: Literal["tied"]
    init_std: float = Field(gt=0)


class UntiedEmbedding(FrozenConfig):
    """An input table of standard deviation 1 and a head of its own that starts at zero."""

    kind: Literal["untied"]


class KaimingInit(FrozenConfig):
    """Matrices uniform within 1 / sqrt(inputs), torch's default."""

    kind: Literal["kaiming"]


class OrthogonalInit(FrozenConfig):
    """Matrices whose two sides are at least `min_dim` start orthogonal.

    `scale_projections`: those called proj are divided by sqrt(2 num_layers). Attention's and the feed-forward's start at
    zero, so it acts on the projections of hashed bigrams and value embeddings alone.
    """

    kind: Literal["orthogonal"]
    min_dim: int = Field(default=64, ge=1)
    scale_projections: bool = False


class Off(FrozenConfig):
    """Not there."""

    kind: Literal["off"]


class XorHash(FrozenConfig):
    """Buckets (36313 t xor 27191 p) mod (num_buckets - 1); a row's first token takes the last. The table starts at zero."""

    kind: Literal["xor"]
    num_buckets: int = Field(ge=2)
    dim: int = Field(ge=1)


class LinearHash(FrozenConfig):
    """Buckets (`multiplier` p + t) mod num_buckets, p = 0 for a row's first token. The projection starts at zero."""

    kind: Literal["linear"]
    multiplier: int = Field(default=31, ge=1)
    num_buckets: int = Field(ge=2)
    dim: int = Field(ge=1)


class StaticSmear(FrozenConfig):
    """(1 - g) x_t + g x_{t-1} with g = sigmoid(gate) per channel; `gate_init` 0 starts at one half of each."""

    kind: Literal["static"]
    gate_init: float = 0.0


class InputSmear(FrozenConfig):
    """x_t + lambda sigmoid(w . x_t[:width]) x_{t-1}, lambda 0 at first."""

    kind: Literal["input-gated"]
    width: int = Field(default=12, ge=1)


class SharedValueEmbedding(FrozenConfig):
    """One table of `dim` per token, projected and added to the values of `layers`."""

    kind: Literal["shared"]
    dim: int = Field(ge=1)
    layers: tuple[int, ...] = Field(min_length=1)


class SigmoidGate(FrozenConfig):
    """sigmoid(W h + bias) per head, the bias starting at `bias_init` (4: 0.98 at first)."""

    kind: Literal["biased-sigmoid"]
    bias_init: float = 4.0


class PlainGate(FrozenConfig):
    """sigmoid(W h) per head, W of standard deviation `init_std`: one half at first."""

    kind: Literal["sigmoid"]
    init_std: float = Field(default=0.005, gt=0)


class DoubledGate(FrozenConfig):
    """2 sigmoid(W h[:width]) per head: exactly 1 at first."""

    kind: Literal["doubled-sigmoid"]
    width: int = Field(default=12, ge=1)


class SparseGate(FrozenConfig):
    """sigmoid(scale W h[:width]) per head: one half at first."""

    kind: Literal["sparse-sigmoid"]
    width: int = Field(default=12, ge=1)
    scale: float = Field(default=1.0, gt=0)


class AttentionWindow(FrozenConfig):
    """Queries see the last `tokens` positions, themselves included, in `layers` (None: all)."""

    kind: Literal["causal"]
    tokens: int = Field(ge=1)
    layers: tuple[int, ...] | None = lever_field(None, off=None, min_length=1)


class Loop(FrozenConfig):
    """Layers `first` to `last` are run `num_repeats` times more, from `train.recurrence_start` on."""

    kind: Literal["loop"]
    first: int = Field(ge=0)
    last: int = Field(ge=0)
    num_repeats: int = Field(ge=1)


FeedForward = Annotated[ReluSquared | LeakyReluSquared | SwiGlu, Field(discriminator="kind")]
Positions = Annotated[Rope | NoPositions | Alibi | RelativeBuckets, Field(discriminator="kind")]
Embedding = Annotated[TiedEmbedding | UntiedEmbedding, Field(discriminator="kind")]
Initialisation = Annotated[KaimingInit | OrthogonalInit, Field(discriminator="kind")]
BigramHash = Annotated[Off | XorHash | LinearHash, Field(discriminator="kind")]
Smear = Annotated[Off | StaticSmear | InputSmear, Field(discriminator="kind")]
ValueEmbedding = Annotated[Off | SharedValueEmbedding, Field(discriminator="kind")]
AttentionGate = Annotated[Off | SigmoidGate | PlainGate | DoubledGate | SparseGate, Field(discriminator="kind")]
Window = Annotated[Off | AttentionWindow, Field(discriminator="kind")]
Recurrence = Annotated[Off | Loop, Field(discriminator="kind")]

OFF = Off(kind="off")


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
    num_exclusive_layers: int = lever_field(0, off=0, ge=0)
    attention_gate: AttentionGate = lever_field(OFF, off={"kind": "off"})
    attention_window: Window = lever_field(OFF, off={"kind": "off"})
    document_attention: Literal["across", "isolated"] = lever_field("across", off="across")
    layer_norm_scale: Literal["off", "inverse-sqrt-depth"] = lever_field("off", off="off")
    residual_mixing: Literal["off", "mhc"] = lever_field("off", off="off")
    parallel_from_layer: int | None = lever_field(None, off=None, ge=0)
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
