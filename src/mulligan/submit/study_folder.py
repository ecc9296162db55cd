"""Writes a finished study as a non-record folder: README.md, submission.json with its findings, one log a cell, recipes."""

import re
import shlex
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mulligan.core.canonical import digest
from mulligan.recipe import Recipe, to_toml
from mulligan.report.markdown import escape, study_markdown, table
from mulligan.report.table import answers
from mulligan.store.store import Store
from mulligan.study.config import Script
from mulligan.study.plan import Cell, LaidStudy
from mulligan.submit.cell_log import cell_log
from mulligan.submit.folder import About, difference_table, make_folder, said_of, scores, write_requirements
from mulligan.submit.seed_log import SeedLog
from mulligan.submit.submission import write_submission
from mulligan.submit.submitted import README, SCRIPT

Data = Mapping[str, Any]


Build = Callable[[Recipe], bytes]


def write_study(
    out: Path,
    result: dict[str, Any],
    laid: LaidStudy,
    store: Store,
    about: About,
    command: Sequence[str],
    build: Build | None = None,
) -> None:
    """Write the folder of a study that was run. ValueError where no arm can be claimed.

    `command`: what ran it. `build`: makes the train_gpt.py of the claimed arm (where arms are of a script, it is that script).
    """
    cells = {(cell["arm"], cell["seed"]): cell for cell in result["cells"] if cell["status"] == "done"}
    claimed = claimed_arm(result)
    if claimed is None:
        raise ValueError("No arm has every seed, scores legally and fits the budget by known bytes: there is nothing to claim.")
    make_folder(out)
    logs: dict[str, dict[int, SeedLog]] = {arm.name: {} for arm in laid.arms}
    for cell in laid.cells:
        if (cell.arm.name, cell.seed) in cells:
            text = cell_log(cell, cells[cell.arm.name, cell.seed], laid, store)
            path = Path("logs") / f"{file_name(laid, cell)}_seed{cell.seed}.log"
            _write(out / path, text)
            logs[cell.arm.name][cell.seed] = SeedLog.parse(path, text)
    for arm in laid.arms:
        if isinstance(arm.recipe, Recipe):
            _write(out / "recipes" / f"{_plain(arm.name)}.toml", to_toml(arm.recipe))
    recipe = next(arm.recipe for arm in laid.arms if arm.name == claimed)
    script = _script(recipe, build)
    if script is not None:
        (out / SCRIPT).write_bytes(script)
    if isinstance(recipe, Recipe):
        write_requirements(out, recipe)
    code = max(log.code_bytes or 0 for log in logs[claimed].values()) if script is None else len(script)
    data = {**said_of(about, "non-record"), **scores(logs[claimed], code), "study": _study(result, laid, logs, claimed)}
    data["name"] = data["name"] or result["study"]["question"]
    write_submission(out, data)
    _write(out / README, _readme(result, laid, logs, claimed, about, command))


def _script(recipe: Recipe | Script, build: Build | None) -> bytes | None:
    if isinstance(recipe, Script):
        return Path(recipe.script).read_bytes()
    return build(recipe) if build else None


def claimed_arm(result: Data) -> str | None:
    """Return the arm with the lowest mean of those that have every seed, score legally and fit; None without one."""
    primary, seeds = result["primary"], result["study"]["seeds"]
    refused = {*primary["illegal"], *primary["over_budget"], *primary["wrong_on_purpose"]}
    sizes = {cell["arm"] for cell in result["cells"] if cell["status"] == "done" and cell["artifact"]["payload_bytes"] is None}
    means = {
        arm: statistics.fmean(values.values())
        for arm, values in primary["values"].items()
        if len(values) == len(seeds) and arm not in refused | sizes
    }
    return min(means, key=means.__getitem__, default=None)


def file_name(laid: LaidStudy, cell: Cell) -> str:
    """Return the name of an arm's files: its name in plain letters, which no two arms share."""
    names = [_plain(arm.name) for arm in laid.arms]
    if len(set(names)) < len(names):
        raise ValueError(f"Two arms have one name in plain letters: {', '.join(names)}. Rename a level.")
    return _plain(cell.arm.name)


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-.")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, "utf-8")


def _study(result: Data, laid: LaidStudy, logs: Mapping[str, Mapping[int, SeedLog]], claimed: str) -> dict[str, Any]:
    study, primary, recipes = result["study"], result["primary"], {arm.name: arm.recipe for arm in laid.arms}
    done = {name: [c for c in result["cells"] if c["arm"] == name and c["status"] == "done"] for name in logs}
    arms = [
        {
            "name": arm["name"],
            "recipe_sha256": digest(recipes[arm["name"]].canonical()),
            "levels": {factor: str(level) for factor, level in arm["levels"].items()},
            "difference": arm["difference"],
            "legal": arm["name"] not in primary["illegal"],
            "fits": all(cell["artifact"]["fits"] is not False for cell in done[arm["name"]]),
            "val_bpb": primary["values"][arm["name"]],
            "logs": {str(seed): log.path.as_posix() for seed, log in logs[arm["name"]].items()},
        }
        for arm in result["arms"]
    ]
    asked = {name: study[name] for name in ("question", "hypothesis", "phase", "margin_bpb", "alpha")}
    named = {"hash": result["hash"], "metric": primary["name"], "baseline": result["baseline"], "claimed_arm": claimed}
    return {**asked, **named, "correction": primary["correction"]["text"], "arms": arms, "findings": _findings(result)}


def _findings(result: Data) -> list[dict[str, Any]]:
    primary = result["primary"]
    effects = {effect["name"]: effect for kind in ("main", "interactions") for effect in primary["effects"].get(kind, ())}
    contrasts = {**effects, **primary["contrasts"]}
    return [
        {
            "name": answer.name,
            "verdict": answer.word,
            "text": answer.text,
            "estimate_bpb": contrasts[answer.name]["estimate"],
            "low_bpb": contrasts[answer.name]["low"],
            "high_bpb": contrasts[answer.name]["high"],
            "n": contrasts[answer.name]["n"],
            "p": contrasts[answer.name]["p"],
            "corrected_p": primary["adjusted_p"].get(answer.name),
        }
        for answer in answers(result, primary["adjusted_p"])
    ]


def _readme(
    result: Data,
    laid: LaidStudy,
    logs: Mapping[str, Mapping[int, SeedLog]],
    claimed: str,
    about: About,
    command: Sequence[str],
) -> str:
    lines = [f"# {escape(about.name or result['study']['question'])}", ""]
    lines += [escape(about.blurb), ""] * bool(about.blurb)
    lines += [
        study_markdown(result).rstrip(),
        "",
        f"The score in submission.json is that of {escape(claimed)}.",
        "",
        "## Levers",
        "",
    ]
    for arm in result["arms"]:
        lines += [f"### {escape(arm['name'])}", ""]
        is_baseline = arm["name"] == result["baseline"]
        lines += [
            "The baseline." if is_baseline else "",
            *([] if is_baseline else difference_table(arm["difference"], "baseline")),
            "",
        ]
    lines += ["## Cells", "", *_cells(result, logs), "", "## Commands", "", "```bash", shlex.join(command)]
    lines += [
        f"mulligan run recipes/{_plain(arm.name)}.toml --seed {seed}"
        for arm in laid.arms
        if isinstance(arm.recipe, Recipe)
        for seed in logs[arm.name]
    ]
    return "\n".join([*lines, "```"]) + "\n"


def _cells(result: Data, logs: Mapping[str, Mapping[int, SeedLog]]) -> list[str]:
    rows = []
    for cell in result["cells"]:
        log = logs[cell["arm"]].get(cell["seed"])
        if log is None or log.final is None:
            rows.append([cell["arm"], str(cell["seed"]), *[""] * 5, cell["status"]])
            continue
        size = "" if log.artifact_bytes is None else f"{log.artifact_bytes:,}"
        seconds = "" if log.train_seconds is None else f"{log.train_seconds:.1f}"
        scored = [f"{log.final[1]:.6f}", f"{log.final[0]:.6f}"]
        rows.append([cell["arm"], str(cell["seed"]), *scored, size, str(log.steps or ""), seconds, log.path.as_posix()])
    columns = ["arm", "seed", "bits per byte", "nats per token", "artifact, bytes", "steps", "train s", "log"]
    return table(columns, rows)
