"""Results in a CSV: choose rows, split a packed column into factors, gather {arm: {seed: value}}.

Lines that start with # are notes. A packed column such as `qat=1;swa=0;prune=5% (claimed)` gives the columns qat, swa and
prune; a note in parentheses at a value's end is left out of the level, and the packed column stays as it was.
"""

import csv
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from mulligan.compare.factorial import level_order

PUBLISHED = Path(__file__).with_name("published.csv")
SAME = ("metric", "unit", "eval_mode")
Row = dict[str, str]
Samples = dict[tuple[str, ...], dict[int, float]]


def read_rows(path: Path, *, where: Sequence[str] = (), split: str | None = None) -> list[Row]:
    """Return the rows of a CSV with a header, after `split_column` and `choose`; ValueError says what to mend."""
    if not path.is_file():
        raise ValueError(f"{path}: no such file. Give a CSV with a header: a column per factor, one for seeds, one for values.")
    with path.open(newline="", encoding="utf-8-sig") as lines:
        reader = csv.DictReader(line for line in lines if not line.startswith("#"))
        header = reader.fieldnames or []
        rows: list[Row] = []
        for row in reader:
            if None in row or None in row.values():
                raise ValueError(
                    f"{path}, row {len(rows) + 1} after the header: it has another number of cells than the {len(header)} of "
                    "the header. Quote cells that hold a comma."
                )
            rows.append({name.strip(): value.strip() for name, value in row.items()})
    if not rows:
        raise ValueError(f"{path}: no rows. A header and one line per run and metric are needed.")
    return choose(split_column(rows, split) if split else rows, where)


def split_column(rows: Sequence[Row], column: str) -> list[Row]:
    """Return the rows with `name=value` parts of a packed column (separated by `;`) as columns of their own.

    Text in parentheses may hold a `;`; parts without `=` name no factor and are passed over. ValueError where the column
    is missing or a part would hide a column that is there.
    """
    _check_column(rows, column)
    result = []
    for row in rows:
        parts = dict(_part(text) for text in re.split(r";(?![^(]*\))", row[column]) if "=" in text)
        hidden = [name for name in parts if name in row]
        if hidden:
            raise ValueError(f"{column} = {row[column]!r}: there is a column {hidden[0]} already. Rename one of the two.")
        result.append({**row, **parts})
    return result


def choose(rows: Sequence[Row], where: Sequence[str]) -> list[Row]:
    """Return the rows for which every condition holds: `column=value`, `column!=value`.

    Several `=` of one column mean any of their values. ValueError on an unknown column, or when nothing is left.
    """
    wanted: dict[str, list[str]] = {}
    unwanted: dict[str, list[str]] = {}
    for condition in where:
        column, equals, value = condition.partition("=")
        if not equals:
            raise ValueError(f"--where {condition}: write column=value or column!=value.")
        target = unwanted if column.endswith("!") else wanted
        target.setdefault(column.removesuffix("!").strip(), []).append(value.strip())
    kept = list(rows)
    for target, keep in ((wanted, True), (unwanted, False)):
        for column, values in target.items():
            _check_column(kept, column)
            left = [row for row in kept if (row.get(column) in values) is keep]
            if not left:
                found = sorted({row[column] for row in kept if column in row}, key=level_order)
                raise ValueError(
                    f"--where {column}{'=' if keep else '!='}{' or '.join(values)} leaves no row. Values of {column} "
                    f"there: {', '.join(found[:12])}{' ...' if len(found) > 12 else ''}."
                )
            kept = left
    return kept


def samples(rows: Sequence[Row], factors: Sequence[str], *, seed: str = "seed", value: str = "value") -> Samples:
    """Return {levels of the factors: {seed: value}}, arms in order of their levels.

    ValueError when a row lacks a factor, a seed is no integer, a value no finite number, an arm has two rows with one seed
    (naming the columns that tell them apart), or the rows mix metrics, units or ways of scoring.
    """
    if not factors:
        raise ValueError("No factor given: name the columns that tell the arms apart.")
    for name in (*factors, seed, value):
        _check_column(rows, name)
    _check_same(rows, factors, value)
    seen: dict[tuple[tuple[str, ...], int], Row] = {}
    for row in rows:
        lacking = [name for name in factors if name not in row]
        if lacking:
            raise ValueError(f"A row has no {', '.join(lacking)}: {_short(row)}. Leave it out with --where.")
        key = tuple(row[name] for name in factors), _seed(row, seed)
        if key in seen:
            raise ValueError(_duplicate(factors, key, seen[key], row, value))
        seen[key] = row
    arms: Samples = {}
    for (levels, number), row in sorted(seen.items(), key=lambda item: ([level_order(x) for x in item[0][0]], item[0][1])):
        arms.setdefault(levels, {})[number] = _value(row, value)
    return arms


def arm_name(factors: Sequence[str], levels: Sequence[str]) -> str:
    """Return `qat=1,swa=0`."""
    return ",".join(f"{name}={level}" for name, level in zip(factors, levels, strict=True))


def parse_arm(text: str, factors: Sequence[str], arms: Iterable[Sequence[str]], option: str) -> tuple[str, ...]:
    """Return the levels of the arm that `text` (`qat=1,swa=0`, any order) names; ValueError lists the arms there are."""
    given = dict(part.strip().split("=", 1) for part in text.split(",") if "=" in part)
    levels = tuple(given.get(name, "") for name in factors)
    known = [tuple(arm) for arm in arms]
    if set(given) != set(factors) or levels not in known:
        names = "; ".join(arm_name(factors, arm) for arm in known)
        raise ValueError(f"{option} {text}: no such arm. Write one of: {names}.")
    return levels


def _part(text: str) -> tuple[str, str]:
    name, _, level = text.partition("=")
    return name.strip(), re.sub(r"\s*\([^()]*\)\s*$", "", level).strip()


def _check_column(rows: Sequence[Mapping[str, str]], column: str) -> None:
    if not any(column in row for row in rows):
        there = sorted({name for row in rows for name in row})
        raise ValueError(
            f"No column {column!r}. Columns: {', '.join(there)}. Factors packed into one column need --split and its name."
        )


def _check_same(rows: Sequence[Row], factors: Sequence[str], value: str) -> None:
    for column in SAME:
        found = sorted({row[column] for row in rows if column in row and column not in (*factors, value)})
        if len(found) > 1:
            raise ValueError(
                f"The rows mix {len(found)} values of {column}: {', '.join(found[:8])}. Scores compare only where they agree; "
                f"choose one with --where {column}={found[0]}, or make {column} a factor."
            )


def _seed(row: Row, column: str) -> int:
    try:
        return int(row.get(column, ""))
    except ValueError:
        raise ValueError(f"{column} = {row.get(column)!r} is no integer, in the row {_short(row)}.") from None


def _value(row: Row, column: str) -> float:
    try:
        number = float(row.get(column, ""))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(
            f"{column} = {row.get(column)!r} is no finite number, in the row {_short(row)}. Leave the run out with --where and "
            "say so."
        )
    return number


def _duplicate(factors: Sequence[str], key: tuple[tuple[str, ...], int], one: Row, other: Row, value: str) -> str:
    apart = [name for name in one if name != value and one[name] != other.get(name)]
    told = "; ".join(f"{name}: {one[name]!r} and {other.get(name)!r}" for name in apart)
    do = "Keep one with --where, or make one of these columns a factor." if apart else "Remove one of the two."
    return (
        f"The arm {arm_name(factors, key[0])} has two rows with seed {key[1]} ({value} {one[value]} and {other.get(value)}). "
        f"They differ in {told or 'nothing else'}. {do}"
    )


def _short(row: Row) -> str:
    return ", ".join(f"{name}={value}" for name, value in row.items())
