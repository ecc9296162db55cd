"""`mulligan submit`: from a finished run to what is handed in. Nothing is sent anywhere."""

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from mulligan.cli.setting import DEFAULT_STORE, AsJson, StoreFolder

app = App(name="submit")


@app.command
def build(
    run: Annotated[str, Parameter(help="A run's record in the store (RECIPE-seedN-digest), or as much as fits one only.")],
    /,
    *,
    out: Annotated[Path, Parameter(help="The folder to write train_gpt.py into.")],
    form: Annotated[str, Parameter(help="readable, minified or packed: the form to write.")] = "packed",
    store: StoreFolder = DEFAULT_STORE,
    json: AsJson = False,
) -> int:
    """Write train_gpt.py: exactly the code that the run's recipe uses, in one file that does without mulligan.

    Exit codes: 0 done, 2 usage.
    """
    from mulligan.cli.terminal import out as terminal
    from mulligan.cli.terminal import print_json
    from mulligan.core.units import format_bytes
    from mulligan.one_file.form import build as build_form
    from mulligan.one_file.form import form_of
    from mulligan.report.run_page import read_run
    from mulligan.store.store import Store

    chosen = form_of(form)
    result, road = read_run(run, Store(store))
    code = build_form(road.recipe)
    out.mkdir(parents=True, exist_ok=True)
    path = out / "train_gpt.py"
    path.write_bytes(code[chosen])
    sizes = {name: len(written) for name, written in code.items()}
    if json:
        print_json({"run": result["name"], "path": str(path), "form": chosen, "bytes": sizes})
        return 0
    for name, size in sizes.items():
        terminal.print(f"{name:<9} {format_bytes(size):>10}" + (f"   {path}" if name == chosen else ""))
    terminal.print(f"next      DATA_PATH=CORPUS SEED={road.seed} python {path}")
    return 0
