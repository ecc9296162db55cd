"""`mulligan audit` on many folders: a clone's records, what its pull requests add, or what a branch adds."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mulligan.cli.audit_submission import FINDINGS, print_review

if TYPE_CHECKING:
    from mulligan.review.many import Reviewed


def audit_clone(path: Path, csv: Path | None, *, heads: bool, as_json: bool) -> int:
    """Review a clone's folders; return the exit code."""
    from mulligan.cli.terminal import show_progress
    from mulligan.review.many import review_clone

    with show_progress() as progress:
        found = review_clone(path, heads=heads, progress=progress)
    return _told(found, csv, path.resolve().name, as_json=as_json)


def audit_since(path: Path, since: str, csv: Path | None, *, as_json: bool) -> int:
    """Review the folders below records/ that a branch adds, each whole; return the exit code. 0 where it adds none."""
    from mulligan.cli.terminal import out
    from mulligan.review.many import review_folders
    from mulligan.submit.check_branch import added_folders

    root, folders = added_folders(path, since)
    found = review_folders(folders, root, processes=0)  # a few: no other process pays
    if not found and not as_json:
        out.print(f"no folder records/<track>/<name> is added since {since}")
    for one in () if as_json else found:
        print_review(one.path, one.review)
    return _told(found, csv, path.resolve().name, as_json=as_json, grouped=False)


def _told(found: "Sequence[Reviewed]", csv: Path | None, name: str, *, as_json: bool, grouped: bool = True) -> int:
    from mulligan.cli.terminal import out, print_json, print_table
    from mulligan.review.many import patterns, write_csv

    wrong = [one for one in found if one.review.verdict == "findings"]
    if csv and found:
        write_csv(csv, found)
    if as_json:
        folders = [{**one.row(), "findings": one.review.as_json()["findings"]} for one in found]
        print_json({"verdict": "findings" if wrong else "clean", "patterns": patterns(found), "folders": folders})
        return FINDINGS if wrong else 0
    if grouped:
        rows = [[str(one["folders"]), str(one["pattern"]), "  ".join(one["such_as"])] for one in patterns(found)]
        print_table(f"{name}: folders by what was found", ["folders", "pattern", "such as"], rows, right=(0,))
        crashed = [one for one in found if one.review.crashes]
        same = sum(bool(one.same_code) for one in found)
        out.print(f"{len(found)} folders, {same} of them with the code of another")
        out.print(f"{len(wrong)} with violations, {len(crashed)} not read whole")
    if csv and found:
        out.print(f"written    {csv} ({csv.stat().st_size:,} bytes)")
    return FINDINGS if wrong else 0
