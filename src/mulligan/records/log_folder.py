"""A folder of training logs as arms and seeds: control_seed42.log is the arm `control`, seed 42."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mulligan.records.leaderboard import BUDGET
from mulligan.records.read import LOG, NO_LOG, decode, log_rows
from mulligan.records.score import distinct_runs
from mulligan.records.table import Row

SEED_PART = re.compile(r"[-_. ]*(?:seed|(?<=[-_. ])s)[-_ ]?\d+", re.IGNORECASE)
PLAIN = ("logs", "log")


@dataclass(frozen=True)
class Run:
    """One run of a folder: its log, arm, seed (None: neither file name nor log tells), steps, clocks, bytes and readings."""

    name: str
    arm: str
    seed: int | None
    numbers: dict[str, float]
    readings: dict[str, tuple[float, str]]

    @property
    def over_by(self) -> int:
        """Bytes above the budget with code; 0 or less: within it, or unknown."""
        return int(self.numbers.get("total_bytes", 0)) - BUDGET


@dataclass(frozen=True)
class LogFolder:
    """The runs of a folder, each once, and what could not be read, as sentences."""

    runs: tuple[Run, ...]
    problems: tuple[str, ...]


def read_log_folder(folder: Path) -> LogFolder:
    """Return the runs of every log under a folder; ValueError where there is none."""
    files = sorted(
        path for path in folder.rglob("*") if path.is_file() and LOG.search(path.name) and not NO_LOG.search(path.name)
    )
    rows = [row for path in files for row in log_rows(path.relative_to(folder).as_posix(), decode(path.read_bytes()))]
    kept = distinct_runs(rows)
    if not kept:
        raise ValueError(f"{folder}: no training log with steps or a score among its {len(files)} .log, .txt and .out files.")
    problems = [f"{row.run or row.file}: {row.text}" for row in rows if row.kind == "finding"]
    repeated = {row.run for row in rows if row.kind == "run"} - kept.keys()
    if repeated:
        problems.append(f"{', '.join(sorted(repeated))}: says what another log says, to the digit; left out")
    return LogFolder(tuple(_run(name, figures) for name, figures in kept.items()), tuple(problems))


def shared_reading(runs: Sequence[Run]) -> str:
    """Return the last reading that all runs with readings have, in the order of the first log; ValueError without one."""
    having = [run for run in runs if run.readings]
    names = [name for name in (having[0].readings if having else ()) if all(name in run.readings for run in having)]
    if not names:
        there = "; ".join(f"{run.name}: {', '.join(run.readings) or 'none'}" for run in runs[:6])
        raise ValueError(f"The runs share no reading ({there}). Name one with --metric.")
    return names[-1]


def folder_samples(found: LogFolder, reading: str) -> tuple[dict[tuple[str, ...], dict[int, float]], list[str]]:
    """Return {(arm,): {seed: bits per byte}} of a reading, and the runs that were left out, with why."""
    samples: dict[tuple[str, ...], dict[int, float]] = {}
    taken: dict[tuple[str, int], str] = {}
    left_out = []
    if not any(reading in run.readings for run in found.runs):
        there = sorted({name for run in found.runs for name in run.readings})
        raise ValueError(f"--metric {reading}: no run has it. Readings there: {', '.join(there)}.")
    for run in found.runs:
        if run.seed is None or reading not in run.readings:
            why = "no seed in its name or log" if run.seed is None else f"no reading {reading}"
            left_out.append(f"{run.name}: {why}")
        elif (run.arm, run.seed) in taken:
            other = taken[run.arm, run.seed]
            left_out.append(f"{run.name}: {other} is arm {run.arm}, seed {run.seed} too; give them names that tell them apart")
        else:
            taken[run.arm, run.seed] = run.name
            samples.setdefault((run.arm,), {})[run.seed] = run.readings[reading][0]
    return dict(sorted(samples.items())), left_out


def arm_of(path: str) -> str:
    """Return a log's arm: its folder and name without the seed; the folder alone where nothing else is left."""
    place = PurePosixPath(path)
    stem = SEED_PART.sub("", place.stem).strip("-_. ")
    parts = [part for part in place.parent.parts if part.lower() not in PLAIN]
    return "/".join([*parts, stem]).strip("/") or "run"


def _run(name: str, figures: Sequence[Row]) -> Run:
    readings = {
        row.reading: (row.value, row.text)
        for row in figures
        if row.name == "bits_per_byte" and row.value is not None and row.reading != "last validation"
    }
    numbers = {row.name: row.value for row in figures if not row.reading and row.value is not None}
    return Run(name, arm_of(figures[0].file), figures[0].seed, numbers, readings)
