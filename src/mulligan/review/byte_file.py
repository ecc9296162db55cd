"""Tables of bytes per token that lie in a file beside the script: read as numbers only, at most `MOST_BYTES` of them."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

MOST_BYTES = 4 << 20
FEWEST_TOKENS = 256
FIRST = 320
"""Where vocabularies list their single bytes: among the first of their tokens."""
FEWEST_WRONG = 8


def integer_tables(path: Path) -> Iterator[tuple[str, list[int]]]:
    """Yield (key, entries) of the rows of whole numbers in an .npz; nothing where it cannot be read as that."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = [one.filename.removesuffix(".npy") for one in archive.infolist() if one.file_size <= MOST_BYTES]
        with np.load(path, allow_pickle=False) as held:
            for name in names:
                values = held[name]
                if values.ndim == 1 and values.dtype.kind in "iu" and len(values) >= FEWEST_TOKENS:
                    yield name, [int(one) for one in values]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, NotImplementedError, RuntimeError):
        return


def bytes_counted_as_three(entries: list[int]) -> tuple[int, int] | None:
    """Return (first, last) of single bytes that count three, the length of U+FFFD, which a byte alone decodes to.

    Told by their place: a run of threes in the midst of the single bytes, which count one, at the vocabulary's beginning.
    """
    first = None
    for i, entry in enumerate(entries[:FIRST]):
        if entry == 3 and first is None:
            first = i
        elif entry != 3 and first is not None:
            if (
                i - first >= FEWEST_WRONG
                and entry == 1
                and entries[max(first - FEWEST_WRONG, 0) : first].count(1) == FEWEST_WRONG
            ):
                return first, i - 1
            first = None
    return None
