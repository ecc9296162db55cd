"""Where README, submission.json and logs of one record disagree: each is listed with both sides, none is averaged away.

A stated figure agrees with a log's when they are equal at the digits in which it is stated.
"""

from collections.abc import Iterator, Sequence
from statistics import fmean

from mulligan.records.score import candidates, fingerprint, runs_of
from mulligan.records.stated import agrees
from mulligan.records.table import Row


def disagreements(rows: Sequence[Row]) -> list[Row]:
    """Return a finding for each disagreement among the rows of one record."""
    return [*_per_seed(rows), *_overall(rows), *_same_runs(rows)]


def _per_seed(rows: Sequence[Row]) -> Iterator[Row]:
    """Figures stated for a seed against the runs of that seed."""
    logged = [row for row in rows if row.kind == "run"]
    seeds = {row.seed for row in logged}
    unknown: set[int] = set()
    for row in rows:
        if row.kind != "stated" or row.seed is None or not seeds:
            continue
        if row.seed not in seeds:
            if row.seed not in unknown:
                unknown.add(row.seed)
                yield _finding("missing", f"no log of seed {row.seed}, of which figures are stated", row)
            continue
        comparable = [log for log in logged if log.seed == row.seed and log.name in _comparable(row)]
        if row.name == "milliseconds_per_step":
            comparable = [log for log in comparable if "/" not in log.text]
        if comparable and row.name != "seed" and not any(agrees(row, log.value) for log in comparable):
            yield _finding("disagreement", f"{_said(row)}; {_nearest(row, comparable)}", row)


def _overall(rows: Sequence[Row]) -> Iterator[Row]:
    """The figures of a whole record against single runs and against means over runs of one reading."""
    stated = [row for row in rows if row.kind == "stated" and row.seed is None and row.name != "milliseconds_per_step"]
    logged = [row for row in rows if row.kind == "run"]
    claim = next((row for row in stated if row.name == "bits_per_byte" and row.reading == "val_bpb"), None)
    sets = [found for found in candidates(rows, claim) if len(found) > 1]
    for row in stated:
        if claim and row.reading == "headline" and not (agrees(row, claim.value) or agrees(claim, row.value)):
            yield _finding("disagreement", f"{_said(row)}; {claim.file}, line {claim.line}, says {claim.text}", row)
        comparable = [log for log in logged if log.name in _comparable(row)]
        if any(agrees(row, log.value) for log in comparable):
            if row.name == "total_bytes":
                yield from _without_code(row, comparable)
            continue
        means = _means(comparable)
        if row.name in ("bits_per_byte", "nats_per_token"):
            means |= _means_of_sets(sets, logged, row.name)
        if comparable and not any(agrees(row, mean, slack=1.5) for mean in means.values()):
            yield _finding("disagreement", f"{_said(row)}; {_nearest(row, comparable)}{_nearest_mean(row, means)}", row)


def _without_code(row: Row, candidates: list[Row]) -> Iterator[Row]:
    """Bytes that are stated as the total and are the payload alone."""
    same = [log for log in candidates if agrees(row, log.value)]
    if all(log.name == "payload_bytes" for log in same):
        yield _finding(
            "disagreement", f"{_said(row)}: that is the payload without code in {same[0].file}, line {same[0].line}", row
        )


def _same_runs(rows: Sequence[Row]) -> Iterator[Row]:
    """Runs that say the same to the digit: one run in two files."""
    seen: dict[tuple[str, ...], Row] = {}
    for run, figures in runs_of(rows).items():
        mark = fingerprint(figures)
        if mark and mark in seen:
            yield _finding("same run twice", f"{run} says what {seen[mark].run} says; it counts once", figures[0], run)
        elif mark:
            seen[mark] = figures[0]


def _comparable(row: Row) -> tuple[str, ...]:
    return ("total_bytes", "payload_bytes") if row.name == "total_bytes" else (row.name,)


def _means(logs: Sequence[Row]) -> dict[str, float]:
    groups: dict[str, list[float]] = {}
    for log in logs:
        if log.value is not None:
            groups.setdefault(log.reading or log.name, []).append(log.value)
    return {name: fmean(values) for name, values in groups.items()}


def _said(row: Row) -> str:
    seed = "" if row.seed is None else f" for seed {row.seed}"
    return f"{row.text} is stated{seed} ({row.name}, {row.reading})"


def _means_of_sets(sets: Sequence[Sequence[Row]], logged: Sequence[Row], name: str) -> dict[str, float]:
    """Return the means of what may be scores (one row per run), in bits per byte or in nats per token."""
    values = {(row.run, row.reading): row.value for row in logged if row.name == name}
    found = {}
    for rows in sets:
        known = [value for row in rows if (value := values.get((row.run, row.reading))) is not None]
        if known:
            found[f"{rows[0].reading} of {', '.join(row.run for row in rows)}"] = fmean(known)
    return found


def _nearest(row: Row, logs: Sequence[Row]) -> str:
    found = min(
        (log for log in logs if log.value is not None), key=lambda log: abs((log.value or 0) - (row.value or 0)), default=None
    )
    if found is None:
        return "no log has a finite one"
    return f"the nearest in a log is {found.text} ({found.reading or found.name}; {found.file}, line {found.line})"


def _nearest_mean(row: Row, means: dict[str, float]) -> str:
    if not means:
        return ""
    name, mean = min(means.items(), key=lambda item: abs(item[1] - (row.value or 0)))
    return f", the nearest mean over runs {mean:.8g} ({name})"


def _finding(name: str, text: str, row: Row, run: str = "") -> Row:
    return Row("finding", name, text=text, run=run, seed=row.seed, file=row.file, line=row.line)
