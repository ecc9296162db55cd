"""`mulligan curves`: bits per byte of one or two scores by place, frequency or progress."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from mulligan.cli.report import Csv, check_folders, write
from mulligan.cli.setting import DEFAULT_STORE, AsJson, Data, StoreFolder
from mulligan.report.token_curve import By, Curves

if TYPE_CHECKING:
    from mulligan.store.store import Store
    from mulligan.values.corpus import Corpus

WHICH = "A reading of a run (RUN:READING, such as 'tiny-seed0:sliding quantized'), or a folder of scores."


def curves(
    first: Annotated[str, Parameter(help=WHICH)],
    second: Annotated[str | None, Parameter(help="Another, of the same corpus: the first is subtracted from it.")] = None,
    /,
    *,
    by: Annotated[By, Parameter(help="What to order tokens by; `updates` needs an adapted reading.")] = "window",
    data: Data = None,
    store: StoreFolder = DEFAULT_STORE,
    out: Annotated[Path, Parameter(help="The HTML file to write.")] = Path("curves.html"),
    csv: Csv = None,
    json: AsJson = False,
) -> int:
    """Draw bits per byte along the window, the document, the token's frequency in training, or the course of the scoring.

    Read from the stored nats of every token. A difference has an interval over documents: it says nothing of other seeds.
    """
    from mulligan.cli.terminal import out as terminal
    from mulligan.cli.terminal import print_json
    from mulligan.report.token_curve import token_curves
    from mulligan.report.token_curve_page import curve_page, curve_rows
    from mulligan.store.store import Store

    check_folders(out, csv)
    kept = Store(store)
    folders = {name: _folder_of(name, kept) for name in (first, second) if name is not None}
    if second == first:
        raise ValueError(f"{first} is given twice. Give another score to compare it with, or one alone.")
    summaries = [_summary(folder) for folder in folders.values()]
    found = token_curves(folders, summaries, _corpus(summaries[0]["corpus"], data, kept), by)
    rows = curve_rows(found)
    written = [write(out, curve_page(found))]
    if csv:
        lines = (",".join("" if value is None else str(value) for value in row) for row in rows)
        written.append(write(csv, "\n".join(lines) + "\n"))
    if json:
        print_json([dict(zip(rows[0], row, strict=True)) for row in rows[1:]])
        return 0
    _print(found)
    for path in written:
        terminal.print(f"written    {path} ({path.stat().st_size:,} bytes)")
    return 0


def _folder_of(name: str, store: "Store") -> Path:
    """Return where the scores of a folder or of a run's reading lie; ValueError lists the readings that there are."""
    from mulligan.report.run_page import find_record, road_of

    if (Path(name) / "tokens.parquet").is_file():
        return Path(name)
    run, _, reading = name.partition(":")
    road = road_of(*find_record(run, store), store)
    scores = {job.name: job for job in road.jobs if job.call.stage == "evaluate"}
    if reading not in scores:
        raise ValueError(
            f"{name}: which reading of {run}? Give one of: {', '.join(repr(f'{run}:{there}') for there in scores)}."
        )
    return store.open(scores[reading].call).folder


def _summary(folder: Path) -> dict[str, Any]:
    import json

    found: dict[str, Any] = json.loads((folder / "summary.json").read_text("utf-8"))
    return found


def _corpus(digest: str, data: Path | None, store: "Store") -> "Corpus":
    """Return the corpus of that digest: the one given, or one in the store."""
    from mulligan.values.corpus import Corpus

    made = [entry.folder for entry in store.entries() if entry.manifest["header"]["stage"] == "data"]
    for folder in [data] if data else made:
        corpus = Corpus.load(folder)
        if corpus.digest == digest:
            return corpus
    if data:
        raise ValueError(f"--data {data}: another corpus than that of the scores. Give the scores' own.")
    raise ValueError("These scores are of a corpus that is not in the store. Give it: --data DIR.")


def _print(found: Curves) -> None:
    from mulligan.cli.terminal import out, print_table

    columns, compared = ["place", "tokens", *("bits/byte" for _ in found.names)], found.difference is not None
    columns += ["difference, mBPB", "95 % over documents"] if compared else []
    print_table(f"bits per byte by {found.by}", columns, list(_lines(found)), right=tuple(range(len(columns))))
    for name, order in zip(found.names, ("first", "second"), strict=False):
        out.print(f"{order:<10} {name}")


def _lines(found: Curves) -> Iterator[list[str]]:
    for i, (place, tokens) in enumerate(zip(found.curves[0].place, found.curves[0].tokens, strict=True)):
        line = [f"{place:,.1f}", f"{tokens:,.0f}", *(f"{curve.bits_per_byte[i]:.4f}" for curve in found.curves)]
        if found.difference is not None and found.low is not None and found.high is not None:
            known = found.low[i] == found.low[i]  # a bin of one document has no interval
            between = f"[{1000 * found.low[i]:+.1f}, {1000 * found.high[i]:+.1f}]" if known else ""
            line += [f"{1000 * found.difference[i]:+.1f}", between]
        yield line
