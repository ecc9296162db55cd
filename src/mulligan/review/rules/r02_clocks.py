"""Training or evaluation took longer than ten minutes, or calibrated on training text after its clock had stopped.

What it finds       By each run's log: a training clock over 600 s (by more than two steps
                    and half a second); the claimed reading, with what was
                    computed for it outside of its own clock, over 600 s; calibration on training text whose seconds, added to
                    the training's, are over 600. All readings together over 600 s is a warning, since some are diagnostics.
                    Seconds that submission.json states count where no log does. Of a non-record, every finding is a warning.
Why it matters      Both limits are written rules; what an untimed third phase computes is compute that others do not have.
Example             "stopping_early: wallclock_cap train_time:600010ms", then "gptq:calibrated on training data in 3.9s".
What it cannot see  Work that no line times, such as compiling or packing; the hardware; whether the log is the run's own.
Source              README of the challenge; rulings on GPTQ and calibration of 2026-03-24.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from mulligan.records.table import Row
from mulligan.review.evidence import Evidence, LoggedRun
from mulligan.review.finding import Finding, NotChecked, Severity
from mulligan.review.subject import Subject
from mulligan.submit.check_seeds import LIMIT_SECONDS
from mulligan.submit.seed_log import OTHER_WEIGHTS

CODE = "R2"
STATED_SECONDS = re.compile(r"(?:^|[._])(train|training|eval|evaluation)(?:_time)?_s(?:ec|econds)?$", re.IGNORECASE)
HALF_A_SECOND, STATED_SLACK = 0.5, 1.0
"""Seconds by which a training may be over, as logged and as stated: it asks the clock between steps, in several processes."""
CALIBRATION = re.compile(r"^\W*\w*(?:gptq|hessian|calib)", re.IGNORECASE)
TRAINING_TEXT = re.compile(r"\btrain(?:ing)?[-_ ](?:data|shards?|tokens|set|batches|loader)", re.IGNORECASE)
OWN_TEXT = re.compile(r"autoregressive|self[-_ ]?gen|\bAR\b|random tokens|synthetic", re.IGNORECASE)
NONE_OF_IT = re.compile(r"without|skip|disabled|reserv", re.IGNORECASE)
TOOK = re.compile(r"\b(?:in|elapsed|time|took)\s*[:=]?\s*(\d+(?:\.\d+)?)\s*(ms|s)\b", re.IGNORECASE)
OUTSIDE = re.compile(r"outside[-_ ]\w*timer|untimed", re.IGNORECASE)


@dataclass(frozen=True)
class Phases:
    """What a log says after the last step: seconds of calibration by its text, with the line that says it; 0: not said."""

    training_text: tuple[float, int | None] = (0.0, None)
    own_text: tuple[float, int | None] = (0.0, None)
    unknown_text: tuple[float, int | None] = (0.0, None)
    outside: tuple[float, int | None] = (0.0, None)


def check(subject: Subject) -> Iterator[Finding | NotChecked]:
    """Find clocks over the limit in the logs, or in submission.json where no log has one."""
    evidence = Evidence(subject.folder)
    found = [one for run in evidence.runs for one in _of_run(evidence, run)]
    timed = {name for run in evidence.claimed for name in run.figures.keys() & {"train_seconds"}}
    timed |= {"eval" for run in evidence.claimed if run.seconds or "eval_seconds" in run.figures}
    stated = [] if timed >= {"train_seconds", "eval"} else list(_stated(evidence, timed))
    for one in (*found, *stated):
        if isinstance(one, Finding) and not evidence.is_record:
            one = replace(one, severity="warning")
        yield one


def _of_run(evidence: Evidence, run: LoggedRun) -> Iterator[Finding]:
    severity: Severity = "violation" if run.is_claimed else "warning"
    phases = read_phases(evidence, run)
    slack = HALF_A_SECOND + 2e-3 * (run.value("milliseconds_per_step") or 0.0)
    trained = run.value("train_seconds")
    if trained is not None and trained > LIMIT_SECONDS + slack:
        line = run.figures["train_seconds"].line
        yield Finding(CODE, "evidence", severity, run.file, line, f"training took {trained:.1f} s, {_excess(trained)}")
    sorts: tuple[tuple[str, tuple[float, int | None], Severity], ...] = (
        ("training text", phases.training_text, severity),
        ("text that it does not name", phases.unknown_text, "warning"),
    )
    for text, (seconds, line), sure in sorts:
        if trained is None or line is None:
            continue
        if trained + seconds > LIMIT_SECONDS + slack or (not seconds and trained > LIMIT_SECONDS - HALF_A_SECOND):
            took = f"{seconds:.1f} s more" if seconds else "seconds that no line gives"
            message = f"calibration on {text} took {took} after training's clock stopped at {trained:.1f} s: over 600 in all"
            yield Finding(CODE, "evidence", sure, run.file, line, message)
    yield from _evaluation(evidence, run, phases)


def _evaluation(evidence: Evidence, run: LoggedRun, phases: Phases) -> Iterator[Finding]:
    readings = {name: row for name, row in run.seconds.items() if not OTHER_WEIGHTS.search(name) and row.value is not None}
    row = _claimed_seconds(evidence, run) or max(readings.values(), key=lambda row: row.value or 0.0, default=None)
    total = run.figures.get("eval_seconds")
    if total is not None and total.value is not None and (row is None or total.value > (row.value or 0.0)):
        row = total
    if row is None or row.value is None:
        return
    severity: Severity = "violation" if run.is_claimed else "warning"
    more = phases.own_text[0] + phases.outside[0]
    extra = f" with {more:.1f} s of what it needs before" if more else ""
    if row.value + more > LIMIT_SECONDS:
        message = f"evaluation took {row.value + more:.1f} s{extra}, {_excess(row.value + more)}"
        yield Finding(CODE, "evidence", severity, run.file, row.line, message)
        return
    together = sum(found.value or 0.0 for found in readings.values()) + more
    if together > LIMIT_SECONDS:
        message = f"all {len(readings)} readings took {together:.1f} s{extra}, {_excess(together)}; some may be diagnostics"
        yield Finding(CODE, "evidence", "warning", run.file, row.line, message)


def _claimed_seconds(evidence: Evidence, run: LoggedRun) -> Row | None:
    """Return the row of the seconds of the claimed reading; its exact line has none, so the line without it is taken."""
    scored = {row.run: row.reading for row in evidence.score.rows} if evidence.score else {}
    reading = scored.get(run.name, "")
    return run.seconds.get(reading) or run.seconds.get(reading.removesuffix("_exact"))


def read_phases(evidence: Evidence, run: LoggedRun) -> Phases:
    """Return what the lines between a run's last step and the next run say of calibration and of work outside of clocks."""
    start = max((row.line or 0 for name, row in run.figures.items() if name in ("steps", "train_seconds")), default=0)
    starts = [
        other.figures["steps"].line or 0 for other in evidence.runs if other.file == run.file and "steps" in other.figures
    ]
    stop = min((line for line in starts if line > start), default=None)
    if start == 0:
        return Phases()
    found: dict[str, list[tuple[float, int]]] = {}
    kind = "unknown_text"
    for number, line in enumerate(evidence.text(run.file).split("\n")[start:stop], start + 1):
        took = TOOK.search(line)
        seconds = float(took[1]) / (1000 if took[2].lower() == "ms" else 1) if took else 0.0
        if OUTSIDE.search(line) and took:
            found.setdefault("outside", []).append((seconds, number))
        elif CALIBRATION.search(line) and not NONE_OF_IT.search(line):
            kind = "training_text" if TRAINING_TEXT.search(line) else "own_text" if OWN_TEXT.search(line) else kind
            found.setdefault(kind, []).append((seconds, number))
    return Phases(**{name: (sum(seconds for seconds, _ in said), _surest(said)) for name, said in found.items()})


def _surest(said: list[tuple[float, int]]) -> int:
    """Return the line with the most seconds, the first of equals."""
    return max(said, key=lambda item: (item[0], -item[1]))[1]


def _stated(evidence: Evidence, timed: set[str]) -> Iterator[Finding | NotChecked]:
    there = set(timed)
    for file, path, value, line in evidence.leaves():
        found = STATED_SECONDS.search(path)
        if found is None or not isinstance(value, int | float) or isinstance(value, bool):
            continue
        name = "train_seconds" if found[1].lower().startswith("train") else "eval"
        there.add(name)
        if name not in timed and value > LIMIT_SECONDS + STATED_SLACK:
            yield Finding(CODE, "evidence", "violation", file, line, f"{path} = {value:g} s, {_excess(value)}")
    for name, what in (("train_seconds", "training"), ("eval", "evaluation")):
        if name not in there:
            yield NotChecked(CODE, f"no log and no submission.json states the seconds of the {what}")


def _excess(seconds: float) -> str:
    return f"{seconds - LIMIT_SECONDS:.1f} over {LIMIT_SECONDS:.0f}"
