"""`mulligan submit`: record folders, built, checked, and written from a study. Nothing is sent anywhere."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from mulligan.cli.audit import FAILED, NOT_ALL_CHECKED, conclusion
from mulligan.cli.setting import DEFAULT_STORE, AsJson, Data, Device, StoreFolder, StudySet, Threads, make_execution

if TYPE_CHECKING:
    from mulligan.submit.submitted import Submitted

app = App(name="submit", help="Write and check the folder of a record or of a study; nothing is sent anywhere.")


@app.command
def build(
    runs: Annotated[
        tuple[str, ...], Parameter(help="Runs of one recipe, a seed each: their records in the store, or as much as fits one.")
    ],
    /,
    *,
    out: Annotated[Path, Parameter(help="A new or empty folder.")],
    form: Annotated[Literal["packed", "minified", "readable"], Parameter(help="How train_gpt.py is written.")] = "packed",
    log: Annotated[
        tuple[Path, ...], Parameter(negative="", help="What train_gpt.py printed, one a run: writes the whole folder.")
    ] = (),
    parent: Annotated[str | None, Parameter(help="The recipe that this one was made from.")] = None,
    track: Annotated[Literal["record", "non-record"], Parameter(help="Which track the folder is for.")] = "record",
    name: Annotated[str | None, Parameter(help="The submission's name. Default: the recipe's.")] = None,
    author: Annotated[str, Parameter(help="Who submits.")] = "",
    github_id: Annotated[str, Parameter(help="Their name at GitHub.")] = "",
    blurb: Annotated[str, Parameter(help="What it is, in a sentence or two.")] = "",
    data: Data = None,
    store: StoreFolder = DEFAULT_STORE,
    json: AsJson = False,
) -> int:
    """Write train_gpt.py, exactly the code that RUN's recipe uses, without mulligan; with its logs, the whole record folder.

    Exit codes: 0 done, 2 usage.
    """
    from mulligan.cli.road import corpus_of
    from mulligan.cli.terminal import out as terminal
    from mulligan.cli.terminal import print_json
    from mulligan.core.units import format_bytes
    from mulligan.one_file.form import build as build_code
    from mulligan.recipe import load_recipe
    from mulligan.report.run_page import read_run
    from mulligan.store.store import Store
    from mulligan.submit.folder import About, own_tokenizer, read_runs, write_folder, write_script

    kept = Store(store)
    found = [read_run(run, kept) for run in runs]
    result, road = found[0]
    code = build_code(road.recipe)
    at_hand = data is not None or road.jobs[0].call.stage == "data"
    tokenizer = own_tokenizer(corpus_of(road, result["name"], data, kept).path) if at_hand else None
    if log:
        about = About(name or result["recipe"], author, github_id, blurb)
        from_ = (parent, load_recipe(parent)) if parent else None
        write_folder(out, read_runs(found, log), code[form], about, track=track, parent=from_, tokenizer=tokenizer)
    else:
        write_script(out, road.recipe, code[form], tokenizer)
    sizes = {name: len(written) for name, written in code.items()}
    if json:
        print_json({"runs": [result["name"] for result, _ in found], "folder": str(out), "form": form, "bytes": sizes})
        return 0
    for name_of_form, size in sizes.items():
        terminal.print(
            f"{name_of_form:<9} {format_bytes(size):>10}" + (f"   {out / 'train_gpt.py'}" if name_of_form == form else "")
        )
    return 0


@app.command
def check(
    folder: Path,
    /,
    *,
    against: Annotated[str | None, Parameter(help="The reference: a record folder, or scores: 1.0810,1.0822:bpb.")] = None,
    track: Annotated[Literal["record", "non-record"] | None, Parameter(help="Default: as the folder says.")] = None,
    since: Annotated[str | None, Parameter(help="Also check what the branch adds since this commit.")] = None,
    artifact: Annotated[Path | None, Parameter(help="The artifact of one log, for the judge.")] = None,
    data: Data = None,
    store: StoreFolder = DEFAULT_STORE,
    device: Device = "auto",
    threads: Threads = None,
    json: AsJson = False,
) -> int:
    """Check the record folder FOLDER, anybody's, rule by rule: files, bytes, logs, scores, code, legality, evidence.

    No code of the folder is run. Exit codes: 0 every rule of its track passes, 1 one fails, 2 usage, 7 none fails but
    something could not be checked here.
    """
    from mulligan.cli.terminal import show_progress
    from mulligan.store.store import Store
    from mulligan.submit.check import check as check_folder
    from mulligan.submit.check import missing, of_track
    from mulligan.submit.check_legal import AtHand
    from mulligan.submit.submitted import Submitted

    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder.")
    submitted = Submitted(folder, track)
    with show_progress() as progress:
        at_hand = AtHand(Store(store), artifact, data, partial(make_execution, device, threads, False), progress)
        checked = check_folder(submitted, at_hand, against, since)
    findings = [vars(found) for found in of_track(checked, submitted.track)]
    result = {"folder": str(folder), "track": submitted.track, "findings": findings, "missing": missing(checked)}
    if json:
        from mulligan.cli.terminal import print_json

        print_json(result)
    else:
        _print(submitted, result)
    verdicts = {found["verdict"] for found in findings}
    return FAILED if "fail" in verdicts else NOT_ALL_CHECKED if "not checked" in verdicts else 0


def _print(submitted: "Submitted", result: dict[str, Any]) -> None:
    from mulligan.cli.terminal import out, print_table

    rows = [
        [found["rule"], found["verdict"].upper() if found["verdict"] == "fail" else found["verdict"], found["evidence"]]
        for found in result["findings"]
    ]
    print_table(f"{submitted.folder.resolve().name}, {result['track']} track", ["rule", "verdict", "evidence"], rows)
    out.print(conclusion(result["findings"]))
    for track, found in result["missing"].items():
        said = "; ".join(f"{verdict}: {', '.join(rules)}" for verdict, rules in found.items() if rules)
        out.print(f"{track:<11} {said or 'nothing is missing'}")


@app.command
def study(
    file: Path,
    /,
    *,
    out: Annotated[Path, Parameter(help="The folder to write: new or empty.")],
    name: Annotated[str, Parameter(help="The title; default: the study's question.")] = "",
    author: Annotated[str, Parameter(help="Who submits.")] = "",
    github_id: Annotated[str, Parameter(help="The submitter's name on GitHub.")] = "",
    scale: Annotated[str | None, Parameter(help="Which scale of the study; default: the first in the file.")] = None,
    data: Data = None,
    changes: StudySet | None = None,
    store: StoreFolder = DEFAULT_STORE,
) -> int:
    """Write the non-record folder of FILE, a study that was run: levers, verdicts, findings, a log a cell, recipes."""
    from mulligan.cli.terminal import out as terminal
    from mulligan.engine.job import corpus_at
    from mulligan.one_file.form import build as build_form
    from mulligan.report.load import load_result
    from mulligan.store.store import Store
    from mulligan.study.config import load_study
    from mulligan.study.plan import lay_study
    from mulligan.submit.folder import About
    from mulligan.submit.study_folder import write_study

    kept = Store(store)
    laid = lay_study(load_study(file, scale, changes or []), corpus_at(data) if data else None, kept)
    command = ["mulligan", "study", "run", file.name, *(["--scale", scale] if scale else [])]
    command += [part for change in changes or [] for part in ("--set", change)]
    write_study(
        out,
        load_result(laid, kept, file),
        laid,
        kept,
        About(name, author, github_id),
        command,
        lambda recipe: build_form(recipe)["packed"],
    )
    terminal.print(f"written    {out} ({sum(path.is_file() for path in out.rglob('*'))} files)")
    terminal.print(f"next       mulligan submit check {out} --track non-record")
    return 0
