"""The command `mulligan`: its sub-commands, and how an error becomes a sentence and an exit code."""

import sys
from importlib.metadata import entry_points
from pathlib import Path

from cyclopts import App, CycloptsError

from mulligan import __version__
from mulligan.core.error import EXIT_CODES, exit_code

COMMANDS = {
    "run": "Train, average, quantize, pack and score a recipe; answers from the store what is there.",
    "plan": "Show every stage of a recipe: hit or miss and why, and the estimated seconds.",
    "evaluate": "Score an artifact or a weights file on a corpus.",
    "compare": "Compare the arms of a results CSV, or of a folder of logs, over seeds: contrasts, effects, verdicts.",
    "inspect": "Show what an artifact holds, tensor by tensor, in bytes.",
    "import-checkpoint": "Read a checkpoint of a challenge script into a weights file.",
    "pareto": "Draw score against bytes for the checkpoint of a finished run, hundreds of points.",
    "curves": "Draw one or two scores by place in window or document, token frequency, or progress.",
    "report": "Write one self-contained HTML page of a finished run.",
    "audit": "Review a submission, or test a finished run of one's own: is its score legal, rule by rule.",
    "doctor": "Check this machine: Python, torch, threads, codecs, store.",
}
GROUPS = {
    "study": "Plan, run, watch and report a study.",
    "submit": "One file of code from a recipe; the folder of a record or a study, written and checked; nothing is sent.",
    "levers": "List every lever with its card; check one of your own.",
    "claims": "List published claims: their figures, what a test of them says, what studies here found.",
    "recipe": "List, show and compare recipes.",
    "records": "Read the challenge's records from a clone into one table; judge them again.",
    "data": "Prepare, inspect, import and fetch corpora.",
    "store": "List, verify and clean the store.",
}


def make_app() -> App:
    """Return the command-line application; sub-commands are imported when one is called."""
    app = App(
        name="mulligan",
        help="A lab for controlled experiments on byte-budgeted language models. Every command takes --lever FILE.py, a lever "
        "of your own (docs/add-a-lever.md).",
        version=__version__,
        result_action="return_value",
        suppress_keyboard_interrupt=False,
    )
    for name, text in COMMANDS.items():
        module = name.replace("-", "_")
        app.command(f"mulligan.cli.{module}:{module}", name=name, help=text)
    for name, text in GROUPS.items():
        app.command(f"mulligan.cli.{name}:app", name=name, help=text)
    return app


def _load_levers(arguments: list[str]) -> list[str]:
    """Load what `--lever FILE` names, anywhere on the line, and what is installed; return the arguments without it."""
    rest, files = [], []
    given = iter(arguments)
    for argument in given:
        if argument == "--lever":
            files.append(next(given, ""))
        elif argument.startswith("--lever="):
            files.append(argument.removeprefix("--lever="))
        else:
            rest.append(argument)
    if files or entry_points(group="mulligan.levers"):
        from mulligan.lever_file import load_installed_levers, load_lever_file

        load_installed_levers()
        for file in files:
            load_lever_file(Path(file))
    return rest


def main() -> None:
    """Run the command line; exit codes are those of `core/error.py`."""
    app = make_app()
    try:
        code = app(_load_levers(sys.argv[1:]), exit_on_error=False, print_error=False)
    except CycloptsError as error:
        print(f"mulligan: {error}\nSee `mulligan --help`.", file=sys.stderr)
        sys.exit(2)
    except tuple(kind for kind, _ in EXIT_CODES) as error:
        text = (
            "interrupted; what was published is kept, run the same command to go on"
            if isinstance(error, KeyboardInterrupt)
            else error
        )
        print(f"mulligan: {text}", file=sys.stderr)
        sys.exit(exit_code(error))
    sys.exit(code if isinstance(code, int) else 0)
