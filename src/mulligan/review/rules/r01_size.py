"""Code and artifact are more than 16,000,000 bytes together.

What it finds       A run whose artifact, by its log, and code, by its size as it lies there, are over the cap; the code is the
                    script and every module and data file of the folder that it reads. Without a log's sizes: an artifact in the
                    folder, or what submission.json states. A total that is not the sum of its parts is a warning.
Why it matters      The cap is the challenge. Logs print the size of the source before it is packed, and helper files are easily
                    left out of the sum. Code that is shipped as source where the log counts it packed is a warning: such
                    entries were accepted.
Example             A log says "Serialized model int6+zstd: 15,990,000 bytes", and train_gpt.py has 66,000.
What it cannot see  Bytes that no log prints, files that are named at run time alone, and tokenizers, which are not counted.
Source              README of the challenge (2026-03-18); rulings on PRs 1809 and 1463.
"""

from collections.abc import Iterator
from pathlib import Path

from mulligan.pack.budget import BUDGET_BYTES
from mulligan.review.evidence import Evidence, LoggedRun
from mulligan.review.finding import Finding, NotChecked, Severity
from mulligan.review.subject import Subject
from mulligan.submit.check_code import CODE_SUFFIXES
from mulligan.submit.submitted import SCRIPT

CODE = "R1"
DATA_SUFFIXES = (
    ".npz",
    ".npy",
    ".pt",
    ".pth",
    ".ptz",
    ".bin",
    ".pkl",
    ".safetensors",
    ".xz",
    ".lzma",
    ".zst",
    ".br",
    ".gz",
    ".dat",
)
PACKED = 0.5
"""A log that counts fewer of the code's bytes than this share counts them packed."""
IS_ARTIFACT = 4_000_000
"""A data file of so many bytes or more is taken for the model; what is smaller is counted with the code."""


def check(subject: Subject) -> Iterator[Finding | NotChecked]:
    """Find runs over the cap; those behind the claimed score are violations, others warnings."""
    evidence = Evidence(subject.folder)
    counted, artifacts = counted_files(subject)
    found = [_over(run, subject, counted) for run in evidence.runs if _payload(run)]
    yield from (one for one in found if one)
    yield from _sums(evidence)
    if any(_payload(run) for run in evidence.claimed):
        return
    if artifacts:
        yield from _beside(counted, artifacts)
        return
    stated = [row for row in evidence.rows if row.kind == "stated" and row.name == "total_bytes" and row.file.endswith(".json")]
    for row in stated:
        if row.value is not None and row.value > BUDGET_BYTES:
            message = f"{row.reading} = {row.text}, {_excess(int(row.value))}"
            yield Finding(CODE, "size_over_cap", "violation", row.file, row.line, message)
    if not stated:
        yield NotChecked(CODE, "no log and no submission.json states the artifact's bytes, and none lies in the folder")


def counted_files(subject: Subject) -> tuple[dict[str, int], dict[str, int]]:
    """Return {file: bytes} of the code and data that the script reads, and of those that must be its artifact."""
    folder = subject.folder.folder
    names = {source.file for source in subject.sources} or {subject.entry or SCRIPT}
    texts = [source.text for source in subject.sources]
    beside = [
        path for path in subject.folder.files if path.suffix in (*CODE_SUFFIXES, *DATA_SUFFIXES) and not path.is_symlink()
    ]
    named = {path for path in beside if path.suffix != ".py" and any(path.name in text for text in texts)}
    sizes = {_name(path, folder): path.stat().st_size for path in beside if path in named or _name(path, folder) in names}
    artifacts = {name: size for name, size in sizes.items() if name.endswith(DATA_SUFFIXES) and size >= IS_ARTIFACT}
    return {name: size for name, size in sizes.items() if name not in artifacts}, artifacts


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()


def _payload(run: LoggedRun) -> int:
    return int(run.value("payload_bytes") or 0)


def _over(run: LoggedRun, subject: Subject, counted: dict[str, int]) -> Finding | None:
    logged, payload = int(run.value("code_bytes") or 0), _payload(run)
    code = sum(counted.values()) or logged
    total = payload + code
    if total <= BUDGET_BYTES:
        return None
    entry = subject.entry or SCRIPT
    parts = "".join(f", of which {name} {size:,}" for name, size in counted.items() if name != entry)
    printed = f" (its log counts {logged:,})" if logged and logged != code else ""
    message = f"artifact {payload:,} + code {code:,}{printed}{parts} = {total:,} bytes, {_excess(total)}"
    severity: Severity = "violation" if run.is_claimed else "warning"
    if 0 < logged < code * PACKED and payload + logged <= BUDGET_BYTES:
        severity = "warning"
        message += f"; the log counts the code packed, and packed it would fit ({BUDGET_BYTES - payload - logged:,} bytes left)"
    return Finding(CODE, "size_over_cap", severity, run.file, run.figures["payload_bytes"].line, message)


def _beside(counted: dict[str, int], artifacts: dict[str, int]) -> Iterator[Finding]:
    name, size = max(artifacts.items(), key=lambda item: item[1])
    total = size + sum(counted.values())
    if total > BUDGET_BYTES:
        message = f"{size:,} + code {total - size:,} = {total:,} bytes, {_excess(total)}"
        yield Finding(CODE, "size_over_cap", "violation", name, None, message)


def _sums(evidence: Evidence) -> Iterator[Finding]:
    """Totals of a log that are not the sum of its own artifact and code."""
    for run in evidence.runs:
        total, parts = run.figures.get("total_bytes"), (run.value("payload_bytes"), run.value("code_bytes"))
        if total is not None and total.value is not None and None not in parts and " + " not in total.text:
            payload, code = (int(part or 0) for part in parts)
            if payload + code != total.value:
                message = (
                    f"states {int(total.value):,} bytes in all; its artifact {payload:,} + code {code:,} = {payload + code:,}"
                )
                yield Finding(CODE, "evidence", "warning", run.file, total.line, message)


def _excess(total: int) -> str:
    return f"{total - BUDGET_BYTES:,} over {BUDGET_BYTES:,}"
