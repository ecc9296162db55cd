"""Bits per byte by the token's place: in its window, and in its document. Two buckets per doubling, mean over seeds.

A bucket's nats become bits per byte by the reading's mean bytes per token: the bytes of single tokens are not stored.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from mulligan.report.figure import cut_far_lines, drawn, mbpb_axis, new_figure, zero_line
from mulligan.report.series import Array, Positions

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Place = Literal["window", "document"]
Readings = Mapping[str, Mapping[int, Positions]]
"""{arm: {seed: reading}}."""

_AXES: dict[Place, str] = {
    "window": "tokens of context in the window",
    "document": "tokens since the document's start",
}
MOST_SHADED = 5
"""Above this many arms, ranges over seeds are left out."""
LEAST_TOKENS, FEWEST_BUCKETS = 10, 3
"""A bucket that holds fewer tokens is left out, and so is a panel of fewer buckets."""


def places_of(readings: Readings) -> tuple[Place, ...]:
    """Return the places by which there is something to see: three buckets or more in any reading."""
    found: list[Place] = []
    for place in _AXES:
        counts = [len(_curve(reading, place)[0]) for seeds in readings.values() for reading in seeds.values()]
        if max(counts, default=0) >= FEWEST_BUCKETS:
            found.append(place)
    return tuple(found)


@drawn("position")
def by_position(readings: Readings, colours: Mapping[str, str], baseline: str) -> Any:
    """Draw scores by each of `places_of` and, below, each arm's difference from the baseline with its range over seeds."""
    places = places_of(readings)
    compared = [arm for arm in readings if arm != baseline and readings[arm].keys() & readings.get(baseline, {}).keys()]
    figure = new_figure(530 * len(places) if len(places) > 1 else 760, 540 if compared else 320)
    panels = figure.subplots(2 if compared else 1, len(places), squeeze=False, sharex="col", sharey="row")
    for column, place in enumerate(places):
        for arm, seeds in readings.items():
            x, curves = _curves(seeds, place)
            panels[0][column].plot(x, curves.mean(axis=0), color=colours[arm], marker="o", markersize=3)
        panels[0][column].grid(axis="y")
        place_axis(panels[-1][column], _AXES[place])
    if compared:
        _draw_differences(panels[1], readings, compared, colours, baseline)
        panels[1][0].set_ylabel("difference from the baseline,\nmBPB (below 0 is better)")
        mbpb_axis(panels[1][0].yaxis)
    panels[0][0].set_ylabel("bits per byte")
    return figure


def _curve(reading: Positions, place: Place) -> tuple[Array, Array]:
    buckets = reading.window if place == "window" else reading.document
    x, scores = buckets.bits_per_byte(reading.bytes_per_token, LEAST_TOKENS)
    return (x[:0], scores[:0]) if place == "window" and reading.slides else (x, scores)


def _curves(seeds: Mapping[int, Positions], place: Place) -> tuple[Array, Array]:
    """Return the places, and the bits per byte there, one row a seed."""
    found = [_curve(reading, place) for reading in seeds.values()]
    return found[0][0], np.array([scores for _, scores in found])


def _draw_differences(
    panels: Sequence["Axes"], readings: Readings, arms: Sequence[str], colours: Mapping[str, str], baseline: str
) -> None:
    reaches = []
    for axes, place in zip(panels, places_of(readings), strict=True):
        for arm in arms:
            both = sorted(readings[arm].keys() & readings[baseline].keys())
            x, ours = _curves({seed: readings[arm][seed] for seed in both}, place)
            _, theirs = _curves({seed: readings[baseline][seed] for seed in both}, place)
            if ours.shape != theirs.shape:  # other windows or another corpus: nothing to subtract
                continue
            differences = 1000 * (ours - theirs)
            mean = differences.mean(axis=0)
            axes.plot(x, mean, color=colours[arm], marker="o", markersize=3)
            reaches.append(float(np.abs(mean).max(initial=0.0)))
            if len(arms) <= MOST_SHADED and len(both) > 1:
                axes.fill_between(
                    x, differences.min(axis=0), differences.max(axis=0), color=colours[arm], alpha=0.13, linewidth=0
                )
        zero_line(axes)
        axes.grid(axis="y")
    cut_far_lines(panels[0], reaches)


def place_axis(axes: "Axes", label: str, base: int = 2) -> None:
    """Make the axis of places one of powers of `base`, written out."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axes.set_xscale("log", base=base)
    axes.xaxis.set_major_locator(LogLocator(base=base, numticks=12))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_xlabel(label)
