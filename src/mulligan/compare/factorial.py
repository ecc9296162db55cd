"""Main effects and two-way interactions of a full factorial, from one linear model with or without seeds as blocks.

The model is saturated in the factors (statsmodels OLS, sum-coded); every effect is a contrast of its cell means. A main
effect is a level against the baseline level, averaged over the other factors; an interaction is the difference of differences
at full size, d11 - d10 - d01 + d00; a simple effect holds the other factors at one cell. Seeds that lack a cell are left
out and named, so what is fitted is balanced. Full effect names: `qat 0->1`, `qat 0->1 x swa 0->1`, `qat 0->1 at swa=1`.
"""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import statsmodels.api as sm
import statsmodels.formula.api as smf

from mulligan.compare.check import check_alpha
from mulligan.compare.contrast import Contrast, check_finite, make_contrast, without_rounding

Cell = tuple[str, ...]
Weights = dict[Cell, float]


@dataclass(frozen=True)
class AnovaRow:
    """One line of the F table (type 2): a factor or product of factors, its degrees of freedom, F and p."""

    term: str
    df: float
    f: float
    p: float


@dataclass(frozen=True)
class Factorial:
    """A fitted factorial: levels per factor with the baseline first, seeds used and left out, effects and F table."""

    levels: dict[str, tuple[str, ...]]
    block_by_seed: bool
    seeds: tuple[int, ...]
    dropped_seeds: tuple[int, ...]
    residual_sd: float
    df: float
    main: tuple[Contrast, ...]
    interactions: tuple[Contrast, ...]
    simple: tuple[Contrast, ...]
    anova: tuple[AnovaRow, ...]


def factorial(
    rows: Iterable[Mapping[str, Any]],
    factors: Sequence[str],
    *,
    baseline: Mapping[str, str] | None = None,
    block_by_seed: bool = True,
    alpha: float = 0.05,
) -> Factorial:
    """Fit rows {"seed": int, factor: level, ..., "value": float}, one per cell and seed.

    `baseline` names the level to compare with per factor (default: the first in order). ValueError when a cell has no row
    or two rows with one seed, a factor has one level, or fewer than two seeds have every cell.
    """
    check_alpha(alpha)
    values = _values(list(rows), factors)
    levels = _levels(values, factors, baseline or {})
    cells = list(itertools.product(*levels.values()))
    missing = [cell for cell in cells if cell not in {cell for cell, _ in values}]
    if missing:
        raise ValueError(
            f"The factors {', '.join(factors)} form no full factorial: no run with "
            f"{'; '.join(_cell_name(factors, cell) for cell in missing)}. Run it, or drop a factor or level."
        )
    present = sorted({seed for _, seed in values})
    seeds = [seed for seed in present if all((cell, seed) in values for cell in cells)]
    if len(seeds) < 2:
        raise ValueError(
            f"Of the seeds {present} only {seeds} have a run in each of the {len(cells)} cells; a factorial needs two or more."
            " Run the missing ones."
        )
    frame = pd.DataFrame(
        [[seed, values[cell, seed], *cell] for cell in cells for seed in seeds],
        columns=["seed", "value", *(f"f{i}" for i in range(len(factors)))],
    )
    product = "*".join(f"C(f{i}, Sum)" for i in range(len(factors)))
    model = smf.ols(f"value ~ {'C(seed) + ' if block_by_seed else ''}{product}", frame).fit()
    sd = without_rounding(math.sqrt(max(float(model.mse_resid), 0.0)), list(values.values()))
    fit = _Fit(model, sd, cells, seeds, values, alpha, block_by_seed)
    return Factorial(
        levels,
        block_by_seed,
        tuple(seeds),
        tuple(seed for seed in present if seed not in seeds),
        sd,
        float(model.df_resid),
        tuple(fit.effect(name, weights) for name, weights in _main_effects(levels, cells)),
        tuple(fit.effect(name, weights) for name, weights in _interactions(levels, cells)),
        tuple(fit.effect(name, weights) for name, weights in _simple_effects(levels, cells)),
        _anova(model, sd, factors, max(abs(value) for value in values.values())),
    )


@dataclass(frozen=True)
class _Fit:
    model: Any
    sd: float
    cells: list[Cell]
    seeds: list[int]
    values: dict[tuple[Cell, int], float]
    alpha: float
    block_by_seed: bool

    def effect(self, name: str, weights: Weights) -> Contrast:
        """Return the contrast of cell means with these weights; its differences are the same contrast of each seed."""
        n = len(self.seeds)
        exog = np.asarray(self.model.model.exog).reshape(len(self.cells), n, -1).mean(axis=1)
        vector = np.array([weights.get(cell, 0.0) for cell in self.cells]) @ exog
        each = [sum(weight * self.values[cell, seed] for cell, weight in weights.items()) for seed in self.seeds]
        method = f"factorial, {'seeds as blocks' if self.block_by_seed else 'seeds not blocked'}"
        df = float(self.model.df_resid)
        if self.sd == 0:
            estimate = math.fsum(each) / n
            estimate = math.copysign(without_rounding(abs(estimate), list(self.values.values())), estimate)
            return make_contrast(name, method, estimate, 0.0, df, n, self.alpha, None, None, each, self.seeds)
        tested = self.model.t_test(vector)
        estimate, se, t, p = (float(np.ravel(x)[0]) for x in (tested.effect, tested.sd, tested.tvalue, tested.pvalue))
        return make_contrast(name, method, estimate, se, df, n, self.alpha, t, p, each, self.seeds)


def _values(rows: list[Mapping[str, Any]], factors: Sequence[str]) -> dict[tuple[Cell, int], float]:
    if not factors or len(set(factors)) != len(factors) or {"seed", "value"} & set(factors):
        raise ValueError(f"factors = {list(factors)}: give one or more names, each once, none of them seed or value.")
    values: dict[tuple[Cell, int], float] = {}
    for row in rows:
        lacking = [name for name in ("seed", "value", *factors) if name not in row]
        if lacking:
            raise ValueError(f"A row has no {', '.join(lacking)}: {dict(row)}. Give seed, value and every factor in each row.")
        key = tuple(str(row[name]) for name in factors), int(row["seed"])
        if key in values:
            raise ValueError(
                f"Two rows with {_cell_name(factors, key[0])} and seed {key[1]}: {values[key]} and {row['value']}. "
                "Keep one, or name what tells them apart as a factor."
            )
        values[key] = float(row["value"])
    check_finite("factorial", {seed: value for (_, seed), value in values.items() if not math.isfinite(value)})
    return values


def _levels(
    values: dict[tuple[Cell, int], float], factors: Sequence[str], baseline: Mapping[str, str]
) -> dict[str, tuple[str, ...]]:
    unknown = [name for name in baseline if name not in factors]
    if unknown:
        raise ValueError(f"baseline names {', '.join(unknown)}, which is no factor. The factors are {', '.join(factors)}.")
    levels: dict[str, tuple[str, ...]] = {}
    for i, name in enumerate(factors):
        found = sorted({cell[i] for cell, _ in values}, key=level_order)
        first = str(baseline.get(name, found[0] if found else ""))
        if first not in found:
            raise ValueError(f"baseline {name}={first}: there is no run with it. Levels of {name}: {', '.join(found)}.")
        if len(found) < 2:
            raise ValueError(f"The factor {name} has the one level {found[0]}; an effect needs two. Leave the factor out.")
        levels[name] = (first, *(level for level in found if level != first))
    return levels


def level_order(level: str) -> tuple[int, float, str]:
    """Return a sorting key: numbers in order of size, then words in alphabetical order."""
    try:
        return 0, float(level), level
    except ValueError:
        return 1, 0.0, level


def _main_effects(levels: dict[str, tuple[str, ...]], cells: list[Cell]) -> Iterable[tuple[str, Weights]]:
    for i, (name, (first, *others)) in enumerate(levels.items()):
        for level in others:
            share = len(levels[name]) / len(cells)
            yield (
                f"{name} {first}->{level}",
                {cell: _sign(cell[i], first, level) * share for cell in cells if cell[i] in (first, level)},
            )


def _interactions(levels: dict[str, tuple[str, ...]], cells: list[Cell]) -> Iterable[tuple[str, Weights]]:
    for (i, (f, (f0, *fs))), (j, (g, (g0, *gs))) in itertools.combinations(enumerate(levels.items()), 2):
        share = (len(fs) + 1) * (len(gs) + 1) / len(cells)
        for a, b in itertools.product(fs, gs):
            yield (
                f"{f} {f0}->{a} x {g} {g0}->{b}",
                {
                    cell: _sign(cell[i], f0, a) * _sign(cell[j], g0, b) * share
                    for cell in cells
                    if cell[i] in (f0, a) and cell[j] in (g0, b)
                },
            )


def _simple_effects(levels: dict[str, tuple[str, ...]], cells: list[Cell]) -> Iterable[tuple[str, Weights]]:
    names = list(levels)
    for i, (name, (first, *others)) in enumerate(levels.items()):
        for cell, level in itertools.product((cell for cell in cells if cell[i] == first), others):
            if len(names) > 1:
                where = ",".join(f"{n}={x}" for k, (n, x) in enumerate(zip(names, cell, strict=True)) if k != i)
                yield f"{name} {first}->{level} at {where}", {cell: -1.0, (*cell[:i], level, *cell[i + 1 :]): 1.0}


def _sign(level: str, first: str, other: str) -> float:
    return {first: -1.0, other: 1.0}[level]


def _anova(model: Any, sd: float, factors: Sequence[str], largest: float) -> tuple[AnovaRow, ...]:
    with np.errstate(all="ignore" if sd == 0 else "warn"):
        table = sm.stats.anova_lm(model, typ=2)
    rows = []
    for term, line in table.iterrows():
        if term in ("Residual", "C(seed)"):
            continue
        names = [factors[int(part.split(",")[0].removeprefix("C(f"))] for part in str(term).split(":")]
        f, p = float(line["F"]), float(line["PR(>F)"])
        if sd == 0:
            moved = without_rounding(math.sqrt(float(line["sum_sq"])), [largest]) > 0
            f, p = (math.inf, 0.0) if moved else (0.0, 1.0)
        rows.append(AnovaRow(" x ".join(names), float(line["df"]), f, p))
    return tuple(rows)


def _cell_name(factors: Sequence[str], cell: Cell) -> str:
    return ",".join(f"{name}={level}" for name, level in zip(factors, cell, strict=True))
