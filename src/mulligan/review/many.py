"""Many folders as a table: one row each, grouped by pattern, the set of (rule, category) of its violations."""

import csv
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mulligan.core.execution import Progress, no_progress
from mulligan.review.clone import Clone, TreeFolder, has_git
from mulligan.review.finding import Finding, NotChecked
from mulligan.review.review import Review, collect, number
from mulligan.review.rules import EVIDENCE, NAMES
from mulligan.review.sweep import PROCESSES, SECONDS, Task, audit_all

OF_CODE = tuple(code for code in NAMES if code not in EVIDENCE)
CLEAN = "clean"


@dataclass(frozen=True)
class Reviewed:
    """A folder and its review. `revision`: the ref it is of, "" for files on disk; `same_code`: the first with its code."""

    revision: str
    path: str
    review: Review
    same_code: str = ""

    @property
    def name(self) -> str:
        """Where the folder is."""
        return f"{self.revision}:{self.path}" if self.revision else self.path

    @property
    def pattern(self) -> str:
        """The violations' rules and categories."""
        found = {f"{one.rule} {one.category}" for one in self.review.findings if one.severity == "violation"}
        return "; ".join(sorted(found, key=lambda text: (number(text.split()[0]), text))) or CLEAN

    def row(self) -> dict[str, Any]:
        """Return one row of the table."""
        violations = [one for one in self.review.findings if one.severity == "violation"]
        first = violations[0] if violations else None
        return {
            "revision": self.revision,
            "folder": self.path,
            "verdict": self.review.verdict,
            "pattern": self.pattern,
            "violations": len(violations),
            "warnings": len(self.review.findings) - len(violations),
            "not_checked": " ".join(sorted({one.rule for one in self.review.not_checked}, key=number)),
            "crashes": "; ".join(f"{one.rule}: {one.reason}" for one in self.review.crashes),
            "same_code_as": self.same_code,
            "first": f"{first.file}:{first.line or ''} {first.message}" if first else "",
        }


def review_clone(
    path: Path, *, heads: bool = False, progress: Progress = no_progress, processes: int = PROCESSES
) -> list[Reviewed]:
    """Review each folder records/<track>/<name> of a clone's main branch, or with `heads` what each pull request adds.

    Of a clone with a work tree, and without `heads`, the files on disk are read. ValueError where there is no such folder.
    """
    if heads and not has_git(path):
        raise ValueError(f"{path}: plain files, and pull-request heads need git. Give a git directory, or leave --heads out.")
    if not heads and (path / "records").is_dir():
        folders = sorted(folder for folder in (path / "records").glob("*/*") if folder.is_dir() and not folder.is_symlink())
        return review_folders(folders, path, progress, processes)
    with Clone(path) as clone:
        refs = clone.heads() if heads else []
        found = [folder for ref in refs for folder in clone.new_in(ref)] if heads else clone.of_main()
        if not found:
            raise ValueError(f"{path}: no folder records/<track>/<name>" + (" that a head adds." if heads else "."))
        return _review_trees(clone, found, progress, processes)


def review_folders(
    folders: Sequence[Path], root: Path, progress: Progress = no_progress, processes: int = PROCESSES
) -> list[Reviewed]:
    """Review folders on disk, named relative to `root`."""
    found = []
    for done, audited in enumerate(audit_all((Task(folder) for folder in folders), processes), 1):
        path = audited.task.path
        found.append(
            Reviewed("", path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path), audited.review)
        )
        progress("review", done, len(folders), path.name)
    return found


def _review_trees(clone: Clone, folders: Sequence[TreeFolder], progress: Progress, processes: int) -> list[Reviewed]:
    """Review each tree once, and the rules of code once for each code; the others get what the first of them got."""
    first_code: dict[str, TreeFolder] = {}
    trees: dict[str, TreeFolder] = {}
    for folder in folders:
        first_code.setdefault(folder.code, folder)
        trees.setdefault(folder.digest, folder)
    reviews: dict[str, Review] = {}
    with tempfile.TemporaryDirectory() as scratch:
        tasks = _written(clone, trees, first_code, Path(scratch))
        for done, audited in enumerate(audit_all(tasks, processes, SECONDS), 1):
            place = audited.task.path.parents[2]
            reviews[place.name] = audited.review
            shutil.rmtree(place)
            progress("review", done, len(trees), audited.task.path.name)
    return [_reviewed(folder, reviews, first_code[folder.code]) for folder in folders]


def _written(clone: Clone, trees: dict[str, TreeFolder], first_code: dict[str, TreeFolder], scratch: Path) -> Iterator[Task]:
    for digest, folder in trees.items():
        target = scratch / digest / folder.path
        target.mkdir(parents=True)
        clone.write(folder, target)
        is_first = first_code[folder.code].digest == digest
        yield Task(target, tuple(NAMES) if is_first else EVIDENCE)


def _reviewed(folder: TreeFolder, reviews: dict[str, Review], first: TreeFolder) -> Reviewed:
    own, of_first = reviews[folder.digest], reviews[first.digest]
    parts: list[Finding | NotChecked] = [*own.findings, *own.not_checked]
    if first.digest != folder.digest:
        parts = [one for one in parts if one.rule in EVIDENCE]
        parts += [one for one in of_first.findings if one.rule not in EVIDENCE]
        parts += [one for one in of_first.not_checked if one.rule not in EVIDENCE]
    is_first = first == folder
    return Reviewed(folder.revision, folder.path, collect(parts), "" if is_first else f"{first.revision}:{first.path}")


def patterns(found: Sequence[Reviewed]) -> list[dict[str, Any]]:
    """Return each pattern with how many folders have it and the first three of them, the most frequent first."""
    count = Counter(one.pattern for one in found)
    return [
        {"pattern": pattern, "folders": number, "such_as": [one.name for one in found if one.pattern == pattern][:3]}
        for pattern, number in count.most_common()
    ]


def write_csv(path: Path, found: Sequence[Reviewed]) -> None:
    """Write one row a folder."""
    rows = [one.row() for one in found]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
