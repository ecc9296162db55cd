"""The page of one or two scores along something that every token has, its figure and its table."""

from typing import TYPE_CHECKING, Any

import numpy as np

from mulligan.report.figure import ARMS, BASELINE, drawn, mbpb_axis, new_figure, zero_line
from mulligan.report.position import place_axis
from mulligan.report.template import render
from mulligan.report.token_curve import By, Curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes

AXES: dict[By, str] = {
    "window": "place in the window, tokens",
    "document": "tokens since the document's start",
    "frequency": "how often the token is in the train split",
    "progress": "targets scored so far",
    "updates": "updates of the weights before the target, plus 1",
}


def curve_rows(curves: Curves) -> list[list[Any]]:
    """Return a header and one row per bin: place, tokens, bytes and bits per byte of each score, then their difference."""
    header = ["place"]
    columns: list[Any] = [curves.curves[0].place]
    for name, curve in zip(curves.names, curves.curves, strict=True):
        header += [f"tokens {name}", f"bytes {name}", f"bits_per_byte {name}"]
        columns += [curve.tokens, curve.bytes, curve.bits_per_byte]
    if curves.difference is not None:
        header += ["difference", "low", "high"]
        columns += [curves.difference, curves.low, curves.high]
    return [header, *([None if np.isnan(value) else float(value) for value in row] for row in zip(*columns, strict=True))]


def curve_page(curves: Curves) -> str:
    """Return the HTML page."""
    return render(
        "curves.html.j2",
        names=curves.names,
        along=AXES[curves.by],
        colours=(BASELINE, ARMS[0]),
        figure_svg=curve_figure(curves),
        compared=curves.difference is not None,
        num_documents=curves.num_documents,
        rows=curve_rows(curves),
    )


@drawn("curves")
def curve_figure(curves: Curves) -> Any:
    """Draw the scores and, below, the second less the first with its interval over documents."""
    compared = curves.difference is not None
    figure = new_figure(760, 540 if compared else 320)
    panels = figure.subplots(2 if compared else 1, 1, squeeze=False, sharex="col")[:, 0]
    for colour, curve in zip((BASELINE, ARMS[0]), curves.curves, strict=False):
        panels[0].plot(curve.place, curve.bits_per_byte, color=colour, marker="o", markersize=3)
    panels[0].grid(axis="y")
    panels[0].set_ylabel("bits per byte")
    if curves.difference is not None and curves.low is not None and curves.high is not None:
        place, axes = curves.curves[0].place, panels[1]
        axes.fill_between(place, 1000 * curves.low, 1000 * curves.high, color=ARMS[0], alpha=0.15, linewidth=0)
        axes.plot(place, 1000 * curves.difference, color=ARMS[0], marker="o", markersize=3)
        zero_line(axes)
        axes.grid(axis="y")
        axes.set_ylabel("difference, mBPB\n(below 0: the second is better)")
        mbpb_axis(axes.yaxis)
    _label(panels[-1], curves.by)
    return figure


def _label(axes: "Axes", by: By) -> None:
    from matplotlib.ticker import FuncFormatter

    if by == "progress":
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        axes.set_xlabel(AXES[by])
    else:
        place_axis(axes, AXES[by], base=10 if by == "frequency" else 2)
