"""`mulligan compare`: statistics of the runs in a CSV, or in a folder of training logs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from mulligan.cli.setting import AsJson

if TYPE_CHECKING:
    from mulligan.compare.table import Samples
    from mulligan.records.log_folder import Run

Where = Annotated[
    list[str],
    Parameter(negative="", help="Keep rows: column=value or column!=value. Repeatable; several values of one column: any."),
]
Factors = Annotated[
    list[str] | None,
    Parameter(negative="", consume_multiple=True, help="The columns that tell the arms apart; of a CSV, it must be given."),
]
Baseline = Annotated[
    str | None, Parameter(help="The arm to compare with, such as qat=0,swa=1. Default: the first level of each factor.")
]
Margin = Annotated[float | None, Parameter(help="The smallest difference that matters, in the values' unit.")]
Looks = Annotated[int, Parameter(help="How often the data are judged, declared beforehand: alpha is split.")]
OverBudget = Annotated[list[str], Parameter(negative="", help="An arm over the byte budget: shown, never better. Repeatable.")]


def compare(
    table: Path,
    /,
    *,
    factors: Factors = None,
    where: Where | None = None,
    split: Annotated[str | None, Parameter(help="A packed column (a=1;b=2) to split into factors.")] = None,
    seed_column: Annotated[str, Parameter(help="The column of seeds: the unit of replication.")] = "seed",
    metric: Annotated[
        str | None,
        Parameter(help="The column of values (default: value), or the reading of logs (default: the last that all have)."),
    ] = None,
    baseline: Baseline = None,
    alpha: Annotated[float, Parameter(help="Two-sided error rate.")] = 0.05,
    margin: Margin = None,
    looks: Looks = 1,
    over_budget: OverBudget | None = None,
    higher_is_better: Annotated[bool, Parameter(negative="", help="Greater values are better.")] = False,
    json: AsJson = False,
) -> int:
    """Compare arms over seeds: contrasts, factorial effects, corrections, verdicts, noise floor.

    TABLE is a CSV, or a folder of the challenge's training logs, one an arm and seed (control_seed42.log); arms over 16,000,000
    bytes with code are over budget there. Exit codes: 0 done, 2 usage.
    """
    from mulligan.cli.terminal import print_json
    from mulligan.compare.report import Question, report
    from mulligan.compare.table import parse_arm, read_rows, samples

    said: dict[str, Any]
    if table.is_dir():
        if factors or where or split:
            raise ValueError(
                f"{table}: of a folder of logs the file names tell the arms; leave --factors, --where, --split out."
            )
        factors, unit = ["arm"], "bits per byte"
        arms, heavy, said = _read_logs(table, metric, json)
    else:
        if not factors:
            raise ValueError(f"{table}: --factors is needed: the columns that tell the arms apart.")
        rows = read_rows(table, where=where or (), split=split)
        arms, heavy = samples(rows, factors, seed=seed_column, value=metric or "value"), ()
        unit, said = rows[0].get("unit", ""), {"rows": len(rows), "where": where or []}
    if len(arms) < 2:
        do = "Name the logs ARM_seedN.log" if table.is_dir() else "Choose more with --where, or name other --factors"
        raise ValueError(f"{table}: the runs that can be compared hold one arm. {do}.")
    base = parse_arm(baseline, factors, arms, "--baseline") if baseline else next(iter(arms))
    over = (*heavy, *(parse_arm(text, factors, arms, "--over-budget") for text in over_budget or ()))
    result = report(arms, factors, base, Question(alpha, margin, looks, over, not higher_is_better, unit))
    if json:
        print_json({"table": str(table), **said, **result})
        return 0
    _print_arms(result)
    _print_contrasts(result)
    _print_factorial(result)
    _print_noise(result)
    return 0


def _read_logs(folder: Path, metric: str | None, quiet: bool) -> "tuple[Samples, tuple[tuple[str, ...], ...], dict[str, Any]]":
    """Read a folder of logs and print its runs; return the arms, those over budget, and what JSON says of the runs."""
    import dataclasses

    from mulligan.cli.terminal import out
    from mulligan.records.log_folder import folder_samples, read_log_folder, shared_reading

    found = read_log_folder(folder)
    reading = metric or shared_reading(found.runs)
    arms, left_out = folder_samples(found, reading)
    heavy = tuple(dict.fromkeys((run.arm,) for run in found.runs if run.over_by > 0 and (run.arm,) in arms))
    if not quiet:
        _print_runs(found.runs, reading)
        for line in (*found.problems, *(f"not compared: {line}" for line in left_out)):
            out.print(line)
        out.print()
    runs = [
        {**dataclasses.asdict(run), "readings": {name: value for name, (value, _) in run.readings.items()}}
        for run in found.runs
    ]
    return arms, heavy, {"reading": reading, "runs": runs, "problems": list(found.problems), "not_compared": left_out}


def _print_runs(runs: "tuple[Run, ...]", reading: str) -> None:
    from mulligan.cli.terminal import print_table

    names = ("steps", "milliseconds_per_step", "train_seconds", "payload_bytes", "code_bytes", "total_bytes")
    rows = [
        [
            run.name,
            run.arm,
            "-" if run.seed is None else str(run.seed),
            *(f"{run.numbers[name]:,.7g}" if name in run.numbers else "-" for name in names[:3]),
            *(f"{run.numbers[name]:,.0f}" if name in run.numbers else "-" for name in names[3:]),
            run.readings[reading][1] if reading in run.readings else "-",
            f"over by {run.over_by:,}" if run.over_by > 0 else "",
        ]
        for run in sorted(runs, key=lambda run: (run.arm, run.seed or 0, run.name))
    ]
    columns = ["log", "arm", "seed", "steps", "ms/step", "train s", "payload", "code", "total", "bits/byte", "16,000,000 bytes"]
    print_table(f"Runs; bits per byte of {reading}", columns, rows, right=(2, 3, 4, 5, 6, 7, 8, 9))


def _print_arms(result: dict[str, Any]) -> None:
    from mulligan.cli.terminal import print_table

    rows = [
        [
            arm["arm"] + (" (baseline)" if arm["arm"] == result["baseline"] else ""),
            str(arm["n"]),
            f"{arm['mean']:.8g}",
            "-" if arm["sd"] is None else f"{arm['sd']:.3g}",
            "  ".join(f"{seed}: {value:.8g}" for seed, value in arm["values"].items()),
            "over" if arm["over_budget"] else "",
        ]
        for arm in result["arms"]
    ]
    better = "lower" if result["lower_is_better"] else "higher"
    title = f"Arms ({result['unit'] or 'unit not stated'}; {better} is better)"
    print_table(title, ["arm", "n", "mean", "sample sd", "seed: value", "budget"], rows, right=(1, 2, 3))


def _print_contrasts(result: dict[str, Any]) -> None:
    from mulligan.cli.terminal import out, print_table

    rows = []
    for item in result["contrasts"]:
        for how in ("paired", "welch"):
            test = item[how]
            if test is not None:
                holm = how == "paired" or item["paired"] is None
                rows.append([item["name"], how, *_test(test), *(_corrected(item) if holm else ["", ""])])
        if item["paired"] is None and item["welch"] is None:
            rows.append([item["name"], "none", f"{item['difference']:+.4g}", *[""] * 6])
    level = f"{1 - result['alpha'] / result['looks']:.4g}"
    columns = ["contrast", "test", "difference", f"{level} interval", "t", "df", "p", "Holm p", "BH p"]
    size = max((item["family_size"] for item in result["contrasts"]), default=0)
    print_table(f"Contrasts with the baseline (family of {size})", columns, rows, right=(2, 4, 5, 6, 7, 8))
    for item in result["contrasts"]:
        out.print(f"{item['name']}: {item['verdict'].upper()} ({item['judged_by']}). {item['text']}")
        if item["unpaired_seeds"] and item["paired"]:
            out.print(f"  left out of the pairs: seeds {', '.join(map(str, item['unpaired_seeds']))}")
    out.print()


def _print_factorial(result: dict[str, Any]) -> None:
    from mulligan.cli.terminal import out, print_table

    if result["factorial"] is None:
        out.print(f"No factorial: {result['factorial_reason']}\n")
        return
    columns = ["effect", "estimate", f"{1 - result['alpha'] / result['looks']:.4g} interval", "t", "df", "p", "Holm p", "BH p"]
    for title, fit in (
        ("Factorial effects, seeds as blocks", result["factorial"]["seeds_as_blocks"]),
        ("The same, seeds not blocked", result["factorial"]["seeds_not_blocked"]),
    ):
        effects = [*fit["main"], *fit["interactions"]]
        rows = [[effect["name"], *_test(effect), *_corrected(effect)] for effect in effects]
        if fit["df"] > 0 and title.startswith("F"):
            rows += [[effect["name"], *_test(effect), "", ""] for effect in fit["simple"]]
        dropped = f"; left out: {', '.join(map(str, fit['dropped_seeds']))}" if fit["dropped_seeds"] else ""
        seeds = f"seeds {', '.join(map(str, fit['seeds']))}{dropped}; residual sd {fit['residual_sd']:.3g}"
        print_table(f"{title} ({seeds})", columns, rows, right=(1, 3, 4, 5, 6, 7))
    fit = result["factorial"]["seeds_as_blocks"]
    for effect in (*fit["main"], *fit["interactions"]):
        than = " than additive" if effect in fit["interactions"] and effect["verdict"] in ("better", "worse") else ""
        out.print(f"{effect['name']}: {effect['verdict'].upper()}{than}. {effect['text']}")
    if any(row["df"] > 1 for row in fit["anova"]):
        rows = [
            [row["term"], f"{row['df']:g}", "inf" if row["f"] is None else f"{row['f']:.4g}", f"{row['p']:.2g}"]
            for row in fit["anova"]
        ]
        print_table("F tests (type 2), seeds as blocks", ["term", "df", "F", "p"], rows, right=(1, 2, 3))
    out.print()


def _print_noise(result: dict[str, Any]) -> None:
    from mulligan.cli.terminal import out

    noise = result["noise"]
    if noise is None:
        out.print("Noise floor: unknown, no arm has two seeds.")
        return
    out.print(
        f"Noise floor: {noise['sd']:.3g} {result['unit']} between seeds (pooled over {noise['groups']} arms, df {noise['df']}; "
        f"{1 - noise['alpha']:.4g} interval {noise['low']:.3g} to {noise['high']:.3g})"
    )


def _test(test: dict[str, Any]) -> list[str]:
    t = ("-inf" if test["estimate"] < 0 else "inf") if test["t"] is None else f"{test['t']:.4g}"
    interval = f"[{test['low']:+.4g}, {test['high']:+.4g}]"
    return [f"{test['estimate']:+.4g}", interval, t, f"{test['df']:.3g}", f"{test['p']:.2g}"]


def _corrected(item: dict[str, Any]) -> list[str]:
    return ["" if item[name] is None else f"{item[name]:.2g}" for name in ("p_holm", "p_bh")]
