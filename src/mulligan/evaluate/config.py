"""Configs of the evaluate stage, torch-free: which windows, at which precision, over which bytes."""

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from mulligan.core.config import FrozenConfig, lever_field
from mulligan.core.user_lever import UserLever
from mulligan.evaluate.adaptation_config import Adaptation, Lora, MuonUpdates, Sgd, TwoPass
from mulligan.model.kind import OFF, AttentionWindow, NoExtension, Ntk, Off, Yarn

if TYPE_CHECKING:
    from mulligan.evaluate.window import Windows as LaidWindows
    from mulligan.values.byte_table import IntArray

VERSION = 1


class Flat(FrozenConfig):
    """Windows side by side, each of `context_len` tokens."""

    kind: Literal["flat"]
    context_len: int = Field(ge=1, examples=[256])

    @property
    def stride(self) -> int:
        """Tokens between windows."""
        return self.context_len


class Overlapping(FrozenConfig):
    """Windows of `context_len` tokens, `stride` tokens apart."""

    context_len: int = Field(ge=1, examples=[256])
    stride: int = Field(ge=1, examples=[64])

    @model_validator(mode="after")
    def _stride_fits(self) -> Self:
        if self.stride > self.context_len:
            raise ValueError(
                f"stride = {self.stride} is more than context_len = {self.context_len}: tokens between the windows would "
                "never be scored. Give a stride of at most context_len"
            )
        return self


class Sliding(Overlapping):
    """Windows of `context_len` tokens every `stride` tokens; each but the first scores its last `stride` tokens."""

    kind: Literal["sliding"]


class UserWindows(UserLever, Overlapping):
    """Windows of the user's own; they must count every position exactly once."""

    path: ClassVar[str] = "evaluate.windows"
    gives: ClassVar[str] = "lay"

    kind: str

    def lay(self, starts: "IntArray", num_positions: int) -> "LaidWindows":
        """Return the windows over `num_positions` targets; `starts`: the positions at which documents begin."""
        raise NotImplementedError


class DocumentIsolated(Overlapping):
    """Sliding windows within each document alone."""

    kind: Literal["document-isolated"]


class DocumentOverrun(Overlapping):
    """Document-isolated windows that run past the end of a short document, and count again what they find there."""

    legal: ClassVar[bool] = False

    kind: Literal["document-overrun"]


class Streaming(FrozenConfig):
    """One pass in which every query sees the last `context_len` keys, itself included, of the stream or of its document."""

    kind: Literal["streaming"]
    context_len: int = Field(ge=1, examples=[256])
    documents: Literal["across", "isolated"] = lever_field("across", off="across")

    @property
    def stride(self) -> int:
        """Every target has a window of its own."""
        return 1


Windows = Annotated[Flat | Sliding | DocumentIsolated | DocumentOverrun | Streaming, Field(discriminator="kind")]


class AsTrained(FrozenConfig):
    """As the network was trained."""

    kind: Literal["as-trained"]


AS_TRAINED = AsTrained(kind="as-trained")


class FixedTemperature(FrozenConfig):
    """Logits are divided by `value`."""

    kind: Literal["fixed"]
    value: float = Field(gt=0, examples=[0.95])


class FittedTemperature(FrozenConfig):
    """The best of `candidates` on the last `train_documents` documents of the train split, for each weights that are scored.

    Fitted before scoring, by a job of its own, in flat windows of train.seq_len; its seconds belong to training.
    """

    kind: Literal["fitted"]
    candidates: tuple[Annotated[float, Field(gt=0)], ...] = Field(default=(0.9, 0.95, 1.0, 1.05, 1.1), min_length=2)
    train_documents: int = Field(default=32, ge=1)


class NgramMixture(FrozenConfig):
    """(1 - `weight`) of the network's probability and `weight` of an n-gram's, counted on what was scored before.

    Orders 1 to `order`, each smoothed by the one below with `concentration` counts; `within` one document or the whole stream.
    """

    kind: Literal["ngram"]
    order: int = Field(ge=1, examples=[3])
    weight: float = Field(gt=0, lt=1, examples=[0.05])
    concentration: float = Field(default=0.5, gt=0)
    within: Literal["document", "stream"] = "stream"


class HashedNgramMixture(FrozenConfig):
    """The gold token's counts in hashed buckets, blended with no sum over the vocabulary: no distribution (rules C2)."""

    legal: ClassVar[bool] = False

    kind: Literal["hashed-ngram"]
    order: int = Field(ge=2, examples=[5])
    weight: float = Field(gt=0, lt=1, examples=[0.4])
    num_buckets: int = Field(ge=2, examples=[4096])
    min_count: int = Field(default=2, ge=1)


class EvaluateConfig(FrozenConfig):
    """The readings to take. `bytes`: "piece" counts normalised piece bytes, "raw" the documents' UTF-8 bytes; "doubled-space"
    is wrong on purpose.

    `attention_window`, `position_extension`: others than the network was trained with, or none. `temperature`: by which its
    logits are divided. `mixture`: what its probabilities are then mixed with. `adaptation` is of the artifact's weights, and is
    one reading more, in the last of the windows.
    """

    windows: tuple[Windows, ...] = Field(min_length=1)
    precision: Literal["fp32", "bf16"]
    bytes: Literal["piece", "raw", "doubled-space"] = Field(examples=["doubled-space"])
    attention_window: Annotated[AsTrained | Off | AttentionWindow, Field(discriminator="kind")] = lever_field(
        AS_TRAINED, off={"kind": "as-trained"}
    )
    position_extension: Annotated[AsTrained | NoExtension | Ntk | Yarn, Field(discriminator="kind")] = lever_field(
        AS_TRAINED, off={"kind": "as-trained"}
    )
    temperature: Annotated[Off | FixedTemperature | FittedTemperature, Field(discriminator="kind")] = lever_field(
        OFF, off={"kind": "off"}
    )
    mixture: Annotated[Off | NgramMixture | HashedNgramMixture, Field(discriminator="kind")] = lever_field(
        OFF, off={"kind": "off"}
    )
    adaptation: Adaptation = lever_field(OFF, off={"kind": "off"})

    @model_validator(mode="after")
    def _adaptation_has_windows(self) -> Self:
        if isinstance(self.windows[-1], Streaming | DocumentOverrun) and not isinstance(self.adaptation, Off):
            raise ValueError(
                f"adaptation goes from window to window of the last of the windows, and {self.windows[-1].kind} has none that "
                "follow one another. Put other windows last, such as sliding"
            )
        return self

    @model_validator(mode="after")
    def _chunks_fit(self) -> Self:
        adaptation, context_len = self.adaptation, self.windows[-1].context_len
        if isinstance(adaptation, Lora) and adaptation.chunk_tokens > context_len:
            raise ValueError(
                f"adaptation.chunk_tokens = {adaptation.chunk_tokens} is more than context_len = {context_len} of the last "
                "windows: a chunk is scored in one window. Give chunks of at most that"
            )
        if isinstance(adaptation, Sgd | MuonUpdates | TwoPass) and adaptation.chunk_tokens < context_len:
            raise ValueError(
                f"adaptation.chunk_tokens = {adaptation.chunk_tokens} is less than context_len = {context_len} of the last "
                "windows: a chunk is cut into sequences of that length, and would teach nothing. Give chunks of at least that"
            )
        return self

    @property
    def legal(self) -> bool:
        """Whether a score taken so may be called one: no part of it breaks a rule on purpose."""
        parts = [*self.windows, *vars(self).values()]
        return self.bytes != "doubled-space" and all(getattr(part, "legal", True) for part in parts)

    @property
    def unadapted(self) -> "EvaluateConfig":
        """The same readings with weights that stay as they are."""
        return self.replace(adaptation=OFF)
