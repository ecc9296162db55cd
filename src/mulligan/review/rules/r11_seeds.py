"""The seeds of a record are fewer than three, or are not runs of one configuration on the named hardware.

What it finds       A record's score of fewer than three seeds; settings that the logs of its seeds print with different values;
                    logs of another number of processes than eight; hardware that submission.json names and that is not
                    8xH100. As warnings: code of different sizes over the seeds, seeds without a log, and clocks or scores
                    that README calls projected.
Why it matters      Three seeds of one configuration are what a claim's p rests on; seeds that were tuned one by one are not.
Example             seed 1: "prune_pct: 0.05", seed 2: "prune_pct: 0.10".
What it cannot see  Settings that a log does not print, and seeds that were run and left out.
Source              README of the challenge; rulings on three seeds of one configuration and on 4xH100 timings.
"""

import re
from collections.abc import Iterator

from mulligan.review.evidence import Evidence
from mulligan.review.finding import Finding, NotChecked
from mulligan.review.subject import Subject
from mulligan.submit.check_seeds import FEWEST_SEEDS
from mulligan.submit.submitted import README, listed

CODE = "R11"
PROCESSES = 8
BLOCK = re.compile(r"^\s*hyperparameters:?\s*$", re.IGNORECASE)
IN_BLOCK = re.compile(r"^\s+(\w+)\s*[:=]\s*(.*)$")
PAIR = re.compile(r"(?:^|\s)([a-z]\w*)[:=]([^\s,]+)")
PLAIN_LINE = re.compile(r"^(?:[a-z]\w*[:=][^\s,]+(?:[\s,]+|$)){2,}$", re.IGNORECASE)
OWN = re.compile(
    r"(?:^|_)(?:seed|run|paths?|dir|file|logfile|log|id|device|host|port|time|timestamp|memory|elapsed|shards?|start|end|date|commit|pod)(?:_|$)"
    r"|^(?:local_)?rank$|^(?:val|train)_(?:loss|bpb)$",
    re.IGNORECASE,
)
"""Settings that each run has for itself."""
STEP = re.compile(r"^\s*(?:step|warmup)[ _:]", re.IGNORECASE)
MOST_LINES = 20_000
SEEDS = re.compile(r"\bseeds?\b[ :=(*`]{0,4}(\d+\b(?:(?:[ ,/&*`]|and|seed){1,8}\d+\b)*)", re.IGNORECASE)
SEVERAL = re.compile(r"\b(?:[3-9]|three|four|five|\d\d)[- ]seeds?\b", re.IGNORECASE)
HARDWARE = re.compile(r"(?:^|\.)(?:hardware|gpus?|gpu_\w+)$", re.IGNORECASE)
EIGHT = re.compile(r"\b8\s*[x×*]|[x×*:]\s*8\b|\beight\b", re.IGNORECASE)
OTHER_GPU = re.compile(
    r"\b(?:A100|A6000|L40S?|RTX ?\w*|H200|B200|GH200|MI300\w*|T4|V100|[1-7]\s*[x×]\s*H100|M[1-4] (?:Max|Ultra|Pro))", re.I
)
PROJECTED = re.compile(r"\b(?:projected|extrapolated)\b", re.IGNORECASE)
MEASURED = re.compile(r"bpb|step|ms\b|second|minute|H100|wall", re.IGNORECASE)


def check(subject: Subject) -> Iterator[Finding | NotChecked]:
    """Look at a record's seeds; of a non-record nothing is asked."""
    evidence = Evidence(subject.folder)
    if not evidence.is_record or evidence.claim is None:
        return
    yield from _count(evidence)
    yield from _settings(evidence)
    yield from _code(evidence)
    yield from _hardware(evidence)


def _count(evidence: Evidence) -> Iterator[Finding | NotChecked]:
    claim, score = evidence.claim, evidence.score
    assert claim is not None
    scored = [row for row in evidence.rows if row.kind in ("stated", "run") and row.name in ("bits_per_byte", "seed")]
    seeds = {row.seed for row in scored if row.seed is not None} | named_seeds(evidence.text(README))
    logged = {row.seed for row in score.rows if row.seed is not None} if score and score.how == "logs" else set()
    there = f"seed {listed(sorted(seeds))}" if seeds else "no seed is named"
    if len(seeds) < FEWEST_SEEDS and not SEVERAL.search(evidence.text(README)):
        message = f"{claim.text} is the score of fewer than {FEWEST_SEEDS} seeds ({there})"
        yield Finding(CODE, "evidence", "violation", claim.file, claim.line, message)
    elif evidence.runs and len(logged) < FEWEST_SEEDS:
        message = f"{len(logged)} of the seeds behind {claim.text} have a log with their score ({there} named)"
        yield Finding(CODE, "evidence", "warning", claim.file, claim.line, message)
    for row in evidence.rows:
        if row.kind == "finding" and row.name == "missing" and row.seed is not None:
            yield Finding(CODE, "evidence", "warning", row.file, row.line, row.text)


def named_seeds(text: str) -> set[int]:
    """Return the seeds that a README names: `seeds 42, 314 and 999`, `SEED=1338`."""
    return {int(number) for found in SEEDS.finditer(text) for number in re.findall(r"\d+", found[1])}


def _settings(evidence: Evidence) -> Iterator[Finding | NotChecked]:
    printed = {run.name: read_settings(evidence.text(run.file)) for run in evidence.claimed if "#" not in run.name}
    runs = [run for run in evidence.claimed if printed.get(run.name)]
    if len(runs) < 2:
        if len(evidence.claimed) > 1:
            yield NotChecked(CODE, "one configuration over seeds: the logs print no settings")
        return
    first, *others = runs
    for run in others:
        here, there = printed[run.name], printed[first.name]
        differ = [name for name in here if name in there and here[name][0] != there[name][0]]
        if differ:
            said = listed([f"{name} = {here[name][0]} ({there[name][0]} in {first.file})" for name in differ], 4)
            yield Finding(CODE, "evidence", "violation", run.file, here[differ[0]][1], f"another configuration: {said}")


def read_settings(text: str) -> dict[str, tuple[str, int]]:
    """Return {setting: (value, line)} that a log prints before its first step; what each run has for itself is left out."""
    found: dict[str, tuple[str, int]] = {}
    in_block = False
    for number, line in enumerate(text.split("\n", MOST_LINES)[:MOST_LINES], 1):
        if STEP.match(line):
            break
        if BLOCK.match(line):
            in_block = True
            continue
        one = IN_BLOCK.match(line) if in_block else None
        in_block = one is not None
        pairs = [(one[1], one[2].strip())] if one else PAIR.findall(line) if PLAIN_LINE.match(line) else []
        for name, value in pairs:
            if not OWN.search(name) and "/" not in value:
                found.setdefault(name, (value, number))
    return found


def _code(evidence: Evidence) -> Iterator[Finding]:
    sized = [run for run in evidence.claimed if "code_bytes" in run.figures]
    for run in sized[1:]:
        here, there = run.figures["code_bytes"], sized[0].figures["code_bytes"]
        if here.value != there.value:
            message = f"ran code of {here.text} bytes, {sized[0].file} of {there.text}: not one script"
            yield Finding(CODE, "evidence", "warning", run.file, here.line, message)


def _hardware(evidence: Evidence) -> Iterator[Finding]:
    for run in evidence.claimed:
        for number, line in enumerate(evidence.text(run.file).split("\n", MOST_LINES)[:MOST_LINES], 1):
            found = re.match(r"^\s*world_size\s*[:=]\s*(\d+)", line)
            if found and int(found[1]) != PROCESSES:
                message = f"ran with {found[1]} processes; records are timed on {PROCESSES} H100"
                yield Finding(CODE, "evidence", "violation", run.file, number, message)
                break
    for file, path, value, at in evidence.leaves():
        if HARDWARE.search(path) and isinstance(value, str) and OTHER_GPU.search(value) and not EIGHT.search(value):
            yield Finding(CODE, "evidence", "violation", file, at, f"{path} = {value!r}; records are timed on 8xH100")
    for number, line in enumerate(evidence.text(README).split("\n"), 1):
        if (found := PROJECTED.search(line)) and MEASURED.search(line):
            message = f"calls a figure {found[0].lower()}: {line.strip()[:120]}"
            yield Finding(CODE, "evidence", "warning", README, number, message)
