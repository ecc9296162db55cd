"""Reads the record folders of a clone: from git objects (with or without a work tree), or from plain files.

Only what is read later is loaded: Markdown, JSON and logs. Nothing of a clone is ever run or written.
"""

import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

TRACKS = ("track_10min_16mb", "track_non_record_16mb")
BRANCHES = ("main", "origin/main", "HEAD")
READ = re.compile(r"(?:\.md|\.json|\.log|\.txt|\.out)$", re.IGNORECASE)
MERGE = re.compile(r"^Merge (?:pull request|PR) #(\d+)|\(#(\d+)\)\s*$")


@dataclass(frozen=True)
class RecordFolder:
    """One record: its track, name and files ({path within it: bytes}), and where it was read.

    `revision`: the branch or pull-request head, or "" for plain files. `absent`: files listed there without contents.
    `committed` is the date of the commit that brought it, ISO 8601.
    """

    track: str
    name: str
    files: Mapping[str, bytes]
    revision: str = ""
    pull_request: int | None = None
    committed: str = ""
    absent: tuple[str, ...] = field(default=())


def read_folders(path: Path, heads: Sequence[str] = ()) -> list[RecordFolder]:
    """Return the records of the main branch, then those that each head adds or changes and that were not merged as they are.

    A head is a number (refs/pull/N/head) or the name of a ref. ValueError where the path is no clone, a ref is unknown, or
    git is needed and missing.
    """
    if (path / ".git").exists() or ((path / "HEAD").is_file() and (path / "objects").is_dir()):
        git = _Git(path)
        main = git.first_of(BRANCHES, f"{path}: no branch of {', '.join(BRANCHES)}.")
        found = git.folders(main, [f"records/{track}" for track in TRACKS], git.brought_by(main))
        merged = {(folder.track, folder.name): folder.files for folder in found}
        for head in heads:
            found += [folder for folder in git.head(head, main) if merged.get((folder.track, folder.name)) != folder.files]
        return found
    if not (path / "records").is_dir():
        raise ValueError(f"{path}: no clone of the challenge's repository. Give a working tree or a git directory of it.")
    if heads:
        raise ValueError(f"{path}: plain files, and pull-request heads need git. Give a git directory, or leave --heads out.")
    return [folder for track in TRACKS for folder in _plain(path / "records" / track, track)]


def _plain(place: Path, track: str) -> Iterable[RecordFolder]:
    for folder in sorted(path for path in place.glob("*") if path.is_dir()):
        files = sorted(path for path in folder.rglob("*") if path.is_file() and READ.search(path.name))
        yield RecordFolder(track, folder.name, {path.relative_to(folder).as_posix(): path.read_bytes() for path in files})


class _GitError(ValueError):
    """What git refused."""


class _Git:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, *arguments: str, stdin: bytes = b"") -> bytes:
        try:
            done = subprocess.run(["git", "-C", str(self.path), *arguments], input=stdin, capture_output=True, check=False)
        except FileNotFoundError:
            raise ValueError("git is not on the PATH, and this clone is read with it. Install git.") from None
        if done.returncode:
            raise _GitError(f"{self.path}: git {arguments[0]} says {done.stderr.decode('utf-8', 'replace').strip()}")
        return done.stdout

    def first_of(self, names: Sequence[str], otherwise: str) -> str:
        for name in names:
            try:
                self("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
            except _GitError as error:
                if "dubious ownership" in str(error):
                    raise
                continue
            return name
        raise ValueError(otherwise)

    def brought_by(self, revision: str) -> dict[str, tuple[int, str]]:
        """Return {folder: (pull request, date)} from the subjects of the commits that added each record's files."""
        options = ("--first-parent", "-m", "--no-renames", "--diff-filter=A", "--name-only", "--format=\x01%cI\x02%s")
        text = self("-c", "core.quotePath=off", "log", *options, revision, "--", "records").decode("utf-8", "replace")
        found: dict[str, tuple[int, str]] = {}
        for commit in text.split("\x01")[1:]:
            head, *paths = commit.splitlines()
            date, _, subject = head.partition("\x02")
            if request := MERGE.search(subject):
                for path in filter(None, paths):
                    found["/".join(path.split("/")[:3])] = (int(request[1] or request[2]), date)
        return found

    def head(self, name: str, main: str) -> list[RecordFolder]:
        """Return the records that a head adds to, or changes since, where it left the main branch."""
        ref = f"refs/pull/{name}/head" if name.isdigit() else name
        fetch = f"git fetch origin {ref}:{ref}" if name.isdigit() else "git branch --all"
        revision = self.first_of([ref], f"{self.path}: no ref {ref}. See `{fetch}`.")
        try:
            base = self("merge-base", main, revision).decode().strip()
        except _GitError:  # no common history: all that differs
            base = main
        changed = self("diff", "--name-only", "-z", "--no-renames", base, revision, "--", "records").decode("utf-8", "replace")
        folders = {"/".join(path.split("/")[:3]) for path in changed.split("\0") if path.count("/") > 2}
        date = self("log", "-1", "--format=%cI", revision).decode().strip()
        request = int(name) if name.isdigit() else 0
        wanted = sorted(folder for folder in folders if folder.split("/")[1] in TRACKS)
        return self.folders(revision, wanted, dict.fromkeys(wanted, (request, date))) if wanted else []

    def folders(self, revision: str, places: Sequence[str], brought: Mapping[str, tuple[int, str]]) -> list[RecordFolder]:
        listed: dict[str, dict[str, str]] = {}
        for entry in self("ls-tree", "-r", "-z", "--full-tree", revision, "--", *places).split(b"\0"):
            what, _, raw = entry.partition(b"\t")
            path = raw.decode("utf-8", "replace")
            if what.startswith(b"100") and path.count("/") > 2 and READ.search(path):
                folder = "/".join(path.split("/")[:3])
                listed.setdefault(folder, {})[path[len(folder) + 1 :]] = what.split()[2].decode()
        contents = self.contents(sorted({digest for files in listed.values() for digest in files.values()}))
        result = []
        for folder, files in sorted(listed.items()):
            request, date = brought.get(folder, (0, ""))
            _, track, name = folder.split("/")
            there = {path: contents[digest] for path, digest in sorted(files.items()) if digest in contents}
            absent = tuple(path for path, digest in sorted(files.items()) if digest not in contents)
            result.append(RecordFolder(track, name, there, revision, request or None, date, absent))
        return result

    def contents(self, digests: Sequence[str]) -> dict[str, bytes]:
        """Return {digest: bytes} of the objects that the clone holds."""
        answer = self("cat-file", "--batch", stdin="".join(f"{digest}\n" for digest in digests).encode())
        found, at = {}, 0
        for digest in digests:
            end = answer.index(b"\n", at)
            fields, at = answer[at:end].split(), end + 1
            if len(fields) == 3:
                size = int(fields[2])
                found[digest], at = answer[at : at + size], at + size + 1
        return found
