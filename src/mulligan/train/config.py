"""Configs of the train stage, torch-free: budget, warmdown, loader, optimizer. Every field carries its unit.

A time-dependent config says what it does on a stretch of steps through `train/history.py`; everything else acts from
the first step to the last.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mulligan.core.config import FrozenConfig, lever_field
from mulligan.numerics.trigger import Trigger

VERSION = 1


class StepsBudget(FrozenConfig):
    """Train for `steps` optimizer steps."""

    kind: Literal["steps"]
    steps: int = Field(ge=1)


class TokensBudget(FrozenConfig):
    """Train until `tokens` tokens are seen, rounded up to a whole step."""

    kind: Literal["tokens"]
    tokens: int = Field(ge=1)


class SecondsBudget(FrozenConfig):
    """Train for `seconds` of training clock: speed is part of the lever, and no trunk is shared."""

    kind: Literal["seconds"]
    seconds: float = Field(gt=0)


class ConstantLr(FrozenConfig):
    """No warmdown: the learning-rate scale stays 1."""

    kind: Literal["constant"]


class WarmdownSteps(FrozenConfig):
    """Linear decay to 0 over the last `steps` steps; longer than the run means always decaying."""

    kind: Literal["steps"]
    steps: int = Field(ge=1)


class WarmdownTokens(FrozenConfig):
    """Linear decay to 0 over the last `tokens` tokens."""

    kind: Literal["tokens"]
    tokens: int = Field(ge=1)


class WarmdownSeconds(FrozenConfig):
    """Linear decay to 0 over the last `seconds` of a budget in seconds."""

    kind: Literal["seconds"]
    seconds: float = Field(gt=0)


class WarmdownFraction(FrozenConfig):
    """Linear decay over the last `fraction` of the budget, not below `floor`."""

    kind: Literal["fraction"]
    fraction: float = Field(gt=0, le=1)
    floor: float = lever_field(0.0, off=0.0, ge=0, lt=1)


class SequentialLoader(FrozenConfig):
    """One global stream read in order, wrapping around.

    `start`: "seeded" begins at an offset drawn from the seed; "fixed" begins at token 0, as the published loader does.
    """

    kind: Literal["sequential"]
    start: Literal["seeded", "fixed"]


class ShuffledLoader(FrozenConfig):
    """Blocks of `seq_len` tokens from a random phase on, in a random permutation; both are drawn anew for every epoch."""

    kind: Literal["shuffled"]


class DocumentPackingLoader(FrozenConfig):
    """Whole documents in a random order, drawn anew for every epoch; a row begins where a document or a cut of it does."""

    kind: Literal["document-packing"]


class MuonAdam(FrozenConfig):
    """Muon for the matrices of the blocks, Adam for the rest. Learning rates are per step, unitless."""

    kind: Literal["muon-adam"]
    matrix_lr: float = Field(default=0.04, gt=0)
    token_lr: float = Field(default=0.05, gt=0)
    scalar_lr: float = Field(default=0.04, gt=0)
    head_lr: float | None = lever_field(None, off=None, gt=0)
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.95, ge=0, lt=1)
    eps: float = Field(default=1e-8, gt=0)
    momentum: float = Field(default=0.95, ge=0, lt=1)
    momentum_start: float = Field(default=0.85, ge=0, lt=1)
    momentum_warmup_steps: int = Field(default=500, ge=0)
    newton_schulz_steps: int = Field(default=5, ge=1)
    muon_weight_decay: float = lever_field(0.0, off=0.0, ge=0)
    adam_weight_decay: float = lever_field(0.0, off=0.0, ge=0)


class NoFakeQuantization(FrozenConfig):
    """Train on the weights as they are."""

    kind: Literal["off"]


class ParameterSwap(FrozenConfig):
    """Once `start` has fired, take gradients at the weights rounded to the recipe's grid; steps move the weights themselves."""

    kind: Literal["parameter-swap"]
    start: Trigger


Budget = Annotated[StepsBudget | TokensBudget | SecondsBudget, Field(discriminator="kind")]
Warmdown = Annotated[
    ConstantLr | WarmdownSteps | WarmdownTokens | WarmdownSeconds | WarmdownFraction, Field(discriminator="kind")
]
Loader = Annotated[SequentialLoader | ShuffledLoader | DocumentPackingLoader, Field(discriminator="kind")]
Optimizer = Annotated[MuonAdam, Field()]
FakeQuantize = Annotated[NoFakeQuantization | ParameterSwap, Field(discriminator="kind")]


class TrainConfig(FrozenConfig):
    """How the weights are trained: `batch_tokens` per optimizer step, in `accumulation_steps` equal parts.

    `data_seed` draws the data order alone; without one, the run's seed draws it, and initialisation too.
    """

    budget: Budget
    warmdown: Warmdown
    loader: Loader
    data_seed: int | None = lever_field(None, off=None, ge=0)
    optimizer: Optimizer
    seq_len: int = Field(ge=1)
    batch_tokens: int = Field(ge=1)
    accumulation_steps: int = lever_field(1, off=1, ge=1)
    grad_clip_norm: float = lever_field(0.0, off=0.0, ge=0)
    precision: Literal["fp32", "bf16"]
    fake_quantize: FakeQuantize = lever_field(NoFakeQuantization(kind="off"), off={"kind": "off"})

    @model_validator(mode="after")
    def _parts_fit(self) -> "TrainConfig":
        part = self.seq_len * self.accumulation_steps
        if self.batch_tokens % part:
            raise ValueError(
                f"batch_tokens = {self.batch_tokens} is not a multiple of seq_len x accumulation_steps = {part}; "
                f"give {max(1, self.batch_tokens // part) * part}"
            )
        if isinstance(self.warmdown, WarmdownSeconds) and not isinstance(self.budget, SecondsBudget):
            raise ValueError(
                f"warmdown.kind = 'seconds' needs budget.kind = 'seconds', and budget.kind is {self.budget.kind!r}; "
                "give the warmdown in steps, tokens or as a fraction"
            )
        return self

    @model_validator(mode="after")
    def _data_seed_is_read(self) -> "TrainConfig":
        if self.data_seed is not None and isinstance(self.loader, SequentialLoader) and self.loader.start == "fixed":
            raise ValueError(
                f"data_seed = {self.data_seed} draws nothing, because loader.start is 'fixed'; remove it, or give "
                "loader.start = 'seeded'"
            )
        return self

    @property
    def num_steps(self) -> int | None:
        """Optimizer steps of the whole run; None when the budget is in seconds."""
        if isinstance(self.budget, StepsBudget):
            return self.budget.steps
        if isinstance(self.budget, TokensBudget):
            return -(-self.budget.tokens // self.batch_tokens)
        return None
