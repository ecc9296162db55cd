"""The folders below records/ of a clone, from git objects alone: one `git cat-file --batch` process, never a checkout."""

import hashlib
import subprocess
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import IO

from mulligan.records.read import NO_LOG
from mulligan.records.tree import BRANCHES, READ

MOST_FILE_BYTES = 20_000_000
"""Of a longer file only so much is written, and the rest is a hole: its size is kept."""
MOST_COMMITS = 20_000
CHUNK = 1 << 20


@dataclass(frozen=True)
class Blob:
    """A plain file of a tree: its path in it, and its digest."""

    path: str
    digest: str


@dataclass(frozen=True)
class TreeFolder:
    """A folder below records/ as a revision has it. `digest`: its tree's; `code`: that of its files but README, JSON, logs."""

    revision: str
    path: str
    digest: str
    code: str
    blobs: tuple[Blob, ...]


def is_clone(path: Path) -> bool:
    """Say whether a folder is a clone, with or without a work tree, or holds records/."""
    return (
        (path / ".git").exists() or (path / "records").is_dir() or ((path / "HEAD").is_file() and (path / "objects").is_dir())
    )


def has_git(path: Path) -> bool:
    """Say whether a clone can be read with git."""
    return (path / ".git").exists() or ((path / "HEAD").is_file() and (path / "objects").is_dir())


class Clone:
    """A clone that is open for reading; ValueError where git refuses. Use it in a `with`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._commits: dict[str, tuple[str, tuple[str, ...]]] = {}
        self._records: dict[str, dict[str, str]] = {}

    def __enter__(self) -> "Clone":
        self.branch, self.main = self._first_branch()
        command = ["git", "-C", str(self.path), "cat-file", "--batch"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.kill()  # it may have more to say than anybody reads
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def heads(self) -> list[str]:
        """Return the refs of pull-request heads, by number."""
        listed = self._git("for-each-ref", "--format=%(refname)", "refs/pull/*/head").split()
        return sorted(listed, key=lambda ref: int(ref.split("/")[2]) if ref.split("/")[2].isdigit() else 0)

    def of_main(self) -> list[TreeFolder]:
        """Return every folder records/<track>/<name> of the main branch."""
        tree, _ = self._commit(self.main)
        return [self._folder(self.branch, path, digest) for path, digest in sorted(self._below_records(tree).items())]

    def new_in(self, ref: str) -> list[TreeFolder]:
        """Return the folders that a head has and the main branch had not where the head left it."""
        tree, _ = self._commit(ref)
        before = {path for commit in self._left_at(ref) for path in self._below_records(self._commit(commit)[0])}
        return [
            self._folder(ref, path, digest) for path, digest in sorted(self._below_records(tree).items()) if path not in before
        ]

    def write(self, folder: TreeFolder, target: Path) -> None:
        """Write a folder's files; what the clone does not hold is left out."""
        for blob in folder.blobs:
            path = target / blob.path
            path.parent.mkdir(parents=True, exist_ok=True)
            self._copy(blob.digest, path)

    @cached_property
    def _on_main(self) -> frozenset[str]:
        return frozenset(self._git("rev-list", "--first-parent", self.main).split())

    def _left_at(self, ref: str) -> list[str]:
        """Return the commits of the main branch that a head's own commits come from."""
        found: list[str] = []
        seen, todo = {ref}, deque([ref])
        while todo and len(seen) < MOST_COMMITS:
            _, parents = self._commit(todo.popleft())
            for parent in parents:
                if parent not in seen:
                    seen.add(parent)
                    (found if parent in self._on_main else todo).append(parent)
        return found or [self.main]

    def _commit(self, name: str) -> tuple[str, tuple[str, ...]]:
        """Return the tree and the parents of a commit."""
        if name not in self._commits:
            lines = self._read(name).split(b"\n\n", 1)[0].decode("utf-8", "replace").split("\n")
            fields = [line.split(" ", 1) for line in lines if " " in line]
            parents = tuple(value for key, value in fields if key == "parent")
            self._commits[name] = next((value for key, value in fields if key == "tree"), ""), parents
        return self._commits[name]

    def _below_records(self, tree: str) -> dict[str, str]:
        """Return {records/<track>/<name>: digest of its tree} of a root tree."""
        records = next((digest for mode, name, digest in self._tree(tree) if name == "records" and mode == "40000"), None)
        if records is None:
            return {}
        if records not in self._records:
            self._records[records] = {
                f"records/{track}/{name}": digest
                for mode, track, inner in self._tree(records)
                if mode == "40000"
                for inner_mode, name, digest in self._tree(inner)
                if inner_mode == "40000"
            }
        return self._records[records]

    def _folder(self, revision: str, path: str, digest: str) -> TreeFolder:
        blobs = tuple(self._blobs(digest, ""))
        code = [f"{blob.path} {blob.digest}" for blob in blobs if not READ.search(blob.path) or NO_LOG.search(blob.path)]
        return TreeFolder(revision, path, digest, hashlib.sha256("\n".join(code).encode()).hexdigest(), blobs)

    def _blobs(self, tree: str, before: str) -> Iterator[Blob]:
        """Yield the plain files below a tree; links, other repositories and names that lead elsewhere are left out."""
        for mode, name, digest in self._tree(tree):
            if name in ("", ".", "..", ".git") or "/" in name or "\0" in name:
                continue
            if mode == "40000" and before.count("/") < 8:
                yield from self._blobs(digest, f"{before}{name}/")
            elif mode.startswith("100"):
                yield Blob(f"{before}{name}", digest)

    def _tree(self, digest: str) -> Iterator[tuple[str, str, str]]:
        """Yield (mode, name, digest) of a tree's entries."""
        data, at, length = self._read(digest), 0, len(digest) // 2
        while at < len(data):
            space, end = data.index(b" ", at), data.index(b"\0", at)
            yield (
                data[at:space].decode(),
                data[space + 1 : end].decode("utf-8", "backslashreplace"),
                data[end + 1 : end + 1 + length].hex(),
            )
            at = end + 1 + length

    def _ask(self, name: str) -> tuple[IO[bytes], int]:
        """Ask for an object; return where its bytes and one line feed come, and how many bytes. None there: size -1."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{name}\n".encode())
        self._process.stdin.flush()
        fields = self._process.stdout.readline().split()
        return self._process.stdout, int(fields[2]) if len(fields) == 3 else -1

    def _read(self, name: str) -> bytes:
        """Return an object's bytes, none where the clone does not hold it."""
        stream, size = self._ask(name)
        return stream.read(size + 1)[:-1] if size >= 0 else b""

    def _copy(self, digest: str, path: Path) -> None:
        stream, size = self._ask(digest)
        if size < 0:
            return
        left = size
        with path.open("wb") as file:
            while left:
                data = stream.read(min(CHUNK, left))
                left -= len(data)
                if file.tell() < MOST_FILE_BYTES:
                    file.write(data)
            file.truncate(size)
        stream.read(1)

    def _first_branch(self) -> tuple[str, str]:
        for name in BRANCHES:
            done = self._run("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
            if done.returncode == 0:
                return name, done.stdout.strip()
        raise ValueError(f"{self.path}: no branch of {', '.join(BRANCHES)}; git says: {done.stderr.strip() or 'nothing'}")

    def _git(self, *arguments: str) -> str:
        done = self._run(*arguments)
        if done.returncode:
            raise ValueError(f"{self.path}: git {arguments[0]} says {done.stderr.strip()}")
        return done.stdout

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(["git", "-C", str(self.path), *arguments], capture_output=True, text=True, check=False)
        except FileNotFoundError:
            raise ValueError("git is not on the PATH, and this clone is read with it. Install git.") from None
