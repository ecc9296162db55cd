"""The interaction plot of two factors: lines that are not parallel are an interaction."""

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mulligan.report.figure import INK, MUTED, drawn, mbpb_axis, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Cells = dict[tuple[str, str], dict[int, float]]
"""By the levels of both factors: the value of each seed."""
Colours = Mapping[tuple[str, str], str]


def centred_cells(
    arms: Sequence[Mapping[str, Any]], values: Mapping[str, Mapping[str, float]], factors: Sequence[str]
) -> Cells:
    """Return mBPB from the seed's own mean over the arms, for seeds that every arm has: what an analysis in blocks sees."""
    seeds = set.intersection(*(set(values[arm["name"]]) for arm in arms))
    means = {seed: float(np.mean([values[arm["name"]][seed] for arm in arms])) for seed in seeds}
    first, second = factors
    return {
        (arm["levels"][first], arm["levels"][second]): {
            int(seed): 1000 * (values[arm["name"]][seed] - means[seed]) for seed in sorted(seeds, key=int)
        }
        for arm in arms
    }


def level_colours(arms: Sequence[Mapping[str, Any]], colours: Mapping[str, str], factors: Sequence[str]) -> Colours:
    """Return each arm's colour by its levels."""
    return {(arm["levels"][factors[0]], arm["levels"][factors[1]]): colours[arm["name"]] for arm in arms}


@drawn("interaction")
def interaction(cells: Cells, colours: Colours, factors: Sequence[str]) -> Any:
    """Draw both views: each factor on the axis once, a line per level of the other; thin per seed, bold the mean."""
    figure = new_figure(1060, 340)
    left, right = figure.subplots(1, 2, sharey=True)
    _draw(left, cells, colours, factors[0], factors[1])
    turned = {(b, a): colour for (a, b), colour in colours.items()}
    _draw(right, {(b, a): seeds for (a, b), seeds in cells.items()}, turned, factors[1], factors[0])
    left.set_ylabel("score minus the seed's mean\nover the arms, mBPB (lower is better)")
    mbpb_axis(left.yaxis)
    return figure


def _draw(axes: "Axes", cells: Cells, colours: Colours, across: str, lines: str) -> None:
    levels = list(dict.fromkeys(level for level, _ in cells))
    others = list(dict.fromkeys(level for _, level in cells))
    x = np.arange(len(levels))
    ends = []
    for i, other in enumerate(others):
        style = ("-", "--", "-.", ":")[i % 4]
        table = np.array([list(cells[level, other].values()) for level in levels])
        axes.plot(x, table, linestyle=style, color=MUTED, linewidth=0.8, alpha=0.5)
        mean = table.mean(axis=1)
        axes.plot(x, mean, linestyle=style, color=INK, linewidth=2.2)
        for at, level in enumerate(levels):
            axes.plot([at], [mean[at]], "o", markersize=9, color=colours[level, other], markeredgecolor="white", zorder=3)
        ends.append((float(mean[-1]), f"{lines} = {other}"))
    axes.grid(axis="y")
    axes.set_xticks(x, levels)
    axes.set_xlim(-0.25, len(levels) - 1 + 0.25)
    axes.set_xlabel(across)
    axes.set_title(f"{across} on the axis, a line per {lines}", color=INK)
    low, high = axes.get_ylim()
    for y, (_, text) in zip(_spread([place for place, _ in ends], 0.075 * (high - low)), ends, strict=True):
        axes.annotate(text, (x[-1], y), (10, 0), textcoords="offset points", va="center", annotation_clip=False)


def _spread(places: Sequence[float], gap: float) -> list[float]:
    """Return the places moved apart so far that labels there do not overlap, in the same order."""
    order = np.argsort(places, kind="stable")
    moved = np.array(places, dtype=float)
    for low, high in itertools.pairwise(order):
        moved[high] = max(moved[high], moved[low] + gap)
    return [float(place) for place in moved - (moved.mean() - np.mean(places))]
