"""`python -m bench.audit --labels FILE --clone GITDIR`: the review on labelled submissions, recall and false positives.

A positive is an entry whose verdict is flag or closed, but for the categories that its script alone does not show; a negative
is one whose verdict is clean. Found is an entry with a violation of a rule that reads code; warnings and the rules of evidence
(R1, R2, R11) do not count. The category is right where it is among those found. The list that was scored is printed, entry by
entry. `--sweep N` audits the scripts of N pull-request heads instead and prints seconds, crashes and peak memory.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from mulligan.review.clone import Clone
from mulligan.review.finding import Finding
from mulligan.review.rules import EVIDENCE, NAMES
from mulligan.review.sweep import PROCESSES, SECONDS, TO_BYTES, Audited, Task, audit_all

NOT_IN_THE_SCRIPT = frozenset({"evidence", "data_leak", "removed_non_record", "size_over_cap"})
MOST_FILE_BYTES = 5_000_000


def main() -> None:
    """Score the labelled set, or sweep the heads."""
    parser = argparse.ArgumentParser(prog="python -m bench.audit", description=__doc__)
    parser.add_argument("--labels", type=Path, help="a JSON list of pr, verdict, category, head_sha, script_path")
    parser.add_argument("--clone", type=Path, help="a clone, to take the folders from")
    parser.add_argument("--folders", type=Path, help="extracted folders DIR/<pr>/, instead of the clone")
    parser.add_argument("--rules", default="", help="only these, such as R3,R5")
    parser.add_argument("--sweep", type=int, metavar="N", help="audit the scripts of N pull-request heads")
    parser.add_argument("--processes", type=int, default=PROCESSES)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="limit of one entry")
    parser.add_argument("--out", type=Path, help="write every row as JSON")
    arguments = parser.parse_args()
    codes = tuple(code for code in NAMES if not arguments.rules or code in arguments.rules.split(","))
    with tempfile.TemporaryDirectory() as scratch:
        if arguments.sweep:
            paths = scripts_of_heads(arguments.clone, arguments.sweep, Path(scratch))
            report_sweep(paths, codes, arguments.processes, arguments.seconds)
            return
        labels = [entry for entry in json.loads(arguments.labels.read_text("utf-8")) if kind(entry)]
        where = arguments.folders or extract(arguments.clone, labels, Path(scratch))
        paths = [place(where, entry) for entry in labels]
        read = tuple(code for code in codes if code not in EVIDENCE)
        audited = list(audit_all((Task(path, read) for path in paths), arguments.processes, arguments.seconds))
    rows = [scored(entry, found) for entry, found in zip(labels, audited, strict=True)]
    report(rows)
    if arguments.out:
        arguments.out.write_text(json.dumps(rows, indent=1), "utf-8")


def kind(entry: dict[str, Any]) -> str:
    """Return "positive", "negative", or "" for what is not scored."""
    if entry["verdict"] == "clean":
        return "negative"
    return "" if entry["category"] in NOT_IN_THE_SCRIPT else "positive"


def place(where: Path, entry: dict[str, Any]) -> Path:
    """Return what of an extracted entry is audited: its folder, or the script where it has another name."""
    folder, name = where / str(entry["pr"]), PurePosixPath(entry["script_path"]).name
    return folder if name == "train_gpt.py" else folder / name


def extract(clone: Path, labels: Sequence[dict[str, Any]], where: Path) -> Path:
    """Write each entry's folder as it is at its commit; of a script in the root the script alone."""
    for entry in labels:
        path = PurePosixPath(entry["script_path"])
        parent = f"{path.parent}/" if len(path.parts) > 1 else str(path)
        listed = _git(clone, "ls-tree", "-r", "-l", "-z", entry["head_sha"], "--", parent).decode("utf-8", "replace")
        for line in filter(None, listed.split("\0")):
            what, _, name = line.partition("\t")
            _, kind_of, digest, size = what.split()
            target = where / str(entry["pr"]) / PurePosixPath(name).relative_to(path.parent)
            held = kind_of == "blob" and size.isdigit()  # a partial clone lacks what it never needed
            if held and int(size) <= MOST_FILE_BYTES and not what.startswith("120000"):
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(_git(clone, "cat-file", "blob", digest))
    return where


def _git(clone: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(clone), *arguments], check=True, capture_output=True).stdout


def scored(entry: dict[str, Any], audited: Audited) -> dict[str, Any]:
    """Return one row: the label, what was found, and whether it is right."""
    counted = [one for one in audited.review.findings if one.severity == "violation" and one.rule not in EVIDENCE]
    categories = sorted({one.category for one in counted})
    return {
        "pr": entry["pr"],
        "kind": kind(entry),
        "label": entry["category"],
        "found": bool(counted),
        "right": entry["category"] in categories,
        "categories": categories,
        "findings": [_said(one) for one in counted],
        "crashes": [f"{one.rule}: {one.reason}" for one in audited.review.crashes],
        "seconds": round(audited.seconds, 3),
        "peak_bytes": audited.peak_bytes,
    }


def _said(found: Finding) -> str:
    return f"{found.rule} {found.category} {found.file}:{found.line} {found.message}"


def report(rows: Sequence[dict[str, Any]]) -> None:
    """Print the list that was scored, then recall, false positives and precision of category, per category and in all."""
    for row in rows:
        mark = {"positive": "hit " if row["found"] else "MISS", "negative": "FALSE" if row["found"] else "ok"}[row["kind"]]
        wrong = "" if row["right"] or not row["found"] or row["kind"] == "negative" else "  (another category)"
        print(f"{row['pr']:>5} {row['label']:<24} {mark:<5} {row['seconds']:6.2f} s  {', '.join(row['categories'])}{wrong}")
    print("\nfalse positives:")
    for row in rows:
        for said in row["findings"] if row["kind"] == "negative" else ():
            print(f"{row['pr']:>5} {said}")
    print("\ncrashes:")
    for row in rows:
        for said in row["crashes"]:
            print(f"{row['pr']:>5} {said}")
    positives = [row for row in rows if row["kind"] == "positive"]
    negatives = [row for row in rows if row["kind"] == "negative"]
    print(f"\n{'category':<26}{'entries':>8}{'found':>7}{'recall':>8}{'right':>7}{'false positives':>17}")
    for label in sorted({row["label"] for row in positives}):
        wrongly = sum(label in row["categories"] for row in negatives)
        _line(label, [row for row in positives if row["label"] == label], f"{wrongly}")
    wrongly = sum(row["found"] for row in negatives)
    _line("all", positives, f"{wrongly}/{len(negatives)} = {wrongly / max(1, len(negatives)):.3f}")
    hits = [row for row in positives if row["found"]]
    print(f"right category: {sum(row['right'] for row in hits)} of {len(hits)} hits = {_share(hits, 'right')}")
    print(f"crashes: {sum(len(row['crashes']) for row in rows)}; longest {max(row['seconds'] for row in rows):.2f} s")


def _line(label: str, rows: Sequence[dict[str, Any]], wrongly: str) -> None:
    found = [row for row in rows if row["found"]]
    print(f"{label:<26}{len(rows):>8}{len(found):>7}{_share(rows, 'found'):>8}{_share(found, 'right'):>7}{wrongly:>17}")


def _share(rows: Sequence[dict[str, Any]], key: str) -> str:
    return f"{sum(row[key] for row in rows) / len(rows):.3f}" if rows else "-"


def scripts_of_heads(clone: Path, most: int, where: Path) -> list[Path]:
    """Write up to `most` folders with different code that pull-request heads add, spread over all of them."""
    with Clone(clone) as opened:
        folders = {folder.code: folder for ref in opened.heads() for folder in opened.new_in(ref)}
        found = [folder for folder in folders.values() if any(blob.path.endswith(".py") for blob in folder.blobs)]
        chosen = found[:: max(1, len(found) // most)][:most]
        places = []
        for folder in chosen:
            places.append(where / folder.revision.split("/")[2] / folder.path)
            opened.write(folder, places[-1])
    return places


def report_sweep(paths: Sequence[Path], codes: Sequence[str], processes: int, seconds: float) -> None:
    """Print seconds in all, crashes, and the peak memory of this process and its workers together."""
    started = time.monotonic()
    audited = list(audit_all((Task(path, codes) for path in paths), processes, seconds))
    took = time.monotonic() - started
    crashed = [one for one in audited if one.review.crashes]
    for one in crashed:
        print(f"{one.task.path.name}: {'; '.join(f'{found.rule}: {found.reason}' for found in one.review.crashes)}")
    slowest = max(audited, key=lambda one: one.seconds)
    workers = sorted((one.peak_bytes for one in audited), reverse=True)[0] * processes
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * TO_BYTES
    print(
        f"{len(audited)} scripts in {took:.1f} s, {processes} processes; slowest {slowest.seconds:.1f} s ({slowest.task.path})"
    )
    print(f"crashed on {len(crashed)}; findings in {sum(one.review.verdict == 'findings' for one in audited)}")
    parts = f"this process {own / 2**20:,.0f}, workers {workers / 2**20:,.0f}"
    print(f"peak memory at most {(own + workers) / 2**20:,.0f} MiB: {parts}")


if __name__ == "__main__":
    sys.exit(main())
