"""One record folder as rows: its logs, what it states, what it names, and what disagrees or could not be read."""

import dataclasses
import json
import re
from collections.abc import Iterator

from mulligan.engine.challenge_log import Figure, LogRun, Reading, read_runs
from mulligan.records.disagreement import disagreements
from mulligan.records.stated import read_readme, read_submission
from mulligan.records.table import Row
from mulligan.records.tree import RecordFolder
from mulligan.records.words import acting_levers, lineage, named_levers

LOG = re.compile(r"\.(?:log|txt|out)$", re.IGNORECASE)
NO_LOG = re.compile(r"(?:^|/)requirements\w*\.txt$", re.IGNORECASE)
SUBMISSION = re.compile(r"^submission\w*\.json$", re.IGNORECASE)
FILE_SEED = re.compile(r"(?:seed|_s)[-_ ]?(\d+)", re.IGNORECASE)
DATE = re.compile(r"20\d\d-\d\d-\d\d")


def read_record(folder: RecordFolder) -> list[Row]:
    """Return every row of a record; nothing in it stops the reading, what cannot be read is a finding."""
    rows = [_finding("cannot read", f"{path} is listed in the clone, which does not hold it", path) for path in folder.absent]
    texts = {path: decode(raw) for path, raw in folder.files.items()}
    for path, text in texts.items():
        if SUBMISSION.match(path):
            rows += _submission(path, text)
        elif path.lower() == "readme.md":
            rows += read_readme(path, text)
        elif LOG.search(path) and not NO_LOG.search(path):
            rows += log_rows(path, text)
    for path in sorted((path for path in texts if path.lower() == "readme.md" or SUBMISSION.match(path)), key=str.lower):
        rows += [*named_levers(path, texts[path]), *lineage(path, texts[path], folder.pull_request, folder.name)]
    rows += _missing(rows, texts)
    rows += disagreements(rows)
    rows.append(Row("about", "day", text=_day(rows, folder)))
    if folder.committed:
        rows.append(Row("about", "committed", text=folder.committed))
    return [
        dataclasses.replace(
            row, track=folder.track, folder=folder.name, revision=folder.revision, pull_request=folder.pull_request
        )
        for row in rows
    ]


def log_rows(path: str, text: str) -> list[Row]:
    """Return the figures of every run of a log; run = the log's path, with #2, #3 for the later runs of one log."""
    runs = read_runs(text)
    if not runs:
        return [_finding("no run in a log", "neither training steps nor a score were found", path)]
    rows = acting_levers(path, text)
    for number, run in enumerate(runs, 1):
        name = path if number == 1 else f"{path}#{number}"
        named = FILE_SEED.search(path.rpartition("/")[2]) if len(runs) == 1 else None
        logged = run.numbers.get("seed")
        seed = int(named[1]) if named else int(logged.value or 0) if logged else None
        found = [*_run_rows(run), *_run_findings(run, path, seed)]
        rows += [dataclasses.replace(row, run=name, seed=seed, file=path) for row in found]
    return rows


def _run_rows(run: LogRun) -> Iterator[Row]:
    for name, figure in run.numbers.items():
        yield _row(name, figure)
    if run.curve:
        yield from _reading_rows("last validation", run.curve[-1][1])
    for name, reading in run.readings.items():
        yield from _reading_rows(name, reading)


def _reading_rows(name: str, reading: Reading) -> Iterator[Row]:
    yield _row("nats_per_token", reading.nats_per_token, name)
    yield _row("bits_per_byte", reading.bits_per_byte, name)
    if reading.seconds:
        yield _row("reading_seconds", reading.seconds, name)


def _row(name: str, figure: Figure, reading: str = "") -> Row:
    return Row("run", name, figure.value, figure.text, reading, line=figure.line)


def _run_findings(run: LogRun, path: str, seed: int | None) -> Iterator[Row]:
    numbers = run.numbers
    if "seed" in numbers and numbers["seed"].value != seed:
        text = f"the file is named for seed {seed}, the log says seed {numbers['seed'].text}"
        yield _finding("disagreement", text, path, numbers["seed"].line)
    sizes = [numbers.get(name) for name in ("payload_bytes", "code_bytes", "total_bytes")]
    if all(sizes):
        payload, code, total = (int(size.value or 0) for size in sizes if size)
        if payload + code != total:
            text = f"payload {payload:,} + code {code:,} = {payload + code:,} bytes, the log states a total of {total:,}"
            yield _finding("disagreement", text, path, sizes[2].line if sizes[2] else None)
    for name, lacks in (
        ("steps", "steps" not in numbers),
        ("total bytes", "total_bytes" not in numbers),
        ("seed", seed is None),
    ):
        if lacks:
            yield _finding("not in a log", f"no {name} found", path)
    if not run.readings:
        yield _finding("not in a log", "no final reading found", path)


def _submission(path: str, text: str) -> list[Row]:
    try:
        return read_submission(path, text)
    except json.JSONDecodeError as error:
        return [_finding("cannot read", f"no JSON: {error.msg}", path, error.lineno)]


def _missing(rows: list[Row], texts: dict[str, str]) -> Iterator[Row]:
    if not any(path.lower() == "readme.md" for path in texts):
        yield _finding("missing", "no README.md")
    if not any(SUBMISSION.match(path) for path in texts):
        yield _finding("missing", "no submission.json")
    if not any(row.kind == "run" for row in rows):
        yield _finding("missing", "no log with a run")


def _day(rows: list[Row], folder: RecordFolder) -> str:
    stated = [row.text for row in rows if row.kind == "about" and row.name == "date"]
    found = next((day[0] for text in [*stated, folder.name, folder.committed] if (day := DATE.search(text))), "")
    return found


def _finding(name: str, text: str, file: str = "", line: int | None = None) -> Row:
    return Row("finding", name, text=text, file=file, line=line)


def decode(raw: bytes) -> str:
    """Return text from bytes, whatever they are: UTF-8, UTF-16 with its mark, or with replacement characters."""
    codec = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    return raw.decode(codec, "replace").replace("\r\n", "\n").replace("\r", "\n")
