"""Configs of the train stage, torch-free: budget, warmdown, loader, optimizer. Every field carries its unit.

A time-dependent config says what it does on a stretch of steps through `train/history.py`; everything else acts from
the first step to the last.
"""

from bisect import bisect_left
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from mulligan.core.config import FrozenConfig, lever_field
from mulligan.core.user_lever import UserLever
from mulligan.numerics.trigger import AtFraction, AtStep, Trigger
from mulligan.train.batch_ramp import BatchSizes, linear_ramp

if TYPE_CHECKING:
    from mulligan.train.batch import Batches
    from mulligan.values.corpus import TokenStream

VERSION = 1

POLAR_EXPRESS_STEPS = 5
"""Newton-Schulz steps that the Polar Express coefficients are made for."""


class StepsBudget(FrozenConfig):
    """Train for `steps` optimizer steps."""

    kind: Literal["steps"]
    steps: int = Field(ge=1, examples=[150])


class TokensBudget(FrozenConfig):
    """Train until `tokens` tokens are seen, rounded up to a whole step."""

    kind: Literal["tokens"]
    tokens: int = Field(ge=1, examples=[500_000])


class SecondsBudget(FrozenConfig):
    """Train for `seconds` of training clock: speed is part of the lever, and no trunk is shared."""

    kind: Literal["seconds"]
    seconds: float = Field(gt=0, examples=[300.0])


class ConstantLr(FrozenConfig):
    """No warmdown: the learning-rate scale stays 1."""

    kind: Literal["constant"]


class WarmdownSteps(FrozenConfig):
    """Linear decay to 0 over the last `steps` steps; longer than the run means always decaying."""

    kind: Literal["steps"]
    steps: int = Field(ge=1, examples=[150])


class WarmdownTokens(FrozenConfig):
    """Linear decay to 0 over the last `tokens` tokens."""

    kind: Literal["tokens"]
    tokens: int = Field(ge=1, examples=[500_000])


class WarmdownSeconds(FrozenConfig):
    """Linear decay to 0 over the last `seconds` of a budget in seconds."""

    kind: Literal["seconds"]
    seconds: float = Field(gt=0, examples=[300.0])


class WarmdownFraction(FrozenConfig):
    """Linear decay over the last `fraction` of the budget, not below `floor`."""

    kind: Literal["fraction"]
    fraction: float = Field(gt=0, le=1, examples=[0.5])
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
    from_fraction: float = Field(ge=0, lt=1, examples=[0.7])
    to: float = Field(ge=0, lt=1, examples=[0.1])


WeightDecayTaper = Annotated[NoTaper | LinearTaper, Field(discriminator="kind")]


class ShuffledLoader(FrozenConfig):
    """Blocks of `seq_len` tokens from a random phase on, in a random permutation; both are drawn anew for every epoch."""

    kind: Literal["shuffled"]


class UserLoader(UserLever):
    """A loader of the user's own."""

    path: ClassVar[str] = "train.loader"
    gives: ClassVar[str] = "batches"

    def batches(self, config: "TrainConfig", stream: "TokenStream", seed: int) -> "Batches":
        """Return the batches of one training; `seed` is that of the data order. See `train/batch.py` for what they must be."""
        raise NotImplementedError


class DocumentPackingLoader(FrozenConfig):
    """Whole documents in a random order, drawn anew for every epoch; a row begins where a document or a cut of it does."""

    kind: Literal["document-packing"]


class AdamGroups(FrozenConfig):
    """Learning rates and weight decays of Adam's groups, per step, unitless; decays are decoupled, W <- W (1 - lr wd).

    `token_weight_decay` is the token tables' own; None: `adam_weight_decay`.
    """

    token_lr: float = Field(default=0.05, gt=0)
    scalar_lr: float = Field(default=0.04, gt=0)
    head_lr: float | None = lever_field(None, off=None, gt=0)
    beta1: float = Field(default=0.9, ge=0, lt=1)
    beta2: float = Field(default=0.95, ge=0, lt=1)
    eps: float = Field(default=1e-8, gt=0)
    adam_weight_decay: float = lever_field(0.0, off=0.0, ge=0)
    token_weight_decay: float | None = lever_field(None, off=None, ge=0)


class Adam(AdamGroups):
    """Adam for everything, the matrices of the blocks too."""

    kind: Literal["adam"]
    matrix_lr: float = Field(gt=0, examples=[0.002])


class MuonAdam(AdamGroups):
    """Muon for the matrices of the blocks, Adam for the rest."""

    kind: Literal["muon-adam"]
    matrix_lr: float = Field(default=0.04, gt=0)
    momentum: float = Field(default=0.95, ge=0, lt=1)
    momentum_start: float = Field(default=0.85, ge=0, lt=1)
    momentum_warmup_steps: int = Field(default=500, ge=0)
    newton_schulz_steps: int = Field(default=5, ge=1)
    newton_schulz_coefficients: Literal["quintic", "polar-express"] = lever_field("quintic", off="quintic")
    row_normalize: bool = lever_field(False, off=False)
    muon_weight_decay: float = lever_field(0.0, off=0.0, ge=0)
    muon_weight_decay_taper: WeightDecayTaper = lever_field(NoTaper(kind="off"), off={"kind": "off"})

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
    """Once `start` has fired, take gradients at the weights rounded to the recipe's grid; steps move the weights themselves.

    `match`: globs of the tensors that are rounded, of those that the grid stores as integers (None: all).
    """

    kind: Literal["parameter-swap"]
    start: Trigger
    match: tuple[str, ...] | None = lever_field(None, off=None, min_length=1)


class NoBatchRamp(FrozenConfig):
    """Every step reads `batch_tokens`."""

    kind: Literal["off"]


class LinearBatchRamp(FrozenConfig):
    """From `start_tokens` a step to `batch_tokens` at `until`, in `num_sizes` stretches of equally many steps."""

    kind: Literal["linear"]
    start_tokens: int = Field(ge=1, examples=[1024])
    num_sizes: int = Field(ge=1, le=32, examples=[3])
    until: Annotated[AtFraction | AtStep, Field(discriminator="kind")]


class NoSequenceCurriculum(FrozenConfig):
    """Every row is as long as `train.seq_len`."""

    kind: Literal["off"]


class ShorterFirst(FrozenConfig):
    """Rows of `seq_len` tokens, which divides `train.seq_len`, until `until` fires."""

    kind: Literal["shorter-first"]
    seq_len: int = Field(ge=1, examples=[128])
    until: Trigger


Budget = Annotated[StepsBudget | TokensBudget | SecondsBudget, Field(discriminator="kind")]
Warmdown = Annotated[
    ConstantLr | WarmdownSteps | WarmdownTokens | WarmdownSeconds | WarmdownFraction, Field(discriminator="kind")
]
Loader = Annotated[SequentialLoader | ShuffledLoader | DocumentPackingLoader, Field(discriminator="kind")]
Optimizer = Annotated[MuonAdam | Adam, Field(discriminator="kind")]
BatchRamp = Annotated[NoBatchRamp | LinearBatchRamp, Field(discriminator="kind")]
SequenceCurriculum = Annotated[NoSequenceCurriculum | ShorterFirst, Field(discriminator="kind")]
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
    sequence_curriculum: SequenceCurriculum = lever_field(NoSequenceCurriculum(kind="off"), off={"kind": "off"})
    batch_tokens: int = Field(ge=1)
    batch_ramp: BatchRamp = lever_field(NoBatchRamp(kind="off"), off={"kind": "off"})
    accumulation_steps: int = lever_field(1, off=1, ge=1)
    grad_clip_norm: float = lever_field(0.0, off=0.0, ge=0)
    precision: Literal["fp32", "bf16"]
    fake_quantize: FakeQuantize = lever_field(NoFakeQuantization(kind="off"), off={"kind": "off"})
    recurrence_start: Trigger | None = lever_field(None, off=None)

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
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
    def _data_seed_is_read(self) -> Self:
        if self.data_seed is not None and isinstance(self.loader, SequentialLoader) and self.loader.start == "fixed":
            raise ValueError(
                f"data_seed = {self.data_seed} draws nothing, because loader.start is 'fixed'; remove it, or give "
                "loader.start = 'seeded'"
            )
        return self

    @model_validator(mode="after")
    def _ramp_fits(self) -> Self:
        ramp, part = self.batch_ramp, self.seq_len * self.accumulation_steps
        if isinstance(ramp, NoBatchRamp):
            return self
        if isinstance(self.budget, SecondsBudget):
            raise ValueError("batch_ramp needs a budget in steps or tokens, and budget.kind is 'seconds'; give one of these")
        if ramp.start_tokens % part or ramp.start_tokens + ramp.num_sizes * part > self.batch_tokens:
            raise ValueError(
                f"batch_ramp goes from start_tokens = {ramp.start_tokens} to batch_tokens = {self.batch_tokens} in "
                f"{ramp.num_sizes} sizes, each a multiple of seq_len x accumulation_steps = {part}; give start_tokens as a "
                f"multiple of {part}, at most {self.batch_tokens - ramp.num_sizes * part}, or fewer sizes"
            )
        end, num_steps = self.batch_sizes.starts[-1], self.num_steps or 0
        if not ramp.num_sizes <= end < num_steps:
            raise ValueError(
                f"batch_ramp has {ramp.num_sizes} sizes and ends at step {end} of {num_steps}; give an `until` of at least "
                "one step a size that comes before the last step"
            )
        return self

    @model_validator(mode="after")
    def _rows_are_cut_evenly(self) -> Self:
        curriculum = self.sequence_curriculum
        if isinstance(curriculum, NoSequenceCurriculum):
            return self
        if isinstance(self.budget, SecondsBudget):
            raise ValueError(
                "sequence_curriculum needs a budget in steps or tokens, and budget.kind is 'seconds'; give one of these"
            )
        if curriculum.seq_len == self.seq_len or self.seq_len % curriculum.seq_len:
            shorter = [length for length in range(1, self.seq_len) if self.seq_len % length == 0]
            raise ValueError(
                f"sequence_curriculum.seq_len = {curriculum.seq_len} does not cut rows of seq_len = {self.seq_len} into equal, "
                f"shorter ones; give one of {shorter}"
            )
        return self

    @property
    def batch_sizes(self) -> BatchSizes:
        """The tokens of every step."""
        ramp, budget, part = self.batch_ramp, self.budget, self.seq_len * self.accumulation_steps
        if isinstance(ramp, NoBatchRamp):
            return BatchSizes((0,), (self.batch_tokens,))

        def until(step: int) -> BatchSizes:
            return linear_ramp(ramp.start_tokens, self.batch_tokens, part, ramp.num_sizes, step)

        if isinstance(ramp.until, AtStep):
            return until(ramp.until.step)
        share = ramp.until.value
        if isinstance(budget, TokensBudget):
            most = range(budget.tokens // ramp.start_tokens + 1)
            return until(bisect_left(most, True, key=lambda step: until(step).tokens(step) >= share * budget.tokens))
        assert isinstance(budget, StepsBudget)
        return until(bisect_left(range(budget.steps), True, key=lambda step: step / budget.steps >= share))

    @property
    def num_steps(self) -> int | None:
        """Optimizer steps of the whole run; None when the budget is in seconds."""
        if isinstance(self.budget, StepsBudget):
            return self.budget.steps
        if isinstance(self.budget, TokensBudget):
            return self.batch_sizes.steps(self.budget.tokens)
        return None
