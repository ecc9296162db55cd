"""A content-addressed store on a filesystem: objects/ab/<key>/ with the value's files and a manifest, written last.

Publishing: write to tmp/, fsync, manifest with sizes and sha256, fsync, one rename. A folder without a manifest does
not exist. Two writers of one key: the first wins; the second's digest is compared, and a difference is kept as
re-run noise. Reading verifies every byte against the manifest.
"""

import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from filelock import FileLock

from mulligan.core.canonical import Json, canonical_json, digest
from mulligan.core.error import StoreCorruptError
from mulligan.store.provenance import environment, now
from mulligan.store.stage_call import StageCall

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Entry:
    """A published value: its folder and its manifest; `reproduced` False when a later writer had other bytes."""

    folder: Path
    manifest: dict[str, Any]
    reproduced: bool = True

    @property
    def digest(self) -> str:
        """sha256 over the names and digests of the value's files."""
        return str(self.manifest["digest"])

    @property
    def num_bytes(self) -> int:
        """Bytes of the value's files."""
        return sum(int(file["bytes"]) for file in self.manifest["files"].values())

    def summary(self) -> dict[str, Any]:
        """Return the value's `summary.json`: what tables show, readable without torch."""
        summary: dict[str, Any] = json.loads((self.folder / "summary.json").read_text("utf-8"))
        return summary


class Store:
    """The store under `root` (made on first use)."""

    def __init__(self, root: Path) -> None:
        self.root = Path(root).resolve()
        if self.root.exists() and not self.root.is_dir():
            raise ValueError(f"--store {root} is a file. Give a folder, or a path where one can be made.")
        self._verified: set[str] = set()
        self._headers: dict[str, dict[str, Any]] = {}

    def folder(self, key: str) -> Path:
        """Return where the object `key` lies or would lie."""
        return self.root / "objects" / key[:2] / key

    def has(self, call: StageCall) -> bool:
        """Say whether the value of `call` is published."""
        return (self.folder(call.key) / MANIFEST).is_file()

    def open(self, call: StageCall) -> Entry:
        """Return the entry of `call`; StoreCorruptError when its bytes are not those that were written."""
        entry = self._entry(call.key)
        if call.key not in self._verified:
            _check(entry, contents=call.hashed_on_read)
            self._verified.add(call.key)
        return entry

    def publish(self, call: StageCall, write: Callable[[Path], None], provenance: dict[str, Json]) -> Entry:
        """Let `write` fill an empty folder, then make it the value of `call`, at once or not at all."""
        building = self.root / "tmp" / uuid.uuid4().hex
        building.mkdir(parents=True)
        try:
            write(building)
            manifest = _manifest(call, building, provenance)
            _write_synced(building / MANIFEST, canonical_json(manifest))
            _sync_folder(building)
            kept = self._move(call, building, manifest)
        finally:
            shutil.rmtree(building, ignore_errors=True)
        self._verified.add(call.key)
        return kept

    def _move(self, call: StageCall, building: Path, manifest: dict[str, Any]) -> Entry:
        final = self.folder(call.key)
        final.parent.mkdir(parents=True, exist_ok=True)
        if final.exists() and not (final / MANIFEST).is_file():
            shutil.rmtree(final)
        try:
            os.replace(building, final)
        except OSError:
            if not (final / MANIFEST).is_file():
                raise
            first = self._entry(call.key)
            _check(first, contents=True)
            if first.digest != manifest["digest"]:
                self._record_rerun(call.key, first.digest, manifest)
            return replace(first, reproduced=first.digest == manifest["digest"])
        _sync_folder(final.parent)
        return Entry(final, manifest)

    def _record_rerun(self, key: str, kept: str, manifest: dict[str, Any]) -> None:
        folder = self.root / "reruns"
        folder.mkdir(parents=True, exist_ok=True)
        record = {"key": key, "kept": kept, "other": manifest["digest"], "provenance": manifest["provenance"]}
        _write_synced(folder / f"{key[:16]}-{manifest['digest'][:16]}.json", canonical_json(record))

    def reruns(self) -> list[dict[str, Any]]:
        """Return the recorded re-runs of a key that gave other bytes than the first."""
        return [json.loads(path.read_text("utf-8")) for path in sorted((self.root / "reruns").glob("*.json"))]

    @contextmanager
    def lock(self, call: StageCall) -> Iterator[None]:
        """Hold the advisory lock of `call`; it saves work only, correctness comes from `publish`."""
        folder = self.root / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{call.key}.lock"):
            yield

    def keys(self) -> list[str]:
        """Return the keys of all published objects, sorted."""
        return sorted(path.parent.name for path in (self.root / "objects").glob(f"*/*/{MANIFEST}"))

    def entries(self) -> Iterator[Entry]:
        """Yield every published entry without hashing its files; StoreCorruptError on an unreadable manifest."""
        for key in self.keys():
            yield self._entry(key)

    def headers(self, stage: str) -> list[dict[str, Any]]:
        """Return the headers of the published values of one stage; each manifest is read once."""
        for key in self.keys():
            if key not in self._headers:
                self._headers[key] = self._entry(key).manifest["header"]
        return [header for header in self._headers.values() if header["stage"] == stage]

    def verify(self) -> list[str]:
        """Re-hash every object; return one sentence per damaged one (empty when all is well)."""
        damaged = []
        for key in self.keys():
            try:
                _check(self._entry(key), contents=True)
            except StoreCorruptError as error:
                damaged.append(str(error))
        return damaged

    def gc(self, *, dry_run: bool = False) -> tuple[int, int]:
        """Delete the objects that no run's record names, and abandoned temporary folders; return (objects, bytes)."""
        kept = {key for path in (self.root / "runs").glob("*.json") for key in _keys_of(path)}
        num_objects = num_bytes = 0
        for entry in list(self.entries()):
            if entry.folder.name in kept:
                continue
            num_objects, num_bytes = num_objects + 1, num_bytes + entry.num_bytes
            if not dry_run:
                (entry.folder / MANIFEST).unlink()
                shutil.rmtree(entry.folder)
        if not dry_run:
            self._delete_abandoned()
        return num_objects, num_bytes

    def _delete_abandoned(self) -> None:
        """Delete temporary folders that nobody has touched for a day: their writers were killed."""
        for folder in (self.root / "tmp").glob("*"):
            if time.time() - folder.stat().st_mtime > 86_400:
                shutil.rmtree(folder, ignore_errors=True)

    def record_run(self, name: str, record: dict[str, Json]) -> Path:
        """Write runs/<name>.json: what `gc` keeps (its "keys") and what a later command can look up."""
        folder = self.root / "runs"
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.json"
        building = folder / f".{uuid.uuid4().hex}"
        _write_synced(building, canonical_json(record))
        os.replace(building, path)
        return path

    def _entry(self, key: str) -> Entry:
        path = self.folder(key) / MANIFEST
        try:
            manifest = json.loads(path.read_text("utf-8"))
            claimed = manifest.pop("sha256")
            intact = digest(manifest) == claimed and digest(manifest["header"]) == key
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            intact = False
        if not intact:
            raise StoreCorruptError(f"{path}: the manifest is damaged. Delete the folder {path.parent} and run again.")
        return Entry(path.parent, manifest)


def _keys_of(run: Path) -> list[str]:
    try:
        keys: list[str] = json.loads(run.read_text("utf-8"))["keys"]
    except (ValueError, KeyError, TypeError):
        raise StoreCorruptError(f"{run}: this record of a run is damaged. Delete the file, run its recipe again.") from None
    return keys


def _check(entry: Entry, *, contents: bool) -> None:
    for name, file in entry.manifest["files"].items():
        path = entry.folder / name
        if not path.is_file() or path.stat().st_size != file["bytes"]:
            found = f"{path.stat().st_size} bytes" if path.is_file() else "no such file"
            raise StoreCorruptError(
                f"{path}: {found}, the manifest states {file['bytes']} bytes. Delete the folder {entry.folder} and run again."
            )
        if contents and _sha256(path) != file["sha256"]:
            raise StoreCorruptError(
                f"{path}: its sha256 is not the one in the manifest. Delete the folder {entry.folder} and run again."
            )


def _manifest(call: StageCall, folder: Path, provenance: dict[str, Json]) -> dict[str, Any]:
    """Sync and hash the files in `folder`; return the manifest with its own sha256."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
            files[path.relative_to(folder).as_posix()] = {"bytes": path.stat().st_size, "sha256": _sha256(path)}
    manifest: dict[str, Any] = {
        "header": call.header,
        "digest": digest({name: file["sha256"] for name, file in files.items()}),
        "files": files,
        "provenance": {"published": now(), **environment(), **provenance},
    }
    return {**manifest, "sha256": digest(manifest)}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_synced(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
