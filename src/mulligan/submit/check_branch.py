"""`--since REV`: what a branch adds to the repository: one new folder under records/<track>/, and nothing else."""

import subprocess
from pathlib import Path, PurePosixPath

from mulligan.audit.finding import Finding, finding
from mulligan.submit.submitted import Submitted, listed

DEPTH = 3
"""records/<track>/<folder>"""


def branch(folder: Submitted, since: str) -> tuple[Finding, ...]:
    """The branch (with what is not committed yet) only adds files, all of them in the folder. ValueError outside of git."""
    root, base, changed = _changed(folder.folder, since)
    here = PurePosixPath(folder.folder.resolve().relative_to(root.resolve()).as_posix())
    wrong = []
    if len(here.parts) != DEPTH or here.parts[0] != "records":
        wrong.append(f"{here} is not records/<track>/<folder>")
    edited = [path for path, status in changed if status != "A"]
    outside = [path for path, status in changed if status == "A" and not PurePosixPath(path).is_relative_to(here)]
    if edited:
        wrong.append(f"edits or deletes {listed(edited)}")
    if outside:
        wrong.append(f"adds outside of the folder: {listed(outside)}")
    if not any(PurePosixPath(path).is_relative_to(here) for path, _ in changed):
        wrong.append(f"adds nothing in {here}")
    if _git(root, "ls-tree", "-r", "--name-only", base, "--", f"{here}/"):
        wrong.append(f"{here} was there already at {since}")
    return finding("branch", "; ".join(wrong) or None, f"{len(changed)} files added since {since}, all in {here}")


def added_folders(path: Path, since: str) -> tuple[Path, list[Path]]:
    """Return a repository's root, and the folders records/<track>/<folder> in which a branch adds files, not deleted again."""
    root, _, changed = _changed(path, since)
    parts = [PurePosixPath(name).parts for name, status in changed if status == "A"]
    folders = {root.joinpath(*found[:DEPTH]) for found in parts if len(found) > DEPTH and found[0] == "records"}
    return root, sorted(folder for folder in folders if folder.is_dir())


def _changed(path: Path, since: str) -> tuple[Path, str, list[tuple[str, str]]]:
    """Return a repository's root, where the branch left `since`, and (path, status) of what differs, committed or not."""
    root = Path(_git(path, "rev-parse", "--show-toplevel").strip())
    base = _git(root, "merge-base", since, "HEAD").strip()
    fields = _git(root, "diff", "--name-status", "--no-renames", "-z", base, "--").split("\0")[:-1]
    changed = list(zip(fields[1::2], fields[::2], strict=True))
    changed += [(name, "A") for name in _git(root, "ls-files", "--others", "--exclude-standard", "-z").split("\0")[:-1]]
    return root, base, changed


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True)
    if done.returncode:
        raise ValueError(f"--since: git {' '.join(arguments)} in {folder}: {done.stderr.strip()}")
    return done.stdout
