"""`mulligan pareto`: score against bytes for one checkpoint."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from mulligan.cli.report import Out, check_folders, write
from mulligan.cli.setting import DEFAULT_STORE, AsJson, Data, Device, StoreFolder, Threads

if TYPE_CHECKING:
    from mulligan.fit.pareto import Measured
    from mulligan.numerics.config import Family


def pareto(
    run: Annotated[str, Parameter(help="A run's record in the store (RECIPE-seedN-digest), or as much as fits one only.")],
    /,
    *,
    data: Data = None,
    store: StoreFolder = DEFAULT_STORE,
    points: Annotated[int, Parameter(help="About how many ways of storing it to try.")] = 200,
    documents: Annotated[int, Parameter(help="Score on that many documents, the last of the train split.")] = 16,
    device: Device = "auto",
    threads: Threads = None,
    out: Out = Path("pareto.html"),
    csv: Annotated[
        Path | None, Parameter(help="Also write a row per point: formats, bytes, scores, whether on the front.")
    ] = None,
    json: AsJson = False,
) -> int:
    """Store the checkpoint of a finished RUN in hundreds of ways, pack and score each, and mark those that no other beats.

    Nothing is trained. Scores are of train documents, since a choice made on validation would be one made on the test. Stopped,
    it goes on where it was.
    """
    from mulligan.cli.road import corpus_of
    from mulligan.cli.setting import make_execution
    from mulligan.cli.terminal import print_json, show_progress
    from mulligan.core.execution import Execution
    from mulligan.fit.pareto import front, measure, variants
    from mulligan.report.pareto_page import pareto_page, pareto_rows
    from mulligan.report.run_page import read_run
    from mulligan.store.store import Store

    if points < 2 or documents < 1:
        raise ValueError(f"--points {points} --documents {documents}: give 2 points or more, and 1 document or more.")
    check_folders(out, csv)
    kept = Store(store)
    result, road = read_run(run, kept)
    corpus = corpus_of(road, result["name"], data, kept)
    todo = variants(road.recipe, points)
    execution: Execution = make_execution(device, threads, False)
    with show_progress() as progress:
        given = Execution(execution.device, progress=progress)
        measured = list(measure(todo, road, corpus, kept, documents, given))
    best = front(measured)
    rows = pareto_rows(measured, best)
    write(out, pareto_page(result["name"], road.recipe, measured, best, documents))
    if csv:
        write(csv, "\n".join(",".join(map(str, row)) for row in rows) + "\n")
    if json:
        print_json([dict(zip(rows[0], row, strict=True)) for row in rows[1:]])
    else:
        _print(road.recipe.grid.families, best, measured, out, csv)
    return 0


def _print(
    families: "Sequence[Family]", best: "list[Measured]", measured: "list[Measured]", page: Path, csv: Path | None
) -> None:
    from mulligan.cli.terminal import out, print_table

    numbers = sorted(best[0].formats)
    rows = [
        [
            *(point.formats[i] for i in numbers),
            f"{point.payload_bytes:,}",
            f"{point.train_bits_per_byte:.4f}",
            "own" * point.is_own,
        ]
        for point in best
    ]
    columns = [*(", ".join(families[i].match) for i in numbers), "payload bytes", "train bits/byte", ""]
    print_table("the front: no other is smaller and better", columns, rows, right=(len(numbers), len(numbers) + 1))
    own = next(point for point in measured if point.is_own)
    out.print(f"own        {own.payload_bytes:,} bytes, {own.train_bits_per_byte:.4f} train bits/byte; {len(measured)} points")
    for path in (page, csv):
        if path is not None:
            out.print(f"written    {path} ({path.stat().st_size:,} bytes)")
