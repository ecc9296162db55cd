"""Documents from local text: files, folders of files, JSONL(.gz) and Parquet; streamed, never all in memory."""

import gzip
import json
import zlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

PARQUET_ROWS = 1024


@dataclass(frozen=True)
class Document:
    """One text and where it came from, for messages."""

    name: str
    text: str


def read_documents(source: Path) -> Iterator[Document]:
    """Yield the documents of a file or folder, in order; ValueError names file and line of whatever cannot be read.

    `.jsonl` and `.jsonl.gz` hold one object with a "text" a line, `.parquet` a column "text"; any other file is one document
    of UTF-8 text; a folder is its files, sorted by path, hidden ones left out. A document without text is skipped.
    """
    if source.is_dir():
        files = [path for path in source.rglob("*") if path.is_file()]
        shown = [path for path in files if not any(part.startswith(".") for part in path.relative_to(source).parts)]
        for path in sorted(shown):
            yield from read_documents(path)
        return
    if not source.is_file():
        raise ValueError(f"{source}: no such file or folder. Give text, .jsonl, .jsonl.gz or .parquet, or a folder of them.")
    if source.name.endswith((".jsonl", ".jsonl.gz")):
        found = _read_jsonl(source)
    elif source.suffix == ".parquet":
        found = _read_parquet(source)
    else:
        found = _read_text(source)
    yield from (document for document in found if document.text.strip())


def _read_text(path: Path) -> Iterator[Document]:
    try:
        yield Document(str(path), path.read_bytes().decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 text ({error}). Convert it, or give .jsonl or .parquet.") from None


def _read_jsonl(path: Path) -> Iterator[Document]:
    lines = _lines(path)
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                text = _text_of(json.loads(line))
            except (ValueError, RecursionError) as error:
                lines.close()
                raise ValueError(f'{path}:{number}: {error}. Each line must be a JSON object with a string "text".') from None
            yield Document(f"{path}:{number}", text)


def _lines(path: Path) -> Generator[bytes, None, None]:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            yield from file
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{path}: cannot be read ({error}). The file is damaged or cut short; fetch it again.") from None


def _text_of(row: object) -> str:
    text = row.get("text") if isinstance(row, dict) else None
    if not isinstance(text, str):
        raise ValueError(f"no text in {str(row)[:60]}")
    text.encode("utf-8")  # JSON can spell half of a surrogate pair, which is no text
    return text


def _read_parquet(path: Path) -> Iterator[Document]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    row = 0
    try:
        with pq.ParquetFile(path) as file:
            schema = file.schema_arrow
            if "text" not in schema.names or schema.field("text").type not in (pa.string(), pa.large_string()):
                columns = ", ".join(f"{field.name} ({field.type})" for field in schema)
                raise ValueError(f'{path}: no column "text" of strings; it has {columns}.')
            for batch in file.iter_batches(PARQUET_ROWS, columns=["text"]):
                for text in batch["text"].to_pylist():
                    yield Document(f"{path}, row {row}", text or "")
                    row += 1
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path}: cannot be read as Parquet after row {row} ({error}). Fetch or write it again.") from None
