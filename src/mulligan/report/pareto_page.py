"""The page of score against bytes: every way of storing one checkpoint, and those that no other beats."""

from collections.abc import Sequence
from typing import Any

from mulligan.fit.pareto import Measured
from mulligan.recipe import Recipe
from mulligan.report.figure import ARMS, INK, RULE, drawn, new_figure
from mulligan.report.template import render


def pareto_rows(measured: Sequence[Measured], best: Sequence[Measured]) -> list[list[Any]]:
    """Return a header and one row per point, by bytes: formats of the families, bytes, scores, whether on the front."""
    families = sorted({i for point in measured for i in point.formats})
    header = [
        *(f"family {i}" for i in families),
        "payload_bytes",
        "train_nats_per_token",
        "train_bits_per_byte",
        "front",
        "own",
    ]
    rows = [
        [
            *(point.formats[i] for i in families),
            point.payload_bytes,
            point.train_nats_per_token,
            point.train_bits_per_byte,
            int(point in best),
            int(point.is_own),
        ]
        for point in sorted(measured, key=lambda point: point.payload_bytes)
    ]
    return [header, *rows]


def pareto_page(name: str, recipe: Recipe, measured: Sequence[Measured], best: Sequence[Measured], num_documents: int) -> str:
    """Return the HTML page."""
    families = sorted(best[0].formats)
    return render(
        "pareto.html.j2",
        run=name,
        families=[(i, ", ".join(recipe.grid.families[i].match)) for i in families],
        figure_svg=pareto_figure(measured, best),
        best=best,
        num_points=len(measured),
        num_documents=num_documents,
        own=next(point for point in measured if point.is_own),
    )


@drawn("pareto")
def pareto_figure(measured: Sequence[Measured], best: Sequence[Measured]) -> Any:
    """Draw bits per byte against payload bytes; the front as a staircase, the run's own recipe as a cross."""
    from matplotlib.ticker import FuncFormatter

    figure = new_figure(1060, 460)
    axes = figure.subplots()
    others = [point for point in measured if point not in best and not point.is_own]
    axes.plot(
        [p.payload_bytes for p in others], [p.train_bits_per_byte for p in others], "o", color=RULE, markersize=4, label="tried"
    )
    steps = [point.payload_bytes for point in best], [point.train_bits_per_byte for point in best]
    axes.step(*steps, where="post", color=ARMS[0], linewidth=1.2)
    axes.plot(*steps, "o", color=ARMS[0], markersize=5, label="no other is smaller and better")
    own = [point for point in measured if point.is_own]
    axes.plot(
        [p.payload_bytes for p in own],
        [p.train_bits_per_byte for p in own],
        "X",
        color=ARMS[1],
        markeredgecolor=INK,
        markersize=10,
        label="the run's own recipe",
    )
    lowest = best[-1].train_bits_per_byte
    axes.set_ylim(lowest - 0.02 * lowest, max(1.15 * lowest, 1.02 * own[0].train_bits_per_byte))
    axes.set_xlabel("payload, bytes")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_ylabel("bits per byte on train documents")
    axes.grid()
    axes.legend(frameon=False, loc="upper right")
    return figure
