"""The config of a study, torch-free: question, factors with their levels, seeds, metrics, margin.

A level is a set of recipe changes by dotted path; the first level of each factor is its baseline. A scale overrides any
of the study's own keys, so that one question is asked on a laptop and at the published size.
"""

import re
import tomllib
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from mulligan.core.config import FrozenConfig, parse_config
from mulligan.recipe import parse_change

PRIMARY = "primary"
RESERVED = ("seed", "value")


class Factor(FrozenConfig):
    """What is varied: `levels`, or one `path` with its `values`; two or more, the baseline's first."""

    levels: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Levels by name, each a table `{path = value}` of changes to the recipe."
    )
    path: str | None = Field(
        default=None, description="One dotted path of the recipe (of a script: an environment variable), instead of `levels`."
    )
    values: tuple[Any, ...] = Field(default=(), description="The values at `path`; a level is called as its value is.")

    @model_validator(mode="after")
    def _has_levels(self) -> Self:
        if bool(self.levels) == (self.path is not None):
            raise ValueError("give a factor either `levels` or `path` with `values`")
        if len(self.changes) < 2:
            raise ValueError(f"the factor has {len(self.changes)} level; a factor has two or more, the baseline first")
        return self

    @cached_property
    def changes(self) -> dict[str, dict[str, Any]]:
        """The recipe changes of each level by its name; the baseline level first."""
        if self.path is None:
            return self.levels
        return {_level_name(value): {self.path: value} for value in self.values}


def _level_name(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class FullFactorial(FrozenConfig):
    """Every combination of levels."""

    kind: Literal["full-factorial"]


class OneAtATime(FrozenConfig):
    """The baseline, and each other level alone. Interactions cannot be seen."""

    kind: Literal["one-at-a-time"]


class Sweep(FrozenConfig):
    """All levels of a single factor."""

    kind: Literal["sweep"]


class Fractional(FrozenConfig):
    """A fraction of the combinations of two-level factors; the plan says which effects it cannot tell apart."""

    kind: Literal["fractional"]
    generators: str = Field(
        description='One word per factor, such as "a b c abc": the fourth is the product of the first three.'
    )


class Script(FrozenConfig):
    """Somebody's own training script as the recipe: each cell is one run of `launch script`, a black box.

    Changes and levels are environment variables; the seed is given as `seed_variable`.
    """

    script: str = Field(description="The file; its bytes are part of the key of every cell.")
    launch: str = Field(
        default="python", description="The command before it, such as `torchrun --standalone --nproc_per_node=8`."
    )
    seed_variable: str = Field(default="SEED", description="The environment variable that takes the seed.")
    budget_bytes: int = Field(default=16_000_000, ge=1, description="What artifact and code may have, in decimal bytes.")
    environment: dict[str, str] = Field(default_factory=dict, description="Environment variables of every cell.")


class Address(FrozenConfig):
    """Which reading is meant: one must fit in each arm. `point` or `log` is given; what else is left out may be any."""

    point: Literal["raw", "averaged", "quantized", "adapted"] | None = Field(
        default=None,
        description="Whose score: of a recipe's weights. Without an average, averaged ones are the raw ones; without "
        "adaptation, adapted ones are the quantized ones, in the last of the windows.",
    )
    log: str | None = Field(
        default=None, description='For a script: the reading\'s name in its log, such as "final_int8_zlib_roundtrip_exact".'
    )
    windows: str | None = Field(default=None, description="The kind of windows, such as `sliding`.")
    context_len: int | None = Field(default=None, ge=1, description="Tokens of a window.")
    stride: int | None = Field(default=None, ge=1, description="Tokens between windows.")

    @model_validator(mode="after")
    def _is_one_of_two(self) -> Self:
        if (self.point is None) == (self.log is None):
            raise ValueError("give `point` (of a recipe's weights) or `log` (a reading in a script's log), and not both")
        return self

    def __str__(self) -> str:
        parts = [self.point or self.log, self.windows, self.context_len, f"stride {self.stride}" if self.stride else None]
        return ", ".join(str(part) for part in parts if part is not None)


class Published(FrozenConfig):
    """What somebody else reported on this question, to stand beside our figure."""

    what: str = Field(description="What was measured, and how often.")
    figure: str = Field(description="The figure, with its unit.")
    source: str = Field(description="Where it was published.")


class Difference(FrozenConfig):
    """A secondary metric: one reading minus another of the same cell, in bits per byte."""

    kind: Literal["difference"]
    name: str = Field(description="Its name in tables.")
    of: Address = Field(description="A reading, as in `metric`.")
    minus: Address = Field(description="The reading that is taken from it.")


class Score(FrozenConfig):
    """A secondary metric: another reading, in bits per byte."""

    kind: Literal["score"]
    name: str = Field(description="Its name in tables.")
    of: Address = Field(description="A reading, as in `metric`.")


class Payload(FrozenConfig):
    """A secondary metric: bytes of the packed weights."""

    kind: Literal["payload-bytes"]


class StepTime(FrozenConfig):
    """A secondary metric: milliseconds per training step, where this cell trained steps of its own."""

    kind: Literal["milliseconds-per-step"]


class Equal(FrozenConfig):
    """What the arms have in common: all train for as many steps, or tokens."""

    kind: Literal["steps", "tokens"]


class EqualSeconds(FrozenConfig):
    """All arms train for as long: the time becomes a fixed number of steps per arm, by what a step of it costs.

    So arms of unequal cost compare fairly and still share trunks.
    """

    kind: Literal["seconds"]
    seconds: float = Field(gt=0, description="Seconds of training.")
    step_ms: dict[str, float] = Field(
        description='Milliseconds of a step: of `control`, and of levels ("qat=on") or arms that cost other; the dearest holds.'
    )

    @model_validator(mode="after")
    def _has_control(self) -> Self:
        if "control" not in self.step_ms or min(self.step_ms.values()) <= 0:
            raise ValueError("budget.step_ms needs the milliseconds of a step of `control`, and every value above 0")
        return self


Design = Annotated[FullFactorial | OneAtATime | Sweep | Fractional, Field(discriminator="kind")]
Secondary = Annotated[Difference | Score | Payload | StepTime, Field(discriminator="kind")]
EqualBudget = Annotated[Equal | EqualSeconds, Field(discriminator="kind")]


class StudyConfig(FrozenConfig):
    """One question, its arms, and what would be an answer."""

    question: str = Field(description="What is asked, in a sentence.")
    hypothesis: str = Field(default="", description="What is expected, and why.")
    published: tuple[Published, ...] = Field(default=(), description="What others reported.")
    phase: Literal["explore", "confirm"] = Field(
        description="To look around; or to confirm, on seeds that nobody has looked at, with the study `frozen`."
    )
    recipe: str | Script = Field(description="A shipped recipe's name, a .toml file, or a script of your own as a table.")
    changes: dict[str, Any] = Field(
        default_factory=dict, description="`{path = value}`: changes to the recipe in every arm, before its levels' own."
    )
    factors: dict[str, Factor] = Field(min_length=1, description="What is varied, by name.")
    design: Design = Field(description="Which combinations of levels are run.")
    budget: EqualBudget = Field(description="What all arms have in common; arms that differ in it are refused.")
    seeds: tuple[int, ...] = Field(min_length=1, description="Seeds of initialisation and data order: the replicates.")
    weights: tuple[str, ...] = Field(
        default=(), description="Files that stand in for training, one for each seed, in a study of what comes after it."
    )
    metric: Address = Field(description="The reading that the verdicts are about, in bits per byte, lower is better.")
    secondary: tuple[Secondary, ...] = Field(default=(), description="Other numbers to report, with intervals.")
    margin_bpb: float = Field(gt=0, description="The least difference that matters, in bits per byte.")
    alpha: float = Field(default=0.05, gt=0, lt=0.5, description="Chance of a false verdict in the whole family of contrasts.")
    looks: int = Field(
        default=1, ge=1, description="How often seeds are added and the result is looked at; alpha is shared out."
    )
    noise_bpb: float = Field(
        default=0.0005, gt=0, description="Standard deviation between seeds in bits per byte, for planning alone."
    )
    nats_per_bpb: float = Field(
        default=1.688, gt=0, description="Nats per token that make one bit per byte (1.688: 1,024 pieces), for the record rule."
    )
    frozen: str | None = Field(default=None, description="The study's hash, which a study that confirms must state.")

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        for name in self.factors:
            if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", name) or name in RESERVED:
                raise ValueError(
                    f"a factor is called {name!r}; give letters, digits, - and _, and none of {', '.join(RESERVED)}"
                )
        names = [
            PRIMARY,
            *(metric.name if isinstance(metric, Difference | Score) else metric.kind for metric in self.secondary),
        ]
        if len(set(names)) < len(names):
            raise ValueError(f"secondary metrics need names of their own, none of them {PRIMARY!r}; given {names[1:]}")
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"seeds must differ from one another; given {list(self.seeds)}")
        if isinstance(self.recipe, Script) and (self.weights or isinstance(self.budget, EqualSeconds)):
            raise ValueError("a script trains by its own rules: leave out `weights`, and give budget.kind steps or tokens")
        if self.weights and len(self.weights) != len(self.seeds):
            raise ValueError(f"weights has {len(self.weights)} files for {len(self.seeds)} seeds; give one file for each seed")
        if isinstance(self.design, Sweep) and len(self.factors) != 1:
            raise ValueError(f"a sweep has one factor; given {list(self.factors)}. Use full-factorial or one-at-a-time")
        return self


def load_study(path: Path, scale: str | None = None, changes: Sequence[str] = ()) -> StudyConfig:
    """Return the study in a TOML file at one of its scales (None: the first).

    `changes`: more of the study's own `changes`, each "path=value", after those of the file. ValueError where factors or budget
    leave nothing of one.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no such study file. Give a path to a .toml file; shipped ones lie in studies/.")
    try:
        data = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not valid TOML: {error}.") from None
    scales = data.pop("scale", {})
    if scale is not None and scale not in scales:
        raise ValueError(f"--scale {scale}: {path} has the scales {', '.join(scales) or '(none)'}.")
    chosen = scale or next(iter(scales), None)
    data = _merged(data, scales[chosen]) if chosen else data
    more = dict(parse_change(change) for change in changes)
    if more:
        kept = {name: value for name, value in data.get("changes", {}).items() if name not in more}
        data["changes"] = {**kept, **more}
    study = parse_config(StudyConfig, data, "")
    _check_acting(study, more)
    return study


def _check_acting(study: StudyConfig, changed: Iterable[str]) -> None:
    """Refuse a change that every arm makes anew: it would seem to be made, and act in none."""
    for path in changed:
        for name, factor in study.factors.items():
            if all(any(_is_at_or_below(path, own) for own in level) for level in factor.changes.values()):
                raise ValueError(
                    f"--set {path}: every level of the factor {name!r} sets it anew. Change the levels in the file."
                )
        if isinstance(study.budget, EqualSeconds) and _is_at_or_below(path, "train.budget"):
            raise ValueError(
                f"--set {path}: the study's budget is in seconds and sets the steps of each arm. Change its `budget`."
            )


def _is_at_or_below(path: str, other: str) -> bool:
    return f"{path}.".startswith(f"{other}.")


def _merged(data: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return `data` with the tables of `over` merged into its own; anything else is replaced."""
    merged = dict(data)
    for name, value in over.items():
        here = merged.get(name)
        merged[name] = _merged(here, value) if isinstance(here, dict) and isinstance(value, dict) else value
    return merged
