"""Rules 10 and 12: scoring needs the artifact and the validation split alone, and as many processes as one likes."""

import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import mulligan
from mulligan.audit.examinee import Examinee
from mulligan.audit.finding import Finding, finding, not_checked
from mulligan.values.corpus import Corpus

CHILD = Path(__file__).with_name("child.py")
RULES = ("10a isolation: what it opens", "10b isolation: no network", "10c isolation: no other files")
NO_CASE = "it is no reading of a run"
LISTED = 3
RANK_TOLERANCE = 1e-4
"""Nats per token: other batches, and gradients summed in another order, are rounded otherwise; every update adds to it."""


def isolation(examinee: Examinee) -> tuple[Finding, ...]:
    """Score in a process that has the artifact and a copy of the corpus without its train split, and little else."""
    if examinee.case is None:
        return tuple(found for rule in RULES for found in not_checked(rule, NO_CASE))
    with tempfile.TemporaryDirectory() as folder:
        case = examinee.case.at(validation_alone(examinee.case.corpus, Path(folder) / "corpus"))
        kept = [*case.levers, *map(compiled, case.levers)]
        readable = [*library_folders(), str(case.corpus.resolve()), str(case.weights.resolve()), *map(str, kept)]
        given = {"case": case.to_json(), "path": library_folders(), "readable": readable}
        forbidden, scratch = Path(folder) / "forbidden", Path(folder) / "scratch"
        scratch.mkdir()
        forbidden.write_bytes(b"not for scoring")
        found = answer_of(start({**given, "forbidden": str(forbidden), "scratch": str(scratch)}))
    if isinstance(found, str):
        return finding(RULES[0], found, "") + tuple(
            n for rule in RULES[1:] for n in not_checked(rule, "the process ended early")
        )
    _, first, _ = examinee.first
    said = "; ".join(found["outside"][:LISTED])
    wrong = found["error"] or (f"{len(found['outside'])} not allowed: {said}" if found["outside"] else None)
    if wrong is None and found["digest"] != first.digest:
        wrong = "scores there are not those here"
    evidence = f"{found['opened']} files opened: libraries, the artifact, the validation split; scores to the bit those here"
    opened = finding(RULES[0], wrong, evidence)
    return (*opened, *_withheld(RULES[1], found, "network"), *_withheld(RULES[2], found, "files"))


def _withheld(rule: str, found: dict[str, Any], what: str) -> tuple[Finding, ...]:
    """Return whether scoring did without what the kernel refused it."""
    if found[what]:
        return not_checked(rule, found[what])
    by = {"network": "a namespace without network", "files": "Landlock refusing all other files"}[what]
    return finding(rule, found["error"], f"scored in {by}")


def rank_invariance(examinee: Examinee) -> tuple[Finding, ...]:
    """Score in two processes that share the windows, in small batches: both must come to one sum, that of one process."""
    rule = "12 rank invariance"
    if examinee.case is None:
        return not_checked(rule, NO_CASE)
    with tempfile.TemporaryDirectory() as folder:
        meet = (Path(folder) / "meet").as_uri()
        given = {"case": examinee.case.to_json(), "path": library_folders(), "meet": meet, "world_size": 2}
        answers = [answer_of(process) for process in [start({**given, "rank": rank}) for rank in (0, 1)]]
    failed = [answer for answer in answers if isinstance(answer, str)]
    if failed:
        return finding(rule, failed[0], "")
    _, first, _ = examinee.first
    alone = float(first.nats.sum(dtype=np.float64))
    found = [answer for answer in answers if isinstance(answer, dict)]
    apart = max(abs(answer["sum"] - alone) for answer in found) / examinee.num_positions
    said = f"two processes sum to {found[0]['sum']:.4f} and {found[1]['sum']:.4f} nats, one to {alone:.4f}"
    wrong = None if apart <= RANK_TOLERANCE and found[0] == found[1] else said
    return finding(rule, wrong, f"{said}: {apart:.1g} nats per token apart")


def validation_alone(corpus: Path, folder: Path) -> Path:
    """Copy a corpus without its train split into a new folder, and return that."""
    folder.mkdir()
    described = Corpus.load(corpus).manifest
    shards = [shard["file"] for shard in described["splits"]["validation"]["shards"]]
    for name in ("corpus.json", "documents_validation.parquet", "tokenizer.model", *shards):
        if (corpus / name).is_file():
            shutil.copyfile(corpus / name, folder / name)
    return folder


def library_folders() -> list[str]:
    """Return where Python, its libraries and this program lie; not the folder that commands are given in."""
    here = Path.cwd()
    source = Path(mulligan.__file__).resolve().parents[1]
    folders = [Path(path).resolve() for path in sys.path if path]
    kept = [path for path in folders if path != here and path.exists()]
    return [str(path) for path in dict.fromkeys([source, *kept, Path(sys.prefix), Path(sys.base_prefix)])]


def compiled(source: Path) -> Path:
    """Return where Python keeps the compiled form of a source file, which it opens in its place."""
    return Path(importlib.util.cache_from_source(str(source.resolve())))


def start(given: dict[str, Any]) -> "subprocess.Popen[str]":
    """Start `child.py` in a process of its own, which compiles no file for later."""
    pipes: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    process = subprocess.Popen([sys.executable, "-P", "-B", CHILD], text=True, **pipes)
    assert process.stdin is not None
    process.stdin.write(json.dumps(given))
    process.stdin.close()
    process.stdin = None
    return process


def answer_of(process: "subprocess.Popen[str]") -> dict[str, Any] | str:
    """Return what a process prints in the end, or why it ended without."""
    said, errors = process.communicate()
    if process.returncode == 0:
        answer: dict[str, Any] = json.loads(said.splitlines()[-1])
        return answer
    last = errors.strip().splitlines()[-1:] or ["it said nothing"]
    return f"a process ended with code {process.returncode}: {last[0]}"
