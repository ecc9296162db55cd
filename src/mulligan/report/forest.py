"""The forest plot: every contrast and effect with its intervals, the margin band and one dot per seed."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mulligan.report.figure import BAND, INK, MUTED, drawn, mbpb_axis, new_figure, robust_reach, zero_line
from mulligan.report.words import arrows, interval, mbpb

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH, LEFT, RIGHT, ROW, FOOT, HEAD = 1060, 280, 340, 34, 52, 10
FAR = 4.0
"""A margin this many times wider than the data is left off the axis."""


@dataclass(frozen=True)
class Row:
    """One line of the plot: a contrast of the result (its JSON), the word of its verdict, and its colour."""

    group: str
    label: str
    contrast: Mapping[str, Any]
    word: str
    colour: str = INK


@dataclass(frozen=True)
class Scale:
    """How far the axis goes from 0, in bits per byte; whether the margin is drawn; whether some rows lie outside."""

    reach: float
    has_margin: bool
    cuts_rows: bool


def scale_of(rows: Sequence[Row], margin: float) -> Scale:
    """Return the scale: a margin that would squeeze the data into a point is left off, and so are a few far rows of many."""
    reaches = [max(abs(value) for value in _values(row.contrast)) for row in rows]
    reach = robust_reach(reaches)
    has_margin = margin <= FAR * reach
    return Scale(max(reach, margin if has_margin else 0.0), has_margin, reach < max(reaches, default=0.0))


def _values(contrast: Mapping[str, Any]) -> list[float]:
    numbers = [contrast["estimate"], contrast["low"], contrast["high"], *contrast["differences"]]
    return [float(value) for value in numbers if value is not None]


@drawn("forest")
def forest(rows: Sequence[Row], margin: float) -> Any:
    """Draw the rows in their order, a heading above each group; `margin` in bits per byte. Axis in mBPB."""
    groups = list(dict.fromkeys(row.group for row in rows))
    height = HEAD + FOOT + ROW * (len(rows) + len(groups))
    figure = new_figure(WIDTH, height, tight=False)
    bottom, tall = FOOT / height, (height - HEAD - FOOT) / height
    axes = figure.add_axes((LEFT / WIDTH, bottom, (WIDTH - LEFT - RIGHT) / WIDTH, tall))
    scale = scale_of(rows, margin)
    edge = 1120 * scale.reach or 1.0
    axes.set_xlim(-edge, edge)
    axes.set_ylim(len(rows) + len(groups) - 0.5, -0.5)
    if scale.has_margin:
        axes.axvspan(-1000 * margin, 1000 * margin, color=BAND, linewidth=0, zorder=0)
    zero_line(axes, vertical=True)
    _text(axes, 1 - (RIGHT - 14) / WIDTH, 0, "mBPB [interval]", colour=MUTED)
    _text(axes, 1 - 108 / WIDTH, 0, "verdict", colour=MUTED)
    y = 0
    for group in groups:
        _text(axes, 0.0, y, group, weight="bold")
        for row in (row for row in rows if row.group == group):
            y += 1
            _draw_row(axes, y, row, edge)
        y += 1
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    mbpb_axis(axes.xaxis)
    axes.set_xlabel("difference in mBPB (0.001 bits per byte); left of 0 is better")
    return figure


def _draw_row(axes: "Axes", y: int, row: Row, edge: float) -> None:
    contrast = {name: 1000 * value for name, value in row.contrast.items() if isinstance(value, float)}
    if "low" in contrast:
        axes.plot([contrast["low"], contrast["high"]], [y, y], color=row.colour, linewidth=1.2, zorder=2)
        axes.plot([contrast["inner_low"], contrast["inner_high"]], [y, y], color=row.colour, linewidth=3.6, zorder=2)
    estimate = contrast["estimate"]
    if abs(estimate) > edge:
        axes.plot([0.98 * math.copysign(edge, estimate)], [y], ">" if estimate > 0 else "<", markersize=9, color=row.colour)
    else:
        axes.plot([estimate], [y], "D", markersize=7, color=row.colour, markeredgecolor="white", zorder=3)
    dots = [1000 * value for value in row.contrast["differences"]]
    axes.plot(dots, [y + 0.29] * len(dots), "o", markersize=4, color="none", markeredgecolor=MUTED, zorder=2)
    lines = textwrap.wrap(row.label, 42) or [""]
    label = "\n".join([lines[0], " ".join(lines[1:])[:42]] if len(lines) > 1 else lines)
    _text(axes, 14 / WIDTH, y, label)
    numbers = f"{mbpb(row.contrast['estimate'])} {interval(row.contrast['low'], row.contrast['high'])}".rstrip()
    _text(axes, 1 - (RIGHT - 14) / WIDTH, y, numbers)
    _text(axes, 1 - 108 / WIDTH, y, row.word, weight="bold")


def _text(axes: "Axes", x: float, y: float, text: str, *, weight: str = "normal", colour: str = INK) -> None:
    """Write at a fraction of the figure's width and a row of the plot."""
    from matplotlib.transforms import blended_transform_factory

    figure = axes.get_figure()
    assert figure is not None
    place = blended_transform_factory(figure.transFigure, axes.transData)
    axes.text(x, y, text, transform=place, va="center", ha="left", fontweight=weight, color=colour, clip_on=False)


def rows_of(primary: Mapping[str, Any], colours: Mapping[str, str], baseline: str) -> list[Row]:
    """Return the rows of a result: arms against the baseline, then main effects and interactions where there are some."""
    rows = [
        Row(f"Arms against {baseline}", arm, found, primary["verdicts"][arm]["word"], colours[arm])
        for arm, found in primary["contrasts"].items()
    ]
    for kind, group in (("main", "Main effects"), ("interactions", "Interactions")):
        rows += [
            Row(group, arrows(effect["name"]), effect, primary["effect_verdicts"][effect["name"]]["word"])
            for effect in primary["effects"].get(kind, ())
        ]
    return rows
