"""`mulligan plan`: what a run would do, before it does it."""

import shlex
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from mulligan.cli.setting import DEFAULT_STORE, AsJson, Data, Seed, Set, StoreFolder, lever_options

if TYPE_CHECKING:
    from mulligan.engine.job import Job, Outside
    from mulligan.recipe import Recipe
    from mulligan.store.store import Store


def plan(
    recipe: str = "tiny",
    /,
    *,
    data: Data = None,
    weights: Annotated[Path | None, Parameter(help="Start after training, from this weights file.")] = None,
    seed: Seed = 0,
    changes: Set | None = None,
    store: StoreFolder = DEFAULT_STORE,
    show_bytes: Annotated[
        bool, Parameter(name="--bytes", negative="", help="Predict the artifact's bytes instead, tensor by tensor.")
    ] = False,
    json: AsJson = False,
) -> int:
    """Show every stage of RECIPE: hit or miss and why, and the estimated seconds. Runs nothing.

    With --bytes: what the artifact will take, before there are weights, and its spread over seeds.
    """
    from mulligan.cli.road import handed_in, recipe_from
    from mulligan.cli.terminal import out, print_json, print_table
    from mulligan.engine.plan import plan_jobs
    from mulligan.fit.settle import next_step
    from mulligan.store.store import Store

    if show_bytes:
        return _plan_bytes(recipe_from(recipe, changes or [], data), recipe, Store(store), handed_in(data, weights), json)
    step = next_step(recipe_from(recipe, changes or [], data), seed, Store(store), **handed_in(data, weights))
    planned = plan_jobs(step.road.jobs if step.road else [job for job in step.jobs if _leads_on(job)], Store(store))
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
    if step.road is None:
        out.print("fit        the knob is not settled: these stages are the next that its search needs, others follow")
    given = [f"--{name} {value}" for name, value in (("data", data), ("weights", weights)) if value is not None]
    given += [f"--seed {seed}"] if seed else []
    given += [f"--set {shlex.quote(change)}" for change in changes or []]
    given += [f"--store {store}"] if store != DEFAULT_STORE else []
    out.print(" ".join(["next       mulligan run", recipe, *given]) + lever_options())
    return 0


def _leads_on(job: "Job") -> bool:
    """Say whether a job of an unsettled search is run at its next step; scores of validation stand by until it is settled."""
    return job.wanted or job.call.stage != "evaluate"


def _plan_bytes(recipe: "Recipe", name: str, store: "Store", outside: dict[str, "Outside | None"], as_json: bool) -> int:
    from mulligan.cli.terminal import out, print_json, print_table
    from mulligan.fit.prediction import measured_payloads, predict_bytes
    from mulligan.one_file.size import code_bytes

    predicted = predict_bytes(recipe)
    measured = measured_payloads(recipe, store, outside)
    code = code_bytes(recipe)
    if as_json:
        print_json({"recipe": name, **predicted, "measured_payload_bytes": measured, "code_bytes": code})
        return 0
    rows = [
        [line["role"], str(line["tensors"]), line["format"], f"{line['elements']:,}", f"{line['bytes']:,.0f}", line["note"]]
        for line in predicted["roles"]
    ]
    print_table(f"{name}: predicted bytes", ["tensors", "number", "format", "elements", "bytes", ""], rows, right=(1, 3, 4))
    total = predicted["payload_bytes"]
    budget = recipe.fit.budget_bytes if recipe.fit else recipe.budget_bytes
    out.print(f"payload    about {total:,.0f} + code {code:,} = {total + code:,.0f} of {budget:,}")
    for step in predicted["uncounted"]:
        out.print(f"not in it  quantize.{step}, whose bytes are not predicted")
    if recipe.fit:
        out.print(
            f"fit        as the recipe stands, before its knob is turned; {recipe.fit.code_reserve_bytes:,} reserved for code"
        )
    out.print(
        "model      rows taken for Gaussian, the coder for one that reaches the entropy of the codes, floats stored whole"
    )
    out.print(
        f"spread     standard deviation over seeds at least {predicted['spread_bytes']:,.0f}, from the maxima of rows alone"
    )
    if measured:
        sizes = list(measured.values())
        spread = f" to {max(sizes):,}, standard deviation {statistics.stdev(sizes):,.0f}" if len(sizes) > 1 else ""
        out.print(f"measured   {min(sizes):,}{spread} in the store, seed {', '.join(measured)}")
    return 0
