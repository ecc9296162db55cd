"""Token shards that somebody else wrote, taken over as a corpus: NAME_train_*.bin and NAME_val_*.bin.

Documents are found at their BOS. Raw text is not known, so neither is its byte count. A sample of documents is decoded
and encoded again: shards that another tokenizer wrote would be scored against bytes that they do not stand for.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mulligan.core.canonical import Json, canonical_json
from mulligan.core.execution import Progress, no_progress
from mulligan.data.prepare import describe_split, new_folder, write_documents, write_manifest
from mulligan.data.shard import Tokens, read_shard
from mulligan.data.tokenizer import Tokenizer
from mulligan.values.corpus import Corpus, Split

SHARD_NAME = re.compile(r"(.+)_(train|val)_(\d+)\.bin")
SIDE_CAR = "_bytes_"
SCAN_TOKENS = 1 << 20
SAMPLE_DOCUMENTS = 64
SAMPLE_TOKENS = 4096
# Of tokens before the first difference. Measured with 1,024 pieces: at least 0.96 by the tokenizer that wrote them (odd
# text, cut after 20 tokens), at most 0.10 by others (of equal size too), 0.70 where documents are cut after 20 tokens.
LEAST_REPRODUCED_FRACTION = 0.8
# The web repeats itself from crawl to crawl, so honest train shards hold a few validation documents; a wrong split, most.
GREATEST_SHARED_FRACTION = 0.05

Shards = Mapping[Split, Sequence[Path]]


def import_shards(
    folder: Path,
    tokenizer: Tokenizer,
    out: Path,
    *,
    progress: Progress = no_progress,
    origin: dict[str, Json] | None = None,
) -> Corpus:
    """Make the corpus folder `out` from the shards in `folder` (validation shards alone are enough); shards are linked.

    `origin` is kept as origin.json, beside the manifest and no part of it: equal shards are the same corpus. ValueError
    for a missing or damaged shard, a token that `tokenizer` lacks, shards that another tokenizer wrote, and train shards
    that hold the validation documents.
    """
    shards = find_shards(folder)
    with new_folder(out) as building:
        validation = _SplitScan("validation", shards["validation"], tokenizer, progress)
        splits: dict[str, Json] = {"validation": validation.write(building)}
        if "train" in shards:
            train = _SplitScan("train", shards["train"], tokenizer, progress, known=set(validation.digests))
            _refuse_leak(train.num_known, len(set(validation.digests)))
            splits["train"] = {**train.write(building), "documents_also_in_validation": train.num_known}
        tokenizer.save(building)
        write_manifest(building, tokenizer.describe(), splits)
        if origin is not None:
            (building / "origin.json").write_text(canonical_json(origin), "utf-8")
    return Corpus.load(out)


def find_shards(folder: Path) -> Shards:
    """Return the shards of a folder per split, by number; side-cars such as fineweb_val_bytes_*.bin are no shards."""
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder. Give the one that holds fineweb_val_000000.bin.")
    found: dict[str, dict[int, Path]] = {"val": {}, "train": {}}
    for path in sorted(folder.iterdir()):
        if SIDE_CAR not in path.name and (name := SHARD_NAME.fullmatch(path.name)):
            other = found[name[2]].setdefault(int(name[3]), path)
            if other != path:
                raise ValueError(f"{folder}: {other.name} and {path.name} are both shard {int(name[3])}. Keep one data set.")
    if not found["val"]:
        raise ValueError(f"{folder}: no validation shard (*_val_*.bin) in it. Train shards may be left out, these not.")
    for split, shards in found.items():
        absent = sorted(set(range(min(shards, default=0), max(shards, default=0))) - set(shards))
        if absent:
            raise ValueError(f"{folder}: *_{split}_{absent[0]:06d}.bin is missing before later shards. Fetch it first.")
    validation, train = ([shards[number] for number in sorted(shards)] for shards in (found["val"], found["train"]))
    return {"validation": validation, "train": train} if train else {"validation": validation}


def _refuse_leak(num_shared: int, num_validation: int) -> None:
    if num_shared > GREATEST_SHARED_FRACTION * num_validation:
        raise ValueError(
            f"{num_shared} documents of the train shards are among the {num_validation} of the validation shards. The two "
            "were split from the same documents at different places; export them again with one split."
        )


class _SplitScan:
    """One pass over a split's shards: where documents begin, how many bytes they stand for, which of them are `known`."""

    def __init__(
        self, split: Split, paths: Sequence[Path], tokenizer: Tokenizer, progress: Progress, known: set[bytes] | None = None
    ) -> None:
        self.split, self.paths, self.tokenizer, self.known = split, paths, tokenizer, known
        self.shards = [read_shard(path, tokenizer.vocab_size) for path in paths]
        self.num_tokens = sum(len(shard) for shard in self.shards)
        self.starts = self._find_starts()
        self._refuse_foreign()
        self.piece_bytes = 0
        self.digests: list[bytes] = []
        self.num_known = 0
        self._scan(progress)

    def _chunks(self) -> Iterator[Tokens]:
        for shard in self.shards:
            for begin in range(0, len(shard), SCAN_TOKENS):
                yield shard[begin : begin + SCAN_TOKENS]

    def _find_starts(self) -> Tokens:
        """Return where BOS stands, and 0: shards from the middle of a set begin with the rest of a document."""
        first = [] if self.shards[0][0] == self.tokenizer.bos else [0]
        starts, begin = [np.array(first, np.int64)], 0
        for chunk in self._chunks():
            starts.append(np.flatnonzero(chunk == self.tokenizer.bos) + begin)
            begin += len(chunk)
        return np.concatenate(starts)

    def _scan(self, progress: Progress) -> None:
        table, previous = self.tokenizer.byte_table(), np.array([self.tokenizer.bos])
        document, done = hashlib.sha256(), 0
        for chunk in self._chunks():
            tokens = np.concatenate((previous, chunk.astype(np.int64)))
            self.piece_bytes += int(table.bytes_of(tokens[:-1], tokens[1:]).sum())
            previous = tokens[-1:]
            content = memoryview(chunk.tobytes())
            first, last = np.searchsorted(self.starts, (done, done + len(chunk)))
            ends = (self.starts[first:last] - done).tolist()
            for begin, end in zip((0, *ends), (*ends, len(chunk)), strict=True):
                document.update(content[2 * begin : 2 * end])
                if end < len(chunk) and done + end > 0:
                    self._end_document(document)
                    document = hashlib.sha256()
            done += len(chunk)
            progress(f"import {self.split}", done, self.num_tokens, f"{last:,} documents, {done:,} tokens")
        self._end_document(document)

    def _end_document(self, document: Any) -> None:
        digest = document.digest()
        if self.known is None:
            self.digests.append(digest)
        else:
            self.num_known += digest in self.known

    def _document(self, i: int) -> Tokens:
        """Return the first tokens of document i, without its BOS."""
        start = int(self.starts[i])
        start += start > 0 or self.shards[0][0] == self.tokenizer.bos
        stop = min(int(self.starts[i + 1]) if i + 1 < len(self.starts) else self.num_tokens, start + SAMPLE_TOKENS)
        parts, begin = [], 0
        for shard in self.shards:
            if start < begin + len(shard) and stop > begin:
                parts.append(shard[max(start - begin, 0) : stop - begin])
            begin += len(shard)
        return np.concatenate(parts) if parts else np.zeros(0, np.uint16)

    def _refuse_foreign(self) -> None:
        """Decode and encode documents again; those that the tokenizer wrote come back token for token, but for a cut word."""
        chosen = np.unique(np.linspace(0, len(self.starts) - 1, SAMPLE_DOCUMENTS).astype(np.int64))
        stored = [document for document in (self._document(int(i)) for i in chosen) if len(document)]
        again = self.tokenizer.encode([self.tokenizer.decode(document.tolist()) for document in stored])
        num_stored, num_again = sum(map(len, stored)), sum(map(len, again))
        reproduced = sum(_common_prefix(a, b) for a, b in zip(stored, again, strict=True))
        if reproduced < LEAST_REPRODUCED_FRACTION * num_stored:
            raise ValueError(
                f"{self.paths[0].parent}: another tokenizer wrote the {self.split} shards. Of {len(stored)} documents decoded "
                f"and encoded again, {reproduced / num_stored:.0%} of the tokens came back as they were, and there are "
                f"{num_again / num_stored:.3f} times as many. Give the model that wrote them."
            )

    def write(self, building: Path) -> dict[str, Json]:
        """Link or copy the shards into the corpus folder, write the documents' table, return what the manifest says."""
        described = []
        for i, (path, shard) in enumerate(zip(self.paths, self.shards, strict=True)):
            linked = building / f"{self.split}_{i:06d}.bin"
            _link(path, linked)
            with linked.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            described.append({"file": linked.name, "tokens": len(shard), "sha256": sha256})
        write_documents(building, self.split, self.starts, self.num_tokens, None)
        return describe_split(len(self.starts), self.num_tokens, self.piece_bytes, None, described)


def _common_prefix(a: Tokens, b: Tokens) -> int:
    """Return how many tokens two documents share before they first differ."""
    count = min(len(a), len(b))
    different = np.flatnonzero(a[:count] != b[:count])
    return int(different[0]) if len(different) else count


def _link(path: Path, to: Path) -> None:
    source = path.resolve()  # a hub's cache holds symbolic links, and a hard link to one of them would dangle
    try:
        os.link(source, to)
    except OSError:
        shutil.copyfile(source, to)
