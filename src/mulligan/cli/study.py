"""`mulligan study`: plan, run, watch and report a study."""

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from mulligan.cli.setting import DEFAULT_STORE, AsJson, Data, Device, StoreFolder, StudySet, lever_options

if TYPE_CHECKING:
    from mulligan.store.store import Store
    from mulligan.study.plan import Cost, LaidStudy

STALE_SECONDS = 10.0
"""A status older than this was left by a run that was killed."""

app = App(name="study", help="Plan, run, watch and report a study.")

Scale = Annotated[str | None, Parameter(help="Which scale of the study; default: the first in the file.")]
Workers = Annotated[int | None, Parameter(help="Processes at once; default: as cores and memory allow.")]
WorkerThreads = Annotated[int | None, Parameter(help="Threads of each process; default: the cores shared out.")]


def _lay(file: Path, scale: str | None, data: Path | None, changes: list[str] | None, store: "Store") -> "LaidStudy":
    from mulligan.engine.job import corpus_at
    from mulligan.study.config import load_study
    from mulligan.study.plan import lay_study

    study = load_study(file, scale, changes or [])
    return lay_study(study, corpus_at(data) if data else None, store)


@app.command
def plan(
    file: Path,
    /,
    *,
    scale: Scale = None,
    data: Data = None,
    changes: StudySet | None = None,
    store: StoreFolder = DEFAULT_STORE,
    workers: Workers = None,
    price_per_hour: Annotated[float | None, Parameter(help="Price of this machine per hour, for the cost.")] = None,
    json: AsJson = False,
) -> int:
    """Show what FILE asks: arms, what they share, what is left to run, and which effects so many seeds can show."""
    from mulligan.cli.terminal import print_json
    from mulligan.store.store import Store
    from mulligan.study.plan import cost_of
    from mulligan.study.pool_size import pool_size
    from mulligan.study.power import power_of

    kept = Store(store)
    laid = _lay(file, scale, data, changes, kept)
    cost, power = cost_of(laid, kept), power_of(laid.config)
    seconds = cost.seconds / pool_size(laid, workers, None).workers
    money = None if price_per_hour is None else price_per_hour * seconds / 3600
    result = {
        "question": laid.config.question,
        "arms": [{"name": arm.name, "difference": arm.difference} for arm in laid.arms],
        "seeds": list(laid.config.seeds),
        "segments": cost.segments,
        "steps_to_run": cost.steps_to_run,
        "steps_without_sharing": laid.steps_without_sharing,
        "stages_to_run": cost.stages_to_run,
        "seconds": seconds,
        "stages_of_unknown_length": cost.unknown_stages,
        "state_bytes": cost.state_bytes,
        "price": money,
        "power": power,
    }
    if json:
        print_json(result)
    else:
        again = f"{file}" + (f" --scale {scale}" if scale else "") + (f" --data {data}" if data else "")
        again += "".join(f" --set {shlex.quote(change)}" for change in changes or [])
        _print_plan(laid, cost, result, again + (f" --store {store}" if store != DEFAULT_STORE else ""))
    return 0


def _print_plan(laid: "LaidStudy", cost: "Cost", result: dict[str, Any], again: str) -> None:
    from mulligan.cli.terminal import out, print_table
    from mulligan.core.units import format_bytes
    from mulligan.study.design import alias_table

    study = laid.config
    out.print(study.question)
    out.print(
        f"held equal: {study.budget.kind}; primary metric: {study.metric}; margin {study.margin_bpb} bpb, alpha {study.alpha}"
    )
    out.print()
    rows = [[arm.name, _difference(arm.difference)] for arm in laid.arms]
    print_table("arms", ["arm", "differs from the baseline in"], rows)
    for line in alias_table(study):
        out.print(f"alias      {line}")
    share = cost.steps_to_run / max(laid.steps_without_sharing, 1)
    out.print(f"cells      {len(laid.arms)} arms x {len(study.seeds)} seeds {list(study.seeds)}")
    if not laid.steps_without_sharing:
        out.print("steps      none of ours: nothing is shared between cells")
    out.print(
        f"steps      {cost.steps_to_run:,} to run in {cost.segments} segments; {laid.steps_without_sharing:,} without "
        f"sharing ({share:.0%})"
    )
    if any(cell.pending for cell in laid.cells):
        out.print("fit        knobs are not settled: their next stages are counted, and what the searches go on to try is not")
    unknown = f", and {cost.unknown_stages} stages of unknown length" if cost.unknown_stages else ""
    stored = len(laid.jobs) - cost.stages_to_run
    reused = f", {stored} stored already or not needed" if stored else ""
    out.print(f"stages     {cost.stages_to_run} to run{reused}; about {result['seconds']:.0f} s{unknown}")
    out.print(f"states     about {format_bytes(cost.state_bytes)}")
    if result["price"] is not None:
        out.print(f"price      {result['price']:.2f}")
    for line in result["power"]["lines"]:
        out.print(f"power      {line}")
    out.print(f"next       mulligan study run {again}{lever_options()}")


def _difference(difference: dict[str, Any]) -> str:
    from mulligan.cli.terminal import said

    return "; ".join(f"{path}: {said(here)} -> {said(there)}" for path, (here, there) in difference.items()) or "(baseline)"


@app.command
def run(
    file: Path,
    /,
    *,
    scale: Scale = None,
    data: Data = None,
    changes: StudySet | None = None,
    store: StoreFolder = DEFAULT_STORE,
    workers: Workers = None,
    threads: WorkerThreads = None,
    device: Device = "auto",
    segment_seconds: Annotated[float, Parameter(help="Publish a training state about this often.")] = 30.0,
    json: AsJson = False,
) -> int:
    """Run what is missing of FILE on all cores, and say what it found. Killed, it goes on where it was; cells that fail
    are recorded, and the rest goes on. Exit code 1 when cells failed."""
    from mulligan.cli.setting import make_execution
    from mulligan.cli.terminal import print_json
    from mulligan.store.store import Store
    from mulligan.study.execute import run_study
    from mulligan.study.pool_size import pool_size

    kept = Store(store)
    laid = _lay(file, scale, data, changes, kept)
    device = make_execution(device, threads, False, segment_seconds=segment_seconds).device
    size = pool_size(laid, workers, threads, device)
    result = run_study(laid, kept, size, device=device, segment_seconds=segment_seconds, report=_Watcher())
    if json:
        print_json(result)
    else:
        print_result(result)
    return int(any(cell["status"] != "done" for cell in result["cells"]))


class _Watcher:
    """Prints how far a study is: a line now and then."""

    def __init__(self, every_seconds: float = 10.0) -> None:
        self.every_seconds, self.last = every_seconds, 0.0

    def __call__(self, status: dict[str, Any]) -> None:
        from mulligan.cli.terminal import err

        if status["seconds"] - self.last >= self.every_seconds:
            self.last = status["seconds"]
            err.print(progress_line(status), soft_wrap=True)


def progress_line(status: dict[str, Any]) -> str:
    """Return the progress of a study in one line."""
    left = "" if status["seconds_left"] is None else f", about {status['seconds_left']:.0f} s left"
    failed = f", {status['stages_failed']} stages failed" if status["stages_failed"] else ""
    return (
        f"{status['seconds']:.0f} s{left}: {status['cells_done']} of {status['cells']} cells, "
        f"{status['steps_done']:,} of {status['steps']:,} steps at {status['steps_per_second']} a second{failed}; "
        + "; ".join(status["running"])
    )


def print_result(result: dict[str, Any]) -> None:
    """Print the verdicts of a study."""
    from mulligan.cli.terminal import out, print_table

    study, primary = result["study"], result["primary"]
    out.print(study["question"])
    out.print()
    failed = [cell for cell in result["cells"] if cell["status"] != "done"]
    rows = []
    for arm, values in primary["values"].items():
        numbers = list(values.values())
        mean = f"{sum(numbers) / len(numbers):.4f}" if numbers else ""
        verdict = primary["verdicts"].get(arm)
        said = "baseline" if arm == result["baseline"] else "no values" if verdict is None else verdict["word"]
        text = "" if verdict is None else verdict["text"]
        if arm in primary["wrong_on_purpose"]:
            text = f"WRONG ON PURPOSE ({primary['wrong_on_purpose'][arm]}); {text}"
        if arm in primary["illegal"]:
            text = f"ILLEGAL score, no claim can rest on it; {text}"
        rows.append([arm, str(len(numbers)), mean, said, text])
    print_table(
        f"{primary['name']} ({primary['unit']}, lower is better)", ["arm", "n", "mean", "verdict", ""], rows, right=(1, 2)
    )
    effects = {effect["name"]: effect["by_seed"] for kind in primary["effects"].values() for effect in kind}
    for name, verdict in primary["effect_verdicts"].items():
        low, high = effects[name]["low"], effects[name]["high"]
        out.print(f"effect     {name}: {verdict['word']}: {verdict['text']}; seed by seed [{low:+.4g}, {high:+.4g}]")
    steps = result["steps"]
    out.print(f"steps      {steps['executed']:,} run, {steps['without_sharing']:,} without sharing")
    for cell in failed:
        first, *rest = (cell["error"] or "").splitlines() or [""]
        more = " ... (the page has it whole)" if rest else ""
        out.print(f"{cell['status']:<10} {cell['arm']}, seed {cell['seed']}: {first}{more}")


@app.command
def status(
    file: Path,
    /,
    *,
    scale: Scale = None,
    data: Data = None,
    changes: StudySet | None = None,
    store: StoreFolder = DEFAULT_STORE,
    json: AsJson = False,
) -> int:
    """Show how far FILE is, from another terminal."""
    from mulligan.cli.terminal import out, print_json
    from mulligan.store.store import Store
    from mulligan.study.execute import RESULT, STATUS, read_json, study_folder

    kept = Store(store)
    laid = _lay(file, scale, data, changes, kept)
    found = read_json(study_folder(laid, kept) / STATUS)
    done = {job.call.key for job in laid.jobs if kept.has(job.call)}
    cells = sum(not cell.pending and all(job.call.key in done for job in cell.road.jobs if job.wanted) for cell in laid.cells)
    last = read_json(study_folder(laid, kept) / RESULT)
    failed = sum(cell["status"] == "failed" for cell in last["cells"]) if last else 0
    running = found is not None and time.time() - found["updated"] < STALE_SECONDS
    result = {"cells": len(laid.cells), "cells_done": cells, "cells_failed": failed, "is_running": running}
    result["progress"] = found if running else None
    if json:
        print_json(result)
        return 0
    failures = f", {failed} failed when it last ended" if failed else ""
    out.print(f"{cells} of {len(laid.cells)} cells done{failures}; {'running' if running else 'not running'}")
    if running and found is not None:
        out.print(progress_line(found))
    return 0


app.command("mulligan.cli.report:study_report", name="report")
