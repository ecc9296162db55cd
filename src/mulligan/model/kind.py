"""The kinds of parts that a network can have, torch-free; `model/config.py` puts them together.

Layers are counted from 0.
"""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from mulligan.core.config import FrozenConfig, lever_field
from mulligan.core.user_lever import UserLever

if TYPE_CHECKING:
    from torch import nn

    from mulligan.model.config import ModelConfig


class FeedForwardKind(FrozenConfig):
    """The hidden size is `mult` x model_dim or `hidden_dim`: one of the two is given."""

    mult: int | None = lever_field(None, off=None, ge=1, examples=[2])
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
    negative_slope: float = Field(gt=0, le=1, examples=[0.5])


class SwiGlu(FeedForwardKind):
    """Three matrices: W2 (silu(Wg x) * (W1 x))."""

    kind: Literal["swiglu"]


class UserFeedForward(UserLever, FeedForwardKind):
    """A feed-forward of the user's own."""

    path: ClassVar[str] = "model.feed_forward"
    gives: ClassVar[str] = "build"

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
    from_len: int = Field(ge=1, examples=[128])


class Yarn(FrozenConfig):
    """Long wavelengths are stretched by `to_len` / `from_len`, short ones kept, a ramp between; at every length alike."""

    kind: Literal["yarn"]
    from_len: int = Field(ge=1, examples=[128])
    to_len: int = Field(ge=1, examples=[256])

    @model_validator(mode="after")
    def _stretches(self) -> Self:
        if self.to_len <= self.from_len:
            raise ValueError(f"to_len = {self.to_len} is not above from_len = {self.from_len}: nothing is stretched")
        return self


Extension = Annotated[NoExtension | Ntk | Yarn, Field(discriminator="kind")]


class Rope(FrozenConfig):
    """Rotary positions, wavelengths from 2 pi to 2 pi x `base` tokens, on the first `rotated_dims` of a head (None: all)."""

    kind: Literal["rope"]
    base: float = Field(gt=1, examples=[10000.0])
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
    init_std: float = Field(gt=0, examples=[0.005])


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
    num_buckets: int = Field(ge=2, examples=[2048])
    dim: int = Field(ge=1, examples=[16])


class LinearHash(FrozenConfig):
    """Buckets (`multiplier` p + t) mod num_buckets, p = 0 for a row's first token. The projection starts at zero."""

    kind: Literal["linear"]
    multiplier: int = Field(default=31, ge=1)
    num_buckets: int = Field(ge=2, examples=[2048])
    dim: int = Field(ge=1, examples=[16])


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
    dim: int = Field(ge=1, examples=[16])
    layers: tuple[int, ...] = Field(min_length=1, examples=[[2, 3]])


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
    tokens: int = Field(ge=1, examples=[64])
    layers: tuple[int, ...] | None = lever_field(None, off=None, min_length=1)


class Loop(FrozenConfig):
    """Layers `first` to `last` are run `num_repeats` times more, from `train.recurrence_start` on."""

    kind: Literal["loop"]
    first: int = Field(ge=0, examples=[1])
    last: int = Field(ge=0, examples=[2])
    num_repeats: int = Field(ge=1, examples=[1])


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
