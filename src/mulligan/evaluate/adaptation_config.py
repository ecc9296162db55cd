"""Configs of adaptation, torch-free: how the weights move on what was already scored.

A kind with `legal = False` breaks a rule on purpose, to reproduce what was published with it and to test the judge.
"""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from mulligan.core.config import FrozenConfig, lever_field
from mulligan.model.kind import OFF, Off


class EpochsByLoss(FrozenConfig):
    """More or fewer epochs on a chunk that scored above or below these nats per token."""

    kind: Literal["by-loss"]
    above_nats: float = Field(default=2.1, gt=0)
    more_epochs: int = Field(default=4, ge=0)
    below_nats: float = Field(default=1.75, gt=0)
    fewer_epochs: int = Field(default=2, ge=0)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.below_nats > self.above_nats:
            raise ValueError(f"below_nats = {self.below_nats} is above above_nats = {self.above_nats}; swap them")
        return self


class Polyak(FrozenConfig):
    """Scores are taken with an average of the adapted weights, avg <- decay avg + (1 - decay) weights after each update."""

    kind: Literal["ema"]
    decay: float = Field(gt=0, lt=1, examples=[0.9])


class LrFactor(FrozenConfig):
    """The learning rate of the tensors that one of `match` (globs) names, as a factor; 0 freezes them."""

    match: tuple[str, ...] = Field(min_length=1, examples=[["*.proj.weight"]])
    factor: float = Field(ge=0, examples=[3.0])


class Chunked(FrozenConfig):
    """Training on chunks of `chunk_tokens` scored tokens, in sequences of the windows' context_len, `batch_sequences` a step.

    `lr` falls to 0 along a cosine over the chunks, or is constant; `clip_norm` 0 clips nothing. `epochs_by_loss` replaces
    `epochs` where a chunk was hard or easy. `fake_quantize`: gradients at the weights as they are, or as the grid rounds them.
    """

    chunk_tokens: int = Field(default=32_768, ge=1)
    epochs: int = Field(default=3, ge=1)
    epochs_by_loss: Annotated[Off | EpochsByLoss, Field(discriminator="kind")] = lever_field(OFF, off={"kind": "off"})
    batch_sequences: int = Field(default=32, ge=1)
    lr: float = Field(default=0.002, gt=0)
    schedule: Literal["cosine", "constant"] = "cosine"
    clip_norm: float = Field(default=1.0, ge=0)
    num_frozen_blocks: int = lever_field(0, off=0, ge=0)
    lr_factors: tuple[LrFactor, ...] = lever_field((), off=[])
    loss: Literal["per-token", "per-byte"] = lever_field("per-token", off="per-token")
    polyak: Annotated[Off | Polyak, Field(discriminator="kind")] = lever_field(OFF, off={"kind": "off"})
    fake_quantize: Literal["off", "grid"] = lever_field("off", off="off")


class Descent(Chunked):
    """Gradient descent with momentum, whose buffer lives on from chunk to chunk."""

    momentum: float = Field(default=0.9, ge=0, lt=1)


class Sgd(Descent):
    """Each chunk is scored, then trained on by gradient descent."""

    kind: Literal["sgd"]


class MuonUpdates(Chunked):
    """Each chunk is scored, then trained on: W <- W - lr NS(gradient) for matrices, W - lr gradient for vectors."""

    kind: Literal["muon"]
    newton_schulz_steps: int = Field(default=3, ge=1)


class TrainThenScore(Descent):
    """Train on all that will be scored, `epochs` times, then score it."""

    legal: ClassVar[bool] = False
    kind: Literal["train-then-score"]


class TwoPass(Descent):
    """Adapt as `sgd` does, score first, then score everything again with the weights of the end; the second scores count."""

    legal: ClassVar[bool] = False
    kind: Literal["two-pass"]


class Lora(FrozenConfig):
    """Low-rank updates of the linear maps that `match` (globs) names, a set per document; defaults are those of PR 1855.

    A document is scored in chunks of `chunk_tokens`, at most the windows' context_len. An update counts `alpha` / `rank`.
    `a`: A is drawn anew for each document (cold), or goes on from the document of the same place in the batch before (warm).
    `match`: such as blocks.0.attn.c_q, or head, tied or not.
    """

    kind: Literal["lora"]
    rank: int = Field(default=80, ge=1)
    alpha: float = Field(default=144.0, gt=0)
    chunk_tokens: int = Field(default=48, ge=1)
    batch_documents: int = Field(default=64, ge=1)
    lr: float = Field(default=1e-4, gt=0)
    beta1: float = Field(default=0.0, ge=0, lt=1)
    beta2: float = Field(default=0.99, ge=0, lt=1)
    eps: float = Field(default=1e-10, gt=0)
    weight_decay: float = Field(default=0.5, ge=0)
    a: Literal["cold", "warm"] = "warm"
    match: tuple[str, ...] = Field(default=("*",), min_length=1)


class Slot(FrozenConfig):
    """Each window's final hidden state is shifted to fit the targets that it is then scored on, in `num_steps` of AdamW.

    `logit_bias`: a bias of each window's logits is fitted with it.
    """

    legal: ClassVar[bool] = False
    kind: Literal["slot"]
    num_steps: int = Field(default=8, ge=1)
    lr: float = Field(default=0.005, gt=0)
    logit_bias: Literal["off", "per-window"] = lever_field("off", off="off")


Adaptation = Annotated[Off | Sgd | MuonUpdates | Lora | TrainThenScore | TwoPass | Slot, Field(discriminator="kind")]
