"""The core of a study as Markdown: the body of a pull request. Question, verdicts, steps, cells without a value."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from mulligan.report.figure import arm_colours
from mulligan.report.recipe_text import held_equal
from mulligan.report.table import answers, arm_rows, effect_rows, noise_text
from mulligan.report.words import percent, plain_mbpb


def study_markdown(result: Mapping[str, Any]) -> str:
    """Return the text; whatever comes from files is escaped."""
    study, primary = result["study"], result["primary"]
    corrected = result["primary"]["adjusted_p"]
    confidence = f"{percent(1 - primary['correction']['alpha'])} interval"
    lines = [f"## {escape(study['question'])}", ""]
    if study["hypothesis"]:
        lines += [f"Hypothesis: {escape(study['hypothesis'])}", ""]
    lines += [f"- **{answer.word}**: {escape(answer.text)}" for answer in answers(result, corrected)]
    lines += [
        "",
        f"{escape(primary['name'])}, {primary['unit']} (lower is better); {study['phase']}; held equal: "
        f"{escape(held_equal(result))}; margin ±{plain_mbpb(study['margin_bpb'])} mBPB; noise floor {noise_text(result)}.",
        "",
        *(
            [f"ILLEGAL scores, on which no claim can rest: {escape(', '.join(primary['illegal']))}.", ""]
            * bool(primary["illegal"])
        ),
    ]
    colours = arm_colours([arm["name"] for arm in result["arms"]], result["baseline"])
    rows = [
        [row.name, str(row.n), row.mean, row.sd, row.difference, row.interval, row.p, row.corrected_p, row.word, row.payload]
        for row in arm_rows(result, colours, corrected)
    ]
    lines += table(
        ["arm", "n", "mean", "sd, mBPB", "difference, mBPB", confidence, "p", "corrected p", "verdict", "payload, bytes"], rows
    )
    effects = [
        [row["name"], row["difference"], row["interval"], row["p"], row["corrected_p"], row["word"]]
        for row in effect_rows(primary, corrected)
    ]
    if effects:
        lines += ["", *table(["effect", "mBPB", confidence, "p", "corrected p", "verdict"], effects)]
    steps = result["steps"]
    lines += ["", f"Training steps: {steps['executed']:,} run, {steps['without_sharing']:,} without sharing."]
    unfinished = [
        [cell["arm"], str(cell["seed"]), cell["status"], cell["error"] or ""]
        for cell in result["cells"]
        if cell["status"] != "done"
    ]
    if unfinished:
        lines += ["", "Cells without a value:", "", *table(["arm", "seed", "status", "error"], unfinished)]
    lines += ["", f"Study `{result['hash']}`; {primary['correction']['text']}."]
    return "\n".join(lines) + "\n"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table; its cells are escaped."""
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    return lines + [f"| {' | '.join(escape(text) for text in row)} |" for row in rows]


def escape(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    return re.sub(r"([\\`*_\[\]<>|#@])", r"\\\1", " ".join(text.split()))
