"""What commands print with: tables and progress for people on a terminal, plain lines elsewhere, one JSON object on ask."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from mulligan.core.execution import Progress as Report
from mulligan.core.toml import inline_toml

PLAIN_WIDTH = 150
out = Console(highlight=False, soft_wrap=True, markup=False, width=None if sys.stdout.isatty() else PLAIN_WIDTH)
err = Console(stderr=True, highlight=False)
PLAIN_LINE_SECONDS = 10.0


def print_json(value: Any) -> None:
    """Print one JSON object on standard output."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def print_table(title: str, columns: list[str], rows: list[list[str]], *, right: tuple[int, ...] = ()) -> None:
    """Print a table; the columns numbered in `right` are aligned to the right."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, title_style="bold", header_style="dim")
    for i, column in enumerate(columns):
        table.add_column(column, justify="right" if i in right else "left", no_wrap=i in right)
    for row in rows:
        table.add_row(*row)
    out.print(table, crop=False, soft_wrap=False)
    out.print()


def said(value: Any) -> str:
    """Return a value of a recipe as it is written there; what is not there is "(absent)"."""
    return "(absent)" if value is None else value if isinstance(value, str) else inline_toml(value)


@contextmanager
def show_progress() -> Iterator[Report]:
    """Yield a progress function: bars on a terminal, a plain line now and then elsewhere (on standard error)."""
    if not err.is_terminal:
        yield _PlainLines()
        return
    columns = (
        TextColumn("{task.description:<24}"),
        BarColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=True) as progress:
        tasks: dict[str, Any] = {}

        def report(what: str, done: int, total: int, note: str) -> None:
            if what not in tasks:
                tasks[what] = progress.add_task(what, total=total, note=note)
            progress.update(tasks[what], completed=done, total=total, note=note)

        yield report


class _PlainLines:
    def __init__(self) -> None:
        self.last: dict[str, float] = {}

    def __call__(self, what: str, done: int, total: int, note: str) -> None:
        now = time.monotonic()
        if done < total and now - self.last.get(what, 0.0) < PLAIN_LINE_SECONDS:
            return
        self.last[what] = now
        print(f"{what}: {done}/{total} {note}".rstrip(), file=sys.stderr, flush=True)
