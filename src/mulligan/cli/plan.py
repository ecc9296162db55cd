"""`mulligan plan`: what a run would do, before it does it."""

import shlex
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mulligan.cli.setting import DEFAULT_STORE, AsJson, Data, Seed, Set, StoreFolder, lever_options


def plan(
    recipe: str = "tiny",
    /,
    *,
    data: Data = None,
    weights: Annotated[Path | None, Parameter(help="Start after training, from this weights file.")] = None,
    seed: Seed = 0,
    changes: Set | None = None,
    store: StoreFolder = DEFAULT_STORE,
    json: AsJson = False,
) -> int:
    """Show every stage of RECIPE: hit or miss and why, and the estimated seconds. Runs nothing."""
    from mulligan.cli.road import road_from
    from mulligan.cli.terminal import out, print_json, print_table
    from mulligan.engine.plan import plan_jobs
    from mulligan.store.store import Store

    road = road_from(recipe, changes or [], seed, data, weights)
    planned = plan_jobs(road.jobs, Store(store))
    total = sum(line.seconds or 0.0 for line in planned)
    if json:
        stages = [
            {
                "name": p.job.name,
                "stage": p.job.call.stage,
                "key": p.job.call.key,
                "status": p.status,
                "why": p.why,
                "seconds": p.seconds,
            }
            for p in planned
        ]
        print_json({"recipe": recipe, "seed": seed, "stages": stages, "seconds": total})
        return 0
    rows = [
        [p.job.name, p.job.call.key[:12], p.status, "?" if p.seconds is None else f"{p.seconds:.0f}", p.why] for p in planned
    ]
    print_table(f"{recipe}, seed {seed}", ["stage", "key", "status", "seconds", "why"], rows, right=(3,))
    unknown = sum(line.seconds is None for line in planned)
    out.print(f"about {total:.0f} s" + (f", and {unknown} stages of unknown length" if unknown else ""))
    given = [f"--{name} {value}" for name, value in (("data", data), ("weights", weights)) if value is not None]
    given += [f"--seed {seed}"] if seed else []
    given += [f"--set {shlex.quote(change)}" for change in changes or []]
    given += [f"--store {store}"] if store != DEFAULT_STORE else []
    out.print(" ".join(["next       mulligan run", recipe, *given]) + lever_options())
    return 0
