"""`mulligan run`: the whole road of one recipe and seed, in one process or, under torchrun, trained over several."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from mulligan.cli.setting import DEFAULT_STORE, AsJson, Compile, Data, Device, Seed, Set, StoreFolder, Threads

if TYPE_CHECKING:
    from mulligan.core.execution import Execution
    from mulligan.engine.inline import Done
    from mulligan.engine.job import Job, Outside
    from mulligan.flow import Road
    from mulligan.recipe import Recipe
    from mulligan.store.store import Store


def run(
    recipe: str = "tiny",
    /,
    *,
    data: Data = None,
    weights: Annotated[Path | None, Parameter(help="Start after training, from this weights file.")] = None,
    seed: Seed = 0,
    changes: Set | None = None,
    store: StoreFolder = DEFAULT_STORE,
    device: Device = "auto",
    threads: Threads = None,
    compile: Compile = False,
    segment_seconds: Annotated[
        float, Parameter(help="Publish the training state about this often; a kill loses that much.")
    ] = 30.0,
    json: AsJson = False,
) -> int:
    """Train, average, quantize, pack and score RECIPE (a shipped name or a .toml file); the score is of the packed bytes.

    Exit codes: 0 done, 2 usage, 3 over budget, 4 store corrupt, 5 diverged, 6 a process of several was lost, 130 interrupted
    (run again to go on).
    """
    from mulligan.cli.road import handed_in, recipe_from
    from mulligan.cli.setting import make_execution, perhaps_launched
    from mulligan.cli.terminal import print_json
    from mulligan.core.execution import Execution
    from mulligan.engine.inline import missing_jobs
    from mulligan.fit.settle import next_step
    from mulligan.flow import lay_road
    from mulligan.reading import check_budget
    from mulligan.store.store import Store

    asked, outside, kept = recipe_from(recipe, changes or [], data), handed_in(data, weights), Store(store)
    step, execution = next_step(asked, seed, kept, **outside), Execution()
    if step.road is None or missing_jobs(step.road.jobs, kept) or perhaps_launched():
        execution = make_execution(device, threads, compile, segment_seconds=segment_seconds, together=True)
    if execution.ranks.rank > 0:
        return _follow(lay_road(asked.replace(fit=None), seed, **outside), kept, execution)
    result = _walk(asked, recipe, seed, outside, kept, execution)
    if json:
        print_json(result)
    else:
        _print(result)
    warn_of_replay(result)
    check_budget(result["artifact"], asked.fit.code_reserve_bytes if asked.fit else None)
    return 0


def _walk(
    asked: "Recipe", name: str, seed: int, outside: "dict[str, Outside | None]", store: "Store", execution: "Execution"
) -> dict[str, Any]:
    """Settle the knob if there is one, run what is missing of the road, and return what it measured."""
    from mulligan.cli.terminal import show_progress
    from mulligan.engine.inline import run_jobs
    from mulligan.fit.settle import chosen, settle
    from mulligan.reading import read_road

    done: dict[str, Done] = {}
    try:
        with show_progress() as progress:

            def run_all(jobs: "Sequence[Job]") -> None:
                for item in run_jobs(jobs, store, replace(execution, progress=progress)):
                    if item.status == "ran" or item.job.call.key not in done:
                        done[item.job.call.key] = item

            step = settle(asked, seed, store, run_all, **outside)
            assert step.road is not None
            found = {"fit": chosen(step, asked.fit)} if asked.fit else {}
            recorded, record = step.road.record(name)
            store.record_run(recorded, {**record, **found})
            run_all(step.road.jobs)
    finally:
        execution.ranks.end()
    stages = [done[job.call.key] for job in step.road.jobs]
    return {"name": recorded, **read_road(step.road, stages, store, name), **found}


def _follow(road: "Road", store: "Store", execution: "Execution") -> int:
    """Train with rank 0 to the end; return the exit code. What ends all ranks is said by rank 0 alone."""
    from mulligan.core.error import DivergedError, LostRankError, exit_code
    from mulligan.engine.inline import follow_jobs

    try:
        follow_jobs(road.jobs, store, execution)
        execution.ranks.end()
    except (DivergedError, LostRankError, KeyboardInterrupt) as error:
        return exit_code(error)
    return 0


def warn_of_replay(result: dict[str, Any]) -> None:
    """Say on standard error when an average comes from a replay that did not meet the stored weights bit for bit."""
    if result["replay_reproduced_the_state"] is False:
        from mulligan.cli.terminal import err

        err.print(
            "warning: the average was asked for later, and the training replayed for it did not give the stored state bit for "
            "bit (other threads, device or library). Raw and averaged readings come from two trainings that differ in rounding."
        )


def print_readings(title: str, readings: list[dict[str, Any]]) -> None:
    """Print scores with their addresses."""
    from mulligan.cli.terminal import print_table
    from mulligan.reading import windows_text

    rows = [
        [
            reading["point"],
            windows_text(reading),
            str(reading["context_len"]),
            str(reading["stride"]),
            f"{reading['bits_per_byte']:.4f}",
            f"{reading['nats_per_token']:.4f}",
            f"{reading['scored_tokens']:,}",
            f"{reading['total_bytes']:,} {reading['bytes_kind']}",
            str(reading["validation_documents"]),
        ]
        for reading in readings
    ]
    columns = ["weights", "windows", "context", "stride", "bits/byte", "nats/token", "scored tokens", "bytes", "documents"]
    print_table(title, columns, rows, right=(2, 3, 4, 5, 6, 7, 8))


def _print(result: dict[str, Any]) -> None:
    from mulligan.cli.terminal import out

    print_readings(f"{result['recipe']}, seed {result['seed']}", result["readings"])
    average = result["average"]
    if average:
        out.print(f"average    {average['kind']}: {_average(average)}")
    if "fit" in result:
        _print_fit(result["fit"])
    artifact = result["artifact"]
    verdict = "fits" if artifact["fits"] else "DOES NOT FIT"
    out.print(
        f"bytes      payload {artifact['payload_bytes']:,} + code {artifact['code_bytes']:,} = "
        f"{artifact['total_bytes']:,} of {artifact['budget_bytes']:,}: {verdict}"
    )
    out.print("seconds    " + ", ".join(f"{s['name']} {s['seconds']:.1f} ({s['status']})" for s in result["stages"]))
    out.print(f"artifact   {artifact['path']}")
    out.print(f"store      {result['store']}, this run's record {result['name']}")
    out.print(f"next       mulligan inspect {artifact['path']}")


def _print_fit(fit: dict[str, Any]) -> None:
    from mulligan.cli.terminal import out, print_table

    paths = list(fit["values"])
    rows = [
        [
            *(
                f"{point['values'][path]:g}" if isinstance(point["values"][path], float) else str(point["values"][path])
                for path in paths
            ),
            f"{point['payload_bytes']:,}",
            f"{fit['budget_bytes'] - point['total_bytes']:+,}",
            "" if point["train_nats_per_token"] is None else f"{point['train_nats_per_token']:.5f}",
            "taken" if point["values"] == fit["values"] else "",
        ]
        for point in fit["curve"]
    ]
    columns = [*paths, "payload bytes", "left of the budget", "train nats/token", ""]
    print_table("what the search saw", columns, rows, right=tuple(range(len(paths) + 3)))
    out.print(
        f"fit        {fit['unused_bytes']:,} of {fit['budget_bytes']:,} bytes unused, {fit['code_reserve_bytes']:,} reserved "
        f"for code; ranked on the last {fit['train_documents']} documents of the train split"
    )
    scored = [point for point in fit["curve"] if point["train_nats_per_token"] is not None]
    best = min(scored, key=lambda point: point["train_nats_per_token"])
    if best["values"] != fit["values"]:
        out.print(
            f"note       a payload of {best['payload_bytes']:,} bytes scored better on these documents; of a number, only "
            "settings within 0.1 % of the cap are ranked"
        )


def _average(record: dict[str, Any]) -> str:
    if "parts" in record:
        return " + ".join(f"{part['weight']:g} x {part['kind']} ({_average(part)})" for part in record["parts"])
    if record["kind"] == "last" or "num_snapshots" not in record:
        return "no average"
    wrong = f" - WRONG ON PURPOSE ({record['wrong']})" if "wrong" in record else ""
    steps = f", steps {record['first_step']} to {record['last_step']}" if {"first_step", "last_step"} <= record.keys() else ""
    every = f", every {record['every_steps']}" if "every_steps" in record else ""
    return f"{record['num_snapshots']} snapshots{steps}{every}{wrong}"
