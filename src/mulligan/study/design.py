"""From a study to its arms: which combination of levels is run, and the recipe of each. Torch-free.

An arm may differ from the baseline in what its levels say and in nothing else; a level that changes nothing is refused.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mulligan.core.canonical import Json
from mulligan.core.config import parse_config
from mulligan.core.difference import difference
from mulligan.recipe import Recipe, recipe_data, set_value
from mulligan.study.config import EqualSeconds, Factor, Fractional, OneAtATime, Script, StudyConfig
from mulligan.train.config import TokensBudget, TrainConfig

Levels = dict[str, str]


@dataclass(frozen=True)
class Arm:
    """One combination of levels, its whole recipe, and how that differs from the baseline's."""

    levels: Levels
    recipe: Recipe | Script
    difference: dict[str, tuple[Json, Json]]

    @property
    def name(self) -> str:
        """The levels in words: "qat=on, swa=off"."""
        return arm_name(self.levels)


def arm_name(levels: Mapping[str, str]) -> str:
    """Return "factor=level, factor=level"."""
    return ", ".join(f"{factor}={level}" for factor, level in levels.items())


def make_arms(study: StudyConfig) -> list[Arm]:
    """Return the arms, the baseline (every factor at its first level) first."""
    combinations = list(_combinations(study))
    baseline = baseline_levels(study)
    combinations.sort(key=lambda levels: levels != baseline)
    if combinations[0] != baseline:
        raise ValueError(f"The design has no arm {arm_name(baseline)}. Choose generators that contain the baseline.")
    recipes = [_recipe(study, levels) for levels in combinations]
    arms = [Arm(levels, recipe, _diff(recipes[0], recipe)) for levels, recipe in zip(combinations, recipes, strict=True)]
    for name, factor in study.factors.items():
        for level in list(factor.changes)[1:]:
            if not _diff(recipes[0], _recipe(study, {**baseline, name: level})):
                raise ValueError(
                    f"factor {name!r}: level {level!r} changes nothing: the recipe is that of the baseline level "
                    f"{baseline[name]!r}. Correct its changes, or remove the level."
                )
    _check_arms(study, arms)
    return arms


def _diff(one: Recipe | Script, other: Recipe | Script) -> dict[str, tuple[Json, Json]]:
    return difference(one.model_dump(mode="json"), other.model_dump(mode="json"))


def baseline_levels(study: StudyConfig) -> Levels:
    """Return the first level of each factor."""
    return {name: next(iter(factor.changes)) for name, factor in study.factors.items()}


def _combinations(study: StudyConfig) -> Iterator[Levels]:
    if isinstance(study.design, OneAtATime):
        baseline = baseline_levels(study)
        yield baseline
        for name, factor in study.factors.items():
            yield from ({**baseline, name: level} for level in list(factor.changes)[1:])
    elif isinstance(study.design, Fractional):
        yield from _fraction(study.design.generators, study.factors)
    else:
        for levels in itertools.product(*(factor.changes for factor in study.factors.values())):
            yield dict(zip(study.factors, levels, strict=True))


def _fraction(generators: str, factors: Mapping[str, Factor]) -> Iterator[Levels]:
    from pydoe import fracfact

    more = [name for name, factor in factors.items() if len(factor.changes) != 2]
    if more or len(generators.split()) != len(factors):
        raise ValueError(
            f"design.generators = {generators!r} for the factors {list(factors)}: give one word per "
            f"factor, and factors of two levels" + (f" (not so: {more})." if more else ".")
        )
    for row in fracfact(generators):
        signs = zip(factors.items(), row, strict=True)
        yield {name: list(factor.changes)[int(sign < 0)] for (name, factor), sign in signs}


def alias_table(study: StudyConfig) -> list[str]:
    """Return which effects a fractional design cannot tell apart, such as "qat = clip x swa"; empty for other designs."""
    if not isinstance(study.design, Fractional):
        return []
    from pydoe import fracfact, fracfact_aliasing

    aliases, _ = fracfact_aliasing(fracfact(study.design.generators))
    names = list(study.factors)
    terms = [line.split(" = ") for line in aliases if "=" in line]
    return [" = ".join(" x ".join(names[ord(letter) - ord("a")] for letter in term) for term in line) for line in terms]


def _recipe(study: StudyConfig, levels: Levels) -> Recipe | Script:
    if isinstance(study.recipe, Script):
        return _with_variables(study, study.recipe, levels)
    data = recipe_data(study.recipe)
    for path, value in study.changes.items():
        set_value(data, path, value, f"changes.{path}")
    for name, factor in study.factors.items():
        for path, value in factor.changes[levels[name]].items():
            set_value(data, path, value, f"factor {name!r}, level {levels[name]!r}: {path}")
    if isinstance(study.budget, EqualSeconds):
        steps = num_steps(study.budget, levels)
        set_value(data, "train.budget", {"kind": "steps", "steps": steps}, "budget")
    return parse_config(Recipe, data, f"{study.recipe} with {arm_name(levels)}")


def _with_variables(study: StudyConfig, script: Script, levels: Levels) -> Script:
    """Return the script with the environment of one arm; variables are text, as the system has them."""
    given = [study.changes, *(factor.changes[levels[name]] for name, factor in study.factors.items())]
    variables = {name: _text(value) for change in given for name, value in change.items()}
    return script.replace(environment={**script.environment, **variables})


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def num_steps(budget: EqualSeconds, levels: Mapping[str, str]) -> int:
    """Return the steps that an arm trains in the time: at the milliseconds of its dearest level, else the control's."""
    names = {arm_name(levels), *(f"{factor}={level}" for factor, level in levels.items())}
    dear = [ms for name, ms in budget.step_ms.items() if name in names]
    return int(budget.seconds * 1000 / max(dear or [budget.step_ms["control"]]))


def _check_step_ms(budget: EqualSeconds, study: StudyConfig, arms: list[Arm]) -> None:
    levels = [f"{name}={level}" for name, factor in study.factors.items() for level in factor.changes]
    known = ["control", *levels, *(arm.name for arm in arms)]
    unknown = [name for name in budget.step_ms if name not in known]
    if unknown:
        raise ValueError(f"budget.step_ms names {unknown}, which is no level or arm. Allowed: {', '.join(known)}.")


def _check_arms(study: StudyConfig, arms: list[Arm]) -> None:
    changed = [path for factor in study.factors.values() for change in factor.changes.values() for path in change]
    if isinstance(study.budget, EqualSeconds):
        changed.append("train.budget")
    changed += [f"environment.{path}" for path in changed]
    for arm in arms:
        for path in arm.difference:
            if not any(f"{path.replace('+', '')}.".startswith(f"{known}.") for known in changed):
                raise ValueError(f"The arm {arm.name} differs from the baseline in {path}, which no factor names.")
    if len({arm.name for arm in arms}) < len(arms):
        raise ValueError("Two arms have one name: a level's name holds another's. Give levels names without ',' and '='.")
    if isinstance(study.budget, EqualSeconds):
        _check_step_ms(study.budget, study, arms)
    if not isinstance(study.budget, EqualSeconds):
        _check_equal(study.budget.kind, arms)


def _check_equal(kind: str, arms: list[Arm]) -> None:
    counts: dict[Any, list[str]] = {}
    for arm in arms:
        if isinstance(arm.recipe, Script):
            return  # what its variables mean is its own affair
        steps = arm.recipe.train.num_steps
        if steps is None:
            raise ValueError(
                f"The arm {arm.name} has a budget in seconds of clock, which no two runs spend alike. Give the study "
                'budget = { kind = "seconds", seconds = ..., step_ms = { control = ... } } instead.'
            )
        counts.setdefault(steps if kind == "steps" else _tokens(arm.recipe.train, steps), []).append(arm.name)
    if len(counts) > 1:
        given = "; ".join(f"{count:,}: {', '.join(names)}" for count, names in counts.items())
        raise ValueError(f'budget.kind = "{kind}" says that all arms train for as many {kind}, and they do not: {given}.')


def _tokens(train: TrainConfig, steps: int) -> int:
    """Return the tokens of a training; of a budget in tokens those asked for, which each arm rounds up to its last step."""
    return train.budget.tokens if isinstance(train.budget, TokensBudget) else train.batch_sizes.tokens(steps)
