"""Which figures of its logs are a record's score: one per run, all of one reading, and those that its claim speaks of."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from mulligan.records.stated import agrees
from mulligan.records.table import Row

SEED_IN_LABEL = re.compile(r"(?<![A-Za-z0-9])(?:seed_?)?\d+(?![A-Za-z0-9])")


@dataclass(frozen=True)
class Score:
    """The rows of a score, one per run; `how` says whether they are of logs, or only stated per seed, or one claimed number.

    `agrees`: their mean, or one of them, is the claimed score at its digits (None: nothing is claimed).
    """

    rows: tuple[Row, ...]
    how: str
    agrees: bool | None

    @property
    def values(self) -> list[float]:
        """Bits per byte, one per run."""
        return [row.value for row in self.rows if row.value is not None]

    @property
    def is_one_run_per_seed(self) -> bool:
        """Whether every run has another seed; arms of an ablation mostly repeat them."""
        return len({row.seed for row in self.rows}) == len(self.rows)


def claim_of(rows: Sequence[Row]) -> Row | None:
    """Return the score that a record claims: submission.json's, else the README's headline."""
    stated = [row for row in rows if row.kind == "stated" and row.name == "bits_per_byte" and row.seed is None]
    for pattern in (r"^val_bpb$", r"^(?:mean_(?:val_)?bpb|val_bpb_\w+)$", r"^headline$"):
        if found := [row for row in stated if re.match(pattern, row.reading)]:
            return found[0]
    return None


def score_of(rows: Sequence[Row]) -> Score | None:
    """Return the score of one record; None where there is no figure at all.

    The runs of one reading (one per log, the later readings first), or of one stated list of seeds; of these the set whose
    mean is the claim at its digits, else that with a run which is, else the set whose mean is nearest.
    """
    claim = claim_of(rows)
    sets = [found for found in candidates(rows, claim) if found]
    if not sets:
        stated = [group for group in stated_groups(rows) if group]
        if stated:
            chosen: list[Row] = min(stated, key=lambda group: _distance(group, claim))
            return Score(tuple(chosen), "stated per seed", _mean_agrees(chosen, claim))
        return Score((claim,), "claimed", None) if claim else None
    if claim is None:
        return Score(tuple(sets[0]), "logs", None)
    found = [group for group in sets if _mean_agrees(group, claim)] or [group for group in sets if _one_agrees(group, claim)]
    if found:
        longest: list[Row] = max(found, key=len)
        return Score(tuple(longest), "logs", True)
    nearest: list[Row] = min(sets, key=lambda group: _distance(group, claim))
    return Score(tuple(nearest), "logs", False)


def candidates(rows: Sequence[Row], claim: Row | None) -> Iterator[list[Row]]:
    """Yield sets of bits per byte, one row per run: the last readings first, then the stated lists of seeds as logged."""
    runs = distinct_runs(rows)
    scores = [row for figures in runs.values() for row in figures if row.name == "bits_per_byte" and row.value is not None]
    readings = list(dict.fromkeys(row.reading for row in reversed(scores) if row.reading != "last validation"))
    shared = {name: len({row.run for row in scores if row.reading == name}) for name in readings}
    for name in sorted(readings, key=lambda name: (-shared[name], -_rank(scores, name))):
        yield _one_per_log([row for row in scores if row.reading == name], claim)
    for group in stated_groups(rows):
        found = [_logged(stated, scores) for stated in group]
        if len(found) > 1 and all(found):
            yield [row for row in found if row]


def stated_groups(rows: Sequence[Row]) -> list[list[Row]]:
    """Return the lists of scores that are stated seed by seed, each as one column of README or submission.json has it."""
    groups: dict[tuple[str, str], dict[int, Row]] = {}
    for row in rows:
        if row.kind == "stated" and row.name == "bits_per_byte" and row.seed is not None:
            label = SEED_IN_LABEL.sub("*", row.reading) if row.file.endswith(".json") else row.reading
            groups.setdefault((row.file, label), {}).setdefault(row.seed, row)
    return [list(group.values()) for group in groups.values()]


def distinct_runs(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return {run: its figures} without runs that say what an earlier one says; logs named for a seed come first."""
    seen: set[tuple[str, ...]] = set()
    runs = {}
    for run, figures in runs_of(rows).items():
        mark = fingerprint(figures)
        if not mark or mark not in seen:
            runs[run] = figures
            seen.add(mark)
    return runs


def runs_of(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return {run: its figures}: logs named for a seed first, logs of several runs last, then by name."""
    runs: dict[str, list[Row]] = {}
    for row in rows:
        if row.kind == "run":
            runs.setdefault(row.run, []).append(row)
    several = {run.partition("#")[0] for run in runs if "#" in run}
    return dict(sorted(runs.items(), key=lambda item: ("seed" not in item[0].lower(), item[0].partition("#")[0] in several)))


def fingerprint(figures: Sequence[Row]) -> tuple[str, ...]:
    """Return what tells a run apart: the digits of its readings and its clock; empty where there is no reading."""
    scores = [f"{row.reading} {row.text}" for row in figures if row.name == "nats_per_token"]
    return tuple(sorted([*scores, *(row.text for row in figures if row.name == "train_seconds")])) if scores else ()


def _rank(scores: Sequence[Row], reading: str) -> int:
    return max(row.line or 0 for row in scores if row.reading == reading)


def _one_per_log(group: list[Row], claim: Row | None) -> list[Row]:
    """Of several runs of one seed in one log keep the one that is claimed, else the last: the others were attempts."""
    kept: dict[tuple[str, int | None], Row] = {}
    for row in group:
        key = row.file, row.seed
        if key not in kept or not (claim and agrees(claim, kept[key].value)):
            kept[key] = row
    return list(kept.values())


def _logged(stated: Row, scores: Sequence[Row]) -> Row | None:
    """Return the log's row for a stated score of a seed, in its longest digits."""
    found = [row for row in scores if row.seed == stated.seed and agrees(stated, row.value)]
    return max(found, key=lambda row: len(row.text), default=None)


def _mean_agrees(group: Sequence[Row], claim: Row | None) -> bool:
    return claim is not None and agrees(claim, fmean(row.value or 0.0 for row in group), slack=1.5)


def _one_agrees(group: Sequence[Row], claim: Row) -> bool:
    return any(agrees(claim, row.value) for row in group)


def _distance(group: Sequence[Row], claim: Row | None) -> float:
    return abs(fmean(row.value or 0.0 for row in group) - (claim.value or 0.0)) if claim else 0.0
