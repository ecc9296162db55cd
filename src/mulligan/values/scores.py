"""Scores: the nats of every scored token, sums per document, and the full address of the score."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from mulligan.core.canonical import Json, canonical_json

if TYPE_CHECKING:
    import pyarrow.parquet as pq

Array = np.ndarray[Any, np.dtype[Any]]
COLUMNS = ("nats", "document", "position_in_window", "updates", "times_counted")


@dataclass(frozen=True)
class Scores:
    """Per target in stream order: `nats` float32, `document` and `position_in_window` int32; `documents` by column.

    `documents` holds nats (float64), tokens, piece_bytes, and raw_bytes where known, one row a document. `summary` is the
    score and its address: windows, context_len, stride, corpus, validation_documents, bytes_kind, legal.
    `updates` int32: how often the weights had been updated when a target was scored, where they are. `times_counted` int32: how
    often a target was counted, where that is not once; nats are then the mean.
    """

    nats: Array
    document: Array
    position_in_window: Array
    documents: dict[str, Array]
    summary: dict[str, Json]
    updates: Array | None = None
    times_counted: Array | None = None

    def save(self, folder: Path) -> None:
        """Write tokens.parquet, documents.parquet and summary.json."""
        columns = {name: getattr(self, name) for name in COLUMNS if getattr(self, name) is not None}
        with ScoreWriter(folder) as writer:
            writer.write(columns)
            writer.finish(self.documents, self.summary)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; ValueError when the files are none of ours."""
        import pyarrow.parquet as pq

        try:
            tokens, documents = pq.read_table(folder / "tokens.parquet"), pq.read_table(folder / "documents.parquet")
            return cls(
                **{name: tokens[name].to_numpy() for name in dict.fromkeys((*COLUMNS[:3], *tokens.column_names))},
                documents={name: documents[name].to_numpy() for name in documents.column_names},
                summary=json.loads((folder / "summary.json").read_text("utf-8")),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"{folder}: not scores of ours ({error}). Give the folder of an evaluate stage.") from None


class ScoreWriter:
    """Writes the files of `Scores` into a folder, block by block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file: pq.ParquetWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, columns: dict[str, Array]) -> None:
        """Append the columns of some targets, which go on where the last ones ended."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = pa.table(columns)
        if self._file is None:
            packed = [name for name in columns if name not in ("nats", "document")]
            encoding = {"nats": "BYTE_STREAM_SPLIT", **dict.fromkeys(packed, "DELTA_BINARY_PACKED")}
            self._file = pq.ParquetWriter(
                self.folder / "tokens.parquet",
                table.schema,
                compression="zstd",
                use_dictionary=["document"],
                column_encoding=encoding,
            )
        self._file.write_table(table)

    def finish(self, documents: dict[str, Array], summary: dict[str, Json]) -> None:
        """Write the sums per document and the summary."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.table(documents), self.folder / "documents.parquet", compression="zstd")
        (self.folder / "summary.json").write_text(canonical_json(summary), "utf-8")
