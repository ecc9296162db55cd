"""`mulligan report` and `mulligan study report`: one HTML file, and the numbers in it."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mulligan.cli.setting import DEFAULT_STORE, AsJson, Data, StoreFolder, StudySet

Out = Annotated[Path, Parameter(help="The HTML file to write.")]
Csv = Annotated[Path | None, Parameter(help="Also write every number: arm, seed, metric, value, unit.")]
Markdown = Annotated[Path | None, Parameter(help="Also write the body of a pull request.")]
Scale = Annotated[str | None, Parameter(help="Which scale of the study; default: the first in the file.")]


def report(
    run: Annotated[
        str, Parameter(help="A run's record in the store (RECIPE-seedN-digest), or as much of it as fits one only.")
    ],
    /,
    *,
    store: StoreFolder = DEFAULT_STORE,
    out: Out = Path("report.html"),
    csv: Csv = None,
    json: AsJson = False,
) -> int:
    """Write the page of a finished RUN: its readings, bytes, curves, recipe and provenance.

    RUN is the name of its record in the store (RECIPE-seedN-digest), or as much of its beginning as fits one run only.
    """
    from mulligan.report.numbers import run_rows, to_csv
    from mulligan.report.run_page import read_run, run_page
    from mulligan.store.store import Store

    check_folders(out, csv)
    kept = Store(store)
    result, road = read_run(run, kept)
    written = [write(out, run_page(result, road, kept))]
    if csv:
        written.append(write(csv, to_csv(run_rows(result))))
    _say(result, written, as_json=json)
    return 0


def study_report(
    file: Path,
    /,
    *,
    scale: Scale = None,
    data: Data = None,
    changes: StudySet | None = None,
    store: StoreFolder = DEFAULT_STORE,
    out: Out = Path("report.html"),
    csv: Csv = None,
    markdown: Markdown = None,
    json: AsJson = False,
) -> int:
    """Write the page of a study that was run: its answer, figures, tables and where the numbers come from."""
    from mulligan.engine.job import corpus_at
    from mulligan.report.load import load_result
    from mulligan.report.markdown import study_markdown
    from mulligan.report.numbers import study_rows, to_csv
    from mulligan.report.study_page import study_page
    from mulligan.store.store import Store
    from mulligan.study.config import load_study
    from mulligan.study.plan import lay_study

    check_folders(out, csv, markdown)
    kept = Store(store)
    laid = lay_study(load_study(file, scale, changes or []), corpus_at(data) if data else None, kept)
    result = load_result(laid, kept, file)
    written = [write(out, study_page(result, laid, kept))]
    if csv:
        written.append(write(csv, to_csv(study_rows(result))))
    if markdown:
        written.append(write(markdown, study_markdown(result)))
    _say(result, written, as_json=json)
    return 0


def check_folders(*paths: Path | None) -> None:
    """Raise ValueError for a file that is to be written into a folder that is not there."""
    for path in paths:
        if path is not None and not path.parent.is_dir():
            raise ValueError(f"{path}: the folder {path.parent} does not exist. Make it, or give another path.")


def write(path: Path, text: str) -> Path:
    """Write a text file and return its path."""
    path.write_text(text, "utf-8")
    return path


def _say(result: object, written: list[Path], *, as_json: bool) -> None:
    from mulligan.cli.terminal import out, print_json

    if as_json:
        print_json(result)
    else:
        for path in written:
            out.print(f"written    {path} ({path.stat().st_size:,} bytes)")
