"""The smoke test: what a submission shows when its script is imported, its network built and run once, in a cell.

What it says of itself is told by code that runs beside the submission's own, so a hostile script can lie about it; it cannot
reach anything with that.
"""

import ast
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mulligan.review.finding import Category, Finding, NotChecked
from mulligan.review.smoke.start import MEMORY, SECONDS, run_child
from mulligan.review.subject import Subject
from mulligan.submit.check_code import DISTRIBUTIONS
from mulligan.submit.submitted import REQUIREMENTS

RULE, SCORING = "R12", "R5"
PACKAGES = frozenset(
    """
    apex bitsandbytes brotli causal_conv1d constriction cupy cutlass datasets deepspeed einops fla huggingface_hub
    kernels lightning liger_kernel mamba_ssm matplotlib mlx numba nvidia pandas psutil pynvml requests scipy sklearn tensorboard
    tiktoken tokenizers tqdm transformer_engine transformers triton wandb xformers yaml zstandard
    """.split()  # noqa: SIM905
)
"""Public packages that a script of the challenge may import and that may be missing here."""
LONGEST_REQUIREMENTS, LONGEST_TEXT, MOST_LINES = 1 << 16, 500, 64
OWN_FAULTS = frozenset({"NameError", "IndentationError", "SyntaxError"})
"""Errors at import that no other machine would mend."""


def smoke(
    subject: Subject, seconds: float = SECONDS, memory: int = MEMORY
) -> tuple[list[Finding | NotChecked], dict[str, Any]]:
    """Run the smoke test; return what it found, and what it printed by name.

    `seconds`: of wall clock; `memory`: bytes of address space. Where the kernel refuses the cell, nothing is run.
    """
    if not subject.sources:
        return [NotChecked(RULE, "smoke test: no script that could be read")], {}
    entry = subject.sources[0].file
    texts = {source.file: ast.unparse(source.tree) for source in sorted(subject.sources, key=lambda source: source.layer)}
    texts = {entry: texts.pop(entry), **texts}
    elsewhere = sorted(required_packages(subject.folder.folder) | PACKAGES | DISTRIBUTIONS.keys())
    work = {"script": entry, "texts": texts, "elsewhere": elsewhere}
    answer = run_child(subject.folder.folder, work, seconds, memory)
    try:  # whoever writes lines of his own comes to nothing with them
        answer["lines"] = [cleaned(line) for line in answer["lines"][:MOST_LINES]]
        return list(judged(answer, entry, elsewhere)), printed(answer["lines"])
    except (AttributeError, KeyError, RecursionError, TypeError, ValueError) as error:
        return [NotChecked(RULE, f"smoke test: what it told makes no sense ({type(error).__name__})")], {}


def cleaned(told: Any) -> Any:
    """Return plain data with short strings that a terminal can show."""
    if isinstance(told, str):
        return "".join(one if one.isprintable() else "?" for one in told[:LONGEST_TEXT])
    if isinstance(told, dict):
        return {cleaned(name): cleaned(value) for name, value in told.items()}
    return [cleaned(value) for value in told] if isinstance(told, list) else told


def required_packages(folder: Path) -> set[str]:
    """Return the names in requirements.txt, as modules are written."""
    path = folder / REQUIREMENTS
    if not path.is_file():
        return set()
    with path.open(errors="replace") as file:
        lines = file.read(LONGEST_REQUIREMENTS).splitlines()
    words = [line.split("#")[0].replace("-", "_").strip() for line in lines]
    return {"".join(c if c.isalnum() or c == "_" else " " for c in word).split()[0] for word in words if word[:1].isalpha()}


def printed(lines: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the steps measured; under `scoring`, what each scoring function showed."""
    names = {"seconds": "import_seconds"}
    done = [line for line in lines if "error" not in line]
    found: dict[str, Any] = {
        names.get(name, name): value
        for line in done
        if line["step"] in ("imported", "built", "forward")
        for name, value in line.items()
        if name != "step"
    }
    scored = {line["name"]: without(line, "step", "name") for line in done if line["step"] == "scored"}
    return {**found, "scoring": scored} if scored else found


def without(line: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Return a line without some of its names."""
    return {name: value for name, value in line.items() if name not in names}


def judged(answer: Mapping[str, Any], entry: str, elsewhere: list[str]) -> Iterator[Finding | NotChecked]:
    """Yield what follows from how far the steps came."""
    by = {line["step"]: line for line in answer["lines"]}
    refused = by.get("confined", {}).get("refused")
    if refused or "confined" not in by:
        yield NotChecked(RULE, f"smoke test: nothing was run: {refused or answer['end']}")
        return
    for step, what in (("imported", "import"), ("built", "building the network"), ("forward", "a forward")):
        line = by.get(step)
        if line is None:
            late = by.get("late", {})
            place = f" ({late['file']}, line {late['line']})" if late.get("file") else ""
            yield NotChecked(RULE, f"smoke test: {what}: {answer['end'] or 'it ended without a word'}{place}")
            return
        if "error" in line:
            shells = ", ".join({**by.get("imported", {}), **by.get("built", {})}.get("stand_ins", []))
            yield judged_error(what, line["error"], entry, elsewhere, f"; this machine lacks {shells}" if shells else "")
            return
    yield from judged_scoring(answer, entry)
    if not by["forward"].get("finite"):
        message = "smoke test: on random tokens, from its initial weights, the network's output is not finite"
        yield Finding(RULE, "broken_script", "warning", entry, None, message)


def judged_scoring(answer: Mapping[str, Any], entry: str) -> Iterator[Finding | NotChecked]:
    """Yield what the scoring functions showed on the toy shard."""
    lines = [line for line in answer["lines"] if line["step"] == "scored"]
    if answer["end"]:
        yield NotChecked(SCORING, f"smoke test: scoring a toy shard: {answer['end']}")
    elif not lines:
        yield NotChecked(SCORING, "smoke test: no function is given the network and comes to a loss, so no scoring was run")
    for line in lines:
        said = f"smoke test: {line['name']} on a toy shard"
        if "error" in line:
            error = line["error"]
            yield NotChecked(SCORING, f"{said}: {error['type']}: {error['message']}".rstrip(": "))
        elif line.get("moved"):
            rule, category = _how_it_looked_ahead(line)
            message = (
                f"{said}: with other tokens later in the document, {line['moved']} of {line['compared']} scores before them "
                f"move, by up to {line['moved_by']:.2g} nats, in {line['steps']} steps of an optimizer"
            )
            yield Finding(rule, category, "violation" if line["steps"] else "warning", entry, None, message)
        elif line.get("repeats") is False:
            yield Finding("R11", "evidence", "warning", entry, None, f"{said}: scored again, it comes to other scores")
        elif "moved" not in line and line.get("loss") is not None:
            yield NotChecked(SCORING, f"{said}: which tokens it scores could not be seen")


def _how_it_looked_ahead(line: Mapping[str, Any]) -> tuple[str, Category]:
    if not line["steps"]:
        return "R7", "two_pass"
    return ("R5", "ttt_adapt_then_score") if line["steps_on_parameters"] else ("R8", "slot")


def judged_error(
    what: str, error: Mapping[str, Any], entry: str, elsewhere: list[str], lacks: str = ""
) -> Finding | NotChecked:
    """Return a finding for an error that is the script's own, else what was not checked. `lacks`: what this machine lacks."""
    kind, message, missing = error["type"], error["message"], (error["missing"] or "").split(".")[0]
    said = f"smoke test: {what}: {kind}: {message}"
    own = kind in OWN_FAULTS
    if kind == "ModuleNotFoundError":
        own = missing not in elsewhere and missing not in sys.stdlib_module_names
        said += f"; no file of the folder, and not named in {REQUIREMENTS}" if own else ""
    if kind == "SyntaxError" and sys.version_info < (3, 12) and ("f-string" in message or error["file"] == entry):
        own = False  # the script was parsed, so a later Python reads it
    if own and what == "import" and error["file"]:
        return Finding(RULE, "broken_script", "violation", error["file"], error["line"], said)
    place = f" ({error['file']}, line {error['line']})" if error["file"] else ""
    return NotChecked(RULE, said + place + lacks)
