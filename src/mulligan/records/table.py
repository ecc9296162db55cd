"""The table of records: one row per figure, fact or finding, as Parquet. docs/records.md names every column."""

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Kind = Literal["run", "stated", "about", "lever", "lineage", "finding"]
"""run: from a log. stated: claimed in README or submission.json. finding: what disagrees, or could not be read."""


@dataclass(frozen=True)
class Row:
    """A figure and where it stands. `text` is how it is written there; `line` counts from 1; `value` None: no number."""

    kind: Kind
    name: str
    value: float | None = None
    text: str = ""
    reading: str = ""
    run: str = ""
    seed: int | None = None
    file: str = ""
    line: int | None = None
    track: str = ""
    folder: str = ""
    revision: str = ""
    pull_request: int | None = None


NUMBERS = ("value",)
INTEGERS = ("seed", "line", "pull_request")


def write_table(path: Path, rows: Iterable[Row]) -> None:
    """Write the rows as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = [field.name for field in dataclasses.fields(Row)]
    types = {name: pa.float64() if name in NUMBERS else pa.int64() if name in INTEGERS else pa.string() for name in columns}
    kept = list(rows)
    data = {name: pa.array([getattr(row, name) for row in kept], types[name]) for name in columns}
    pq.write_table(pa.table(data), path)


def read_table(path: Path) -> list[Row]:
    """Return the rows; ValueError where the file is no such table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise ValueError(f"{path}: no such file. Make one with `mulligan records import CLONE --out {path}`.")
    try:
        found = pq.read_table(path)
    except pa.ArrowInvalid as error:
        raise ValueError(f"{path}: no Parquet file ({error}). Make one with `mulligan records import`.") from None
    columns = [field.name for field in dataclasses.fields(Row)]
    if missing := sorted(set(columns) - set(found.column_names)):
        raise ValueError(
            f"{path}: no table of records, it lacks {', '.join(missing)}. Make one with `mulligan records import`."
        )
    return [Row(**row) for row in found.select(columns).to_pylist()]
