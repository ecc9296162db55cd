"""`mulligan evaluate`: score a packed artifact or a weights file on a corpus."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from mulligan.cli.setting import AsJson, Compile, Device, Set, Threads


def evaluate(
    artifact_or_weights: Path,
    /,
    *,
    data: Annotated[Path, Parameter(help="A prepared corpus; its validation split is scored.")],
    recipe: Annotated[
        str | None, Parameter(help="Take windows, precision and validation_documents from this recipe.")
    ] = None,
    windows: Annotated[
        Literal["flat", "sliding", "document-isolated"] | None, Parameter(help="Which windows; default: flat.")
    ] = None,
    context_len: Annotated[int | None, Parameter(help="Tokens that a window sees. Default: 1024.")] = None,
    stride: Annotated[int | None, Parameter(help="Tokens between windows. Default: 64 (not for flat).")] = None,
    validation_documents: Annotated[int | None, Parameter(help="Score the first N documents only.")] = None,
    out: Annotated[
        Path | None, Parameter(help="Write the scores (Parquet, per token and per document) to this new folder.")
    ] = None,
    changes: Set | None = None,
    device: Device = "auto",
    threads: Threads = None,
    compile: Compile = False,
    json: AsJson = False,
) -> int:
    """Score the validation split of a corpus; an artifact is unpacked from its bytes into a fresh model."""
    return 0
