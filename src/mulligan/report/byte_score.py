"""Bytes against score: every cell, its arm's mean, and the byte budget where it is near."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mulligan.report.figure import INK, drawn, new_figure


@dataclass(frozen=True)
class Point:
    """One finished cell."""

    arm: str
    total_bytes: int
    score: float


def budget_is_near(points: Sequence[Point], budget_bytes: int) -> bool:
    """Say whether the budget's line belongs into the figure: not where it would squeeze the points together."""
    sizes = [point.total_bytes for point in points]
    return budget_bytes / 1.25 <= max(sizes) and min(sizes) <= 1.25 * budget_bytes


@drawn("bytes")
def bytes_against_score(points: Sequence[Point], colours: Mapping[str, str], budget_bytes: int) -> Any:
    """Draw payload and code bytes against bits per byte; lower and further left is better."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    figure = new_figure(760, 340)
    axes = figure.subplots()
    for arm in dict.fromkeys(point.arm for point in points):
        cells = [point for point in points if point.arm == arm]
        sizes, scores = [point.total_bytes for point in cells], [point.score for point in cells]
        axes.plot(sizes, scores, "o", markersize=5, color="none", markeredgecolor=colours[arm])
        axes.plot([np.mean(sizes)], [np.mean(scores)], "D", markersize=9, color=colours[arm], markeredgecolor="white")
    if budget_is_near(points, budget_bytes):
        axes.axvline(budget_bytes, color=INK, linewidth=1.2)
        axes.annotate(
            f"budget {budget_bytes:,}",
            (budget_bytes, 0.98),
            xycoords=axes.get_xaxis_transform(),
            xytext=(-5, 0),
            textcoords="offset points",
            ha="right",
            va="top",
        )
    axes.margins(0.12)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.grid()
    axes.set_xlabel("payload and code, bytes")
    axes.set_ylabel("bits per byte")
    return figure
