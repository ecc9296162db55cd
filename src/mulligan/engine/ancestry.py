"""What a file was made from, as a store remembers it: its bytes are looked up, and the keys that it was made from followed."""

import hashlib
from pathlib import Path

from mulligan.store.store import Store


def corpus_behind(file: Path, store: Store) -> Path:
    """Return the folder of the stored corpus that an artifact or weights were trained on.

    ValueError where the store does not know these bytes, or where they were trained on a corpus from outside.
    """
    with file.open("rb") as opened:
        sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    entries = {entry.folder.name: entry for entry in store.entries()}
    made = [key for key, entry in entries.items() if any(kept["sha256"] == sha256 for kept in entry.manifest["files"].values())]
    if not made:
        raise ValueError(
            f"{file}: no value of the store {store.root} has these bytes, so what they were trained on is not known. "
            "Give the corpus, --data DIR, or the store in which they were made, --store DIR."
        )
    seen: set[str] = set()
    while made:
        key = made.pop()
        if key not in entries or key in seen:
            continue
        seen.add(key)
        if entries[key].manifest["header"]["stage"] == "data":
            return entries[key].folder
        made += entries[key].manifest["header"]["inputs"]
    raise ValueError(f"{file}: trained on a corpus that is not in the store {store.root}. Give that corpus: --data DIR.")
