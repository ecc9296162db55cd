"""Scores: the nats of every scored token, sums per document, and the full address of the score."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from mulligan.core.canonical import Json, canonical_json

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Scores:
    """Per target in stream order: `nats` float32, `document` and `position_in_window` int32; `documents` by column.

    `documents` holds nats (float64), tokens, piece_bytes, and raw_bytes where known, one row a document. `summary` is the
    score and its address: windows, context_len, stride, corpus, validation_documents, bytes_kind, legal.
    """

    nats: Array
    document: Array
    position_in_window: Array
    documents: dict[str, Array]
    summary: dict[str, Json]

    def save(self, folder: Path) -> None:
        """Write tokens.parquet, documents.parquet and summary.json."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        columns = {"nats": self.nats, "document": self.document, "position_in_window": self.position_in_window}
        pq.write_table(
            pa.table(columns),
            folder / "tokens.parquet",
            compression="zstd",
            use_dictionary=["document"],
            column_encoding={"nats": "BYTE_STREAM_SPLIT", "position_in_window": "DELTA_BINARY_PACKED"},
        )
        pq.write_table(pa.table(self.documents), folder / "documents.parquet", compression="zstd")
        (folder / "summary.json").write_text(canonical_json(self.summary), "utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote; ValueError when the files are none of ours."""
        import pyarrow.parquet as pq

        try:
            tokens, documents = pq.read_table(folder / "tokens.parquet"), pq.read_table(folder / "documents.parquet")
            return cls(
                tokens["nats"].to_numpy(),
                tokens["document"].to_numpy(),
                tokens["position_in_window"].to_numpy(),
                {name: documents[name].to_numpy() for name in documents.column_names},
                json.loads((folder / "summary.json").read_text("utf-8")),
            )
        except (KeyError, ValueError) as error:
            raise ValueError(f"{folder}: not scores of ours ({error}). Give the folder of an evaluate stage.") from None
