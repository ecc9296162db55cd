"""From documents to a corpus folder: encode, write shards and tables, and a manifest of content alone."""

import hashlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from mulligan.core.canonical import Json, canonical_json
from mulligan.core.execution import Progress, no_progress
from mulligan.data.document import Document
from mulligan.data.shard import SHARD_TOKENS, ShardWriter
from mulligan.data.tokenizer import Tokenizer
from mulligan.values.corpus import Corpus

MANIFEST_FORMAT = 1
BATCH_DOCUMENTS = 256

Check = Callable[[Document, bytes], None]


def prepare(
    train: Iterable[Document],
    validation: Iterable[Document],
    tokenizer: Tokenizer,
    out: Path,
    *,
    progress: Progress = no_progress,
    shard_tokens: int = SHARD_TOKENS,
) -> Corpus:
    """Make the corpus folder `out` (at once or not at all) and return it.

    ValueError when `out` exists, a split is empty, or a document is in both splits.
    """
    with new_folder(out) as folder:
        write_corpus(train, validation, tokenizer, folder, progress=progress, shard_tokens=shard_tokens)
    return Corpus.load(out)


def refuse_existing(out: Path) -> None:
    """Raise ValueError when the folder to make is there already."""
    if out.exists():
        raise ValueError(f"{out} exists already. Give a folder that does not, or delete it first.")


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """Yield a folder beside `out` to fill; it becomes `out` if all goes well, else nothing is left."""
    refuse_existing(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    building = out.parent / f".{out.name}.{uuid.uuid4().hex}"
    building.mkdir()
    try:
        yield building
        for path in building.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        os.replace(building, out)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def write_corpus(
    train: Iterable[Document],
    validation: Iterable[Document],
    tokenizer: Tokenizer,
    folder: Path,
    *,
    progress: Progress = no_progress,
    shard_tokens: int = SHARD_TOKENS,
) -> None:
    """Write a corpus into an existing empty folder; validation first, so that no train document can repeat one."""
    seen: dict[bytes, str] = {}

    def remember(document: Document, digest: bytes) -> None:
        seen[digest] = document.name

    def refuse_seen(document: Document, digest: bytes) -> None:
        if digest in seen:
            raise ValueError(
                f"{document.name} is in the train split, and {seen[digest]} in the validation split is the same text. "
                "Remove it from one of them: a model must not be scored on what it was trained on."
            )

    splits: dict[str, Json] = {}
    for name, documents, check in (("validation", validation, remember), ("train", train, refuse_seen)):
        splits[name] = _write_split(name, documents, tokenizer, folder, check, progress, shard_tokens)
    tokenizer.save(folder)
    write_manifest(folder, tokenizer.describe(), splits)


def _write_split(
    name: str,
    documents: Iterable[Document],
    tokenizer: Tokenizer,
    folder: Path,
    check: Check,
    progress: Progress,
    shard_tokens: int,
) -> dict[str, Json]:
    writer, table = ShardWriter(folder, name, shard_tokens), tokenizer.byte_table()
    starts: list[int] = []
    raw_bytes: list[int] = []
    piece_bytes = 0
    remaining = iter(documents)
    while batch := list(islice(remaining, BATCH_DOCUMENTS)):
        for document in batch:
            check(document, hashlib.sha256(document.text.encode("utf-8")).digest())
        encoded = tokenizer.encode([document.text for document in batch])
        for document, ids in zip(batch, encoded, strict=True):
            starts.append(writer.num_tokens)
            raw_bytes.append(len(document.text.encode("utf-8")))
            tokens = np.concatenate(([tokenizer.bos], ids))
            piece_bytes += int(table.bytes_of(tokens[:-1], tokens[1:]).sum())
            writer.add(tokens)
        more = len(batch) == BATCH_DOCUMENTS  # how many there will be is not known
        note = f"{len(starts):,} documents, {writer.num_tokens:,} tokens"
        progress(f"prepare {name}", len(starts), len(starts) + more, note)
    if not starts:
        raise ValueError(f"The {name} split holds no document. Give at least one with text.")
    write_documents(folder, name, starts, writer.num_tokens, raw_bytes)
    return describe_split(len(starts), writer.num_tokens, piece_bytes, sum(raw_bytes), writer.close())


def write_documents(folder: Path, split: str, starts: Any, num_tokens: int, raw_bytes: Any | None) -> None:
    """Write documents_<split>.parquet: start, num_tokens, raw_bytes (null where the text is not known)."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    first = np.asarray(starts, np.int64)
    columns = {
        "start": pa.array(first),
        "num_tokens": pa.array(np.diff(first, append=num_tokens)),
        "raw_bytes": pa.nulls(len(first), pa.int64()) if raw_bytes is None else pa.array(raw_bytes, pa.int64()),
    }
    pq.write_table(pa.table(columns), folder / f"documents_{split}.parquet", compression="zstd")


def describe_split(documents: int, tokens: int, piece_bytes: int, raw_bytes: int | None, shards: list[Any]) -> dict[str, Json]:
    """Return what the manifest says of a split; ValueError when it stands for no byte of text."""
    if not piece_bytes:
        raise ValueError(f"A split's {documents} documents stand for no byte of text. Give documents with text in them.")
    return {
        "documents": documents,
        "tokens": tokens,
        "bytes": piece_bytes,
        "raw_bytes": raw_bytes,
        "tokens_per_byte": round(tokens / piece_bytes, 6),
        "shards": shards,
    }


def write_manifest(folder: Path, tokenizer: dict[str, Any], splits: dict[str, Json]) -> None:
    """Write corpus.json (content only) and summary.json."""
    tables = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.glob("documents_*.parquet"))}
    manifest: dict[str, Json] = {
        "format": MANIFEST_FORMAT,
        "tokenizer": tokenizer,
        "splits": splits,
        "tables": dict(tables),
    }
    text = canonical_json(manifest)
    (folder / "corpus.json").write_text(text, "utf-8")
    (folder / "summary.json").write_text(text, "utf-8")


def verify_corpus(corpus: Corpus) -> list[str]:
    """Hash shards, tables and tokenizer again; return one sentence per file that is not what the manifest states."""
    expected = {shard["file"]: shard["sha256"] for split in corpus.manifest["splits"].values() for shard in split["shards"]}
    expected |= corpus.manifest["tables"]
    if corpus.manifest["tokenizer"]["sha256"]:
        expected["tokenizer.model"] = corpus.manifest["tokenizer"]["sha256"]
    damaged = []
    for name, sha256 in expected.items():
        path = corpus.folder / name
        if not path.is_file():
            damaged.append(f"{path}: no such file")
            continue
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                damaged.append(f"{path}: its sha256 is not the one in corpus.json")
    return damaged
