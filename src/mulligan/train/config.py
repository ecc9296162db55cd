"""Configs of the train stage, torch-free: budget, warmdown, loader, optimizer. Every field carries its unit.

A time-dependent config says what it does on a stretch of steps through `train/history.py`; everything else acts from
the first step to the last.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from mulligan.core.config import FrozenConfig, lever_field
from mulligan.numerics.trigger import Trigger

VERSION = 1

POLAR_EXPRESS_STEPS = 5
"""Newton-Schulz steps that the Polar Express coefficients are made for."""


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


class NoTaper(FrozenConfig):
    """Muon's weight decay stays as it is."""

    kind: Literal["off"]


class LinearTaper(FrozenConfig):
    """Muon's weight decay times 1 until `from_fraction` of the budget, then linear to times `to` at its end."""

    kind: Literal["linear"]
    from_fraction: float = Field(ge=0, lt=1)
    to: float = Field(ge=0, lt=1)


WeightDecayTaper = Annotated[NoTaper | LinearTaper, Field(discriminator="kind")]


class MuonAdam(FrozenConfig):
    """Muon for the matrices of the blocks, Adam for the rest. Learning rates are per step, unitless.

    Weight decays are decoupled, W <- W (1 - lr wd). `token_weight_decay` is the token tables' own; None: `adam_weight_decay`.
    """

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
    newton_schulz_coefficients: Literal["quintic", "polar-express"] = lever_field("quintic", off="quintic")
    row_normalize: bool = lever_field(False, off=False)
    muon_weight_decay: float = lever_field(0.0, off=0.0, ge=0)
    muon_weight_decay_taper: WeightDecayTaper = lever_field(NoTaper(kind="off"), off={"kind": "off"})
    adam_weight_decay: float = lever_field(0.0, off=0.0, ge=0)
    token_weight_decay: float | None = lever_field(None, off=None, ge=0)

    @model_validator(mode="after")
    def _steps_fit_the_coefficients(self) -> "MuonAdam":
        if self.newton_schulz_coefficients == "polar-express" and self.newton_schulz_steps != POLAR_EXPRESS_STEPS:
            raise ValueError(
                f"newton_schulz_steps = {self.newton_schulz_steps}, and newton_schulz_coefficients = 'polar-express' has one "
                f"triple for each of {POLAR_EXPRESS_STEPS} steps; give {POLAR_EXPRESS_STEPS}, or the 'quintic' coefficients"
            )
        return self

    @model_validator(mode="after")
    def _taper_has_a_decay(self) -> "MuonAdam":
        if isinstance(self.muon_weight_decay_taper, LinearTaper) and not self.muon_weight_decay:
            raise ValueError(
                "muon_weight_decay_taper is given and muon_weight_decay is 0, so there is nothing to taper; "
                'give a muon_weight_decay, such as 0.085, or the taper {kind = "off"}'
            )
        return self


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
Loader = Annotated[SequentialLoader, Field()]
Optimizer = Annotated[MuonAdam, Field()]
FakeQuantize = Annotated[NoFakeQuantization | ParameterSwap, Field(discriminator="kind")]


class TrainConfig(FrozenConfig):
    """How the weights are trained: `batch_tokens` per optimizer step, in `accumulation_steps` equal parts."""

    budget: Budget
    warmdown: Warmdown
    loader: Loader
    optimizer: Optimizer
    seq_len: int = Field(ge=1)
    batch_tokens: int = Field(ge=1)
    accumulation_steps: int = lever_field(1, off=1, ge=1)
    grad_clip_norm: float = lever_field(0.0, off=0.0, ge=0)
    precision: Literal["fp32", "bf16"]
    fake_quantize: FakeQuantize = lever_field(NoFakeQuantization(kind="off"), off={"kind": "off"})
    recurrence_start: Trigger | None = lever_field(None, off=None)

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

    @property
    def num_steps(self) -> int | None:
        """Optimizer steps of the whole run; None when the budget is in seconds."""
        if isinstance(self.budget, StepsBudget):
            return self.budget.steps
        if isinstance(self.budget, TokensBudget):
            return -(-self.budget.tokens // self.batch_tokens)
        return None
