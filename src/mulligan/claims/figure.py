"""Published figures by condition, and what is computed from them: the declared questions of the ledger.

A question names rows of `compare/published.csv` by conditions (`column=value`, `column!=value`) and how they are compared. The
number is computed when it is asked for, by `mulligan.compare`, and stands nowhere else.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from statistics import fmean, stdev
from typing import Annotated, Any, Literal

from pydantic import Field

from mulligan.compare.contrast import PAIRED, UNTESTED, WELCH, Contrast, paired, untested, welch
from mulligan.compare.factorial import factorial
from mulligan.compare.record import record
from mulligan.compare.table import PUBLISHED, SAME, Row, choose, read_rows, samples, split_column
from mulligan.core.config import FrozenConfig

Where = Annotated[tuple[str, ...], Field(min_length=1, description="Conditions on rows: column=value or column!=value.")]


class Gap(FrozenConfig):
    """A difference within each run: rows of one reading minus rows of another, paired by seed."""

    of: Where
    minus: Where


class Difference(FrozenConfig):
    """One arm minus another: paired by seed, by Welch's test, or bare where there is one run of each."""

    kind: Literal["difference"]
    name: str
    of: Where | Gap
    minus: Where | Gap
    test: Literal["paired", "welch", "none"]


class Interaction(FrozenConfig):
    """One effect of the full factorial over packed `config` columns, its levels counted from the baseline."""

    kind: Literal["factorial"]
    name: str
    where: Where
    baseline: dict[str, str]
    effect: str = Field(description='Such as "qat 0->1 x swa 0->1".')
    block_by_seed: bool = True


class RecordRule(FrozenConfig):
    """A one-sided test against a reference: `written, fixed reference` and `written, Welch` with a margin, or `applied`."""

    kind: Literal["record"]
    name: str
    reference: Where
    of: Where
    rule: Literal["written, fixed reference", "written, Welch", "applied"]
    loss: Where = Field(description="Nats per token of the same runs as `of`, which give nats per bit per byte.")


class Mean(FrozenConfig):
    """The mean of rows, or their one value."""

    kind: Literal["mean"]
    name: str
    of: Where


class Spread(FrozenConfig):
    """The sample standard deviation of two rows or more."""

    kind: Literal["spread"]
    name: str
    of: Where


class Least(FrozenConfig):
    """The smallest gain of a run: the mean of `reference` minus its value."""

    kind: Literal["least-gain"]
    name: str
    of: Where
    reference: Where


class Count(FrozenConfig):
    """How many rows lie above a limit, of how many."""

    kind: Literal["count"]
    name: str
    of: Where
    above: int = Field(description="The limit, in the rows' unit: a rule's, never a result.")


class Ratio(FrozenConfig):
    """One computed number divided by another."""

    kind: Literal["ratio"]
    name: str
    of: "Difference | Mean | Spread"
    to: "Difference | Mean | Spread"


Question = Annotated[Difference | Interaction | RecordRule | Mean | Spread | Least | Count | Ratio, Field(discriminator="kind")]


@dataclass(frozen=True)
class Answer:
    """A computed number with its unit and, where it was tested, interval (1 - alpha = 0.95), t, df and p; `n` runs."""

    name: str
    value: float
    unit: str
    test: str
    n: str
    low: float | None = None
    high: float | None = None
    t: float | None = None
    df: float | None = None
    p: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON data."""
        return asdict(self)


@functools.cache
def published_rows() -> tuple[Row, ...]:
    """Return every row of the shipped table of published figures."""
    return tuple(read_rows(PUBLISHED))


def chosen(where: Sequence[str]) -> list[Row]:
    """Return the published rows that meet all conditions; ValueError where a column is unknown or nothing is left."""
    return choose(published_rows(), where)


def answer(question: Question) -> Answer:
    """Compute a question from the published rows; ValueError where rows are missing, or are not what it needs."""
    found: Answer = _ANSWERS[question.kind](question)
    return found


def _runs(of: Where | Gap) -> dict[int, float]:
    """Return {seed: value}; rows must agree in metric, unit and way of scoring, with one row a seed."""
    if isinstance(of, Gap):
        one, other = _runs(of.of), _runs(of.minus)
        return {seed: one[seed] - other[seed] for seed in one if seed in other}
    _values(of)
    return next(iter(samples(chosen(of), ["metric"]).values()))


def _unit(of: Where | Gap) -> str:
    return chosen(of.of if isinstance(of, Gap) else of)[0]["unit"]


def _difference(question: Difference) -> Answer:
    if question.test == "paired":
        found = paired(question.name, _runs(question.minus), _runs(question.of))
        return _tested(found, _unit(question.of), f"{found.n}")
    values, others = _values(question.of), _values(question.minus)
    found = (welch if question.test == "welch" else untested)(question.name, others, values)
    return _tested(found, _unit(question.of), f"{len(values)} + {len(others)}")


def _tested(found: Contrast, unit: str, n: str) -> Answer:
    words = {PAIRED: "paired t", WELCH: "Welch t", UNTESTED: ""}
    test = words.get(found.method, found.method)
    if found.n < 2:
        return Answer(found.name, found.estimate, unit, test, n)
    t = found.t if math.isfinite(found.t) else None
    return Answer(found.name, found.estimate, unit, test, n, found.low, found.high, t, found.df, found.p)


def _factorial(question: Interaction) -> Answer:
    factors = list(question.baseline)
    rows = split_column(chosen(question.where), "config")
    arms = samples(rows, factors)
    data = [
        {**dict(zip(factors, arm, strict=True)), "seed": seed, "value": value}
        for arm, runs in arms.items()
        for seed, value in runs.items()
    ]
    fit = factorial(data, factors, baseline=question.baseline, block_by_seed=question.block_by_seed)
    effects = {effect.name: effect for effect in (*fit.main, *fit.interactions, *fit.simple)}
    if question.effect not in effects:
        raise ValueError(f"effect = {question.effect!r}: no such effect. There are: {'; '.join(effects)}.")
    found = replace(effects[question.effect], name=question.name)
    return _tested(found, rows[0]["unit"], f"{len(fit.seeds)} in each of {len(arms)} arms")


def _record(question: RecordRule) -> Answer:
    reference, of = list(_runs(question.reference).values()), list(_runs(question.of).values())
    factor = fmean(_runs(question.loss).values()) / fmean(of)
    found = record(reference, of, unit="bits per byte", nats_per_bpb=factor)
    rule = found.rule(question.rule)
    margin = 0.0 if question.rule == "applied" else found.margin_bpb
    value = fmean(of) - fmean(reference) + margin
    n = f"{len(of)} + {len(reference)}"
    return Answer(question.name, value, "bpb", rule.test, n, df=rule.df, p=rule.p)


def _values(of: Where | Gap) -> list[float]:
    """Return values of rows that agree in metric, unit and way of scoring; several rows of one seed are several values."""
    if isinstance(of, Gap):
        return list(_runs(of).values())
    rows = chosen(of)
    for column in SAME:
        found = sorted({row[column] for row in rows})
        if len(found) > 1:
            raise ValueError(f"The rows of {', '.join(of)} mix {column}: {', '.join(found)}. Add a condition.")
    return [float(row["value"]) for row in rows]


def _mean(question: Mean) -> Answer:
    values = _values(question.of)
    return Answer(question.name, fmean(values), _unit(question.of), "", f"{len(values)}")


def _spread(question: Spread) -> Answer:
    values = _values(question.of)
    if len(values) < 2:
        raise ValueError(f"{question.name}: a spread needs two rows or more, and {', '.join(question.of)} leaves one.")
    return Answer(question.name, stdev(values), _unit(question.of), "sample standard deviation", f"{len(values)}")


def _least(question: Least) -> Answer:
    gains = [fmean(_values(question.reference)) - value for value in _values(question.of)]
    return Answer(question.name, min(gains), _unit(question.of), "", f"{len(gains)}")


def _count(question: Count) -> Answer:
    values = _values(question.of)
    above = sum(value > question.above for value in values)
    return Answer(question.name, above, f"of {len(values)}", "", f"{len(values)}")


def _ratio(question: Ratio) -> Answer:
    of, to = answer(question.of), answer(question.to)
    return Answer(question.name, of.value / to.value, "ratio", "", of.n)


_ANSWERS: dict[str, Any] = {
    "difference": _difference,
    "factorial": _factorial,
    "record": _record,
    "mean": _mean,
    "spread": _spread,
    "least-gain": _least,
    "count": _count,
    "ratio": _ratio,
}
