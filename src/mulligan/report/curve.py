"""Learning curves: training loss per step, mean over seeds. What arms trained together is drawn as one line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from mulligan.report.figure import MUTED, cut_far_lines, drawn, new_figure, zero_line
from mulligan.report.series import Array, mean_over_seeds, moving_mean, shared_steps

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Line:
    """Arms that are one training, its mean loss per step, and its colour (the first arm's)."""

    arms: tuple[str, ...]
    losses: Array
    colour: str


@dataclass(frozen=True)
class Curves:
    """The lines of a study, the baseline's first; the steps that all share; the window of the moving mean."""

    lines: tuple[Line, ...]
    shared: int
    window: int


def make_curves(losses: Mapping[str, Mapping[int, Array]], colours: Mapping[str, str]) -> Curves | None:
    """Return the curves of {arm: {seed: loss per step}} over the seeds that all arms have; None where nothing is there."""
    present = {arm: seeds for arm, seeds in losses.items() if seeds}
    if not present:
        return None
    seeds = set.intersection(*(set(found) for found in present.values()))
    if not seeds:
        return None
    means = {arm: mean_over_seeds({seed: found[seed] for seed in seeds}) for arm, found in present.items()}
    groups: dict[bytes, list[str]] = {}
    for arm, mean in means.items():
        groups.setdefault(mean.tobytes(), []).append(arm)
    lines = tuple(Line(tuple(arms), means[arms[0]], colours[arms[0]]) for arms in groups.values())
    length = min(len(line.losses) for line in lines)
    shared = shared_steps([line.losses for line in lines]) if len(lines) > 1 else 0
    return Curves(lines, shared, max(1, length // 50))


@drawn("learning")
def learning_curves(curves: Curves, *, comparable: bool) -> Any:
    """Draw the losses and, where losses of a step may be `comparable` between arms, their difference from the baseline's."""
    differing = list(curves.lines[1:]) if comparable else []
    figure = new_figure(1060, 340)
    panels = figure.subplots(1, 2 if differing else 1, squeeze=False)[0]
    _draw_losses(panels[0], curves)
    if differing:
        _draw_differences(panels[1], curves, differing)
    return figure


def _draw_losses(axes: "Axes", curves: Curves) -> None:
    low, high = np.inf, -np.inf
    for line in curves.lines:
        smooth = moving_mean(line.losses, curves.window)
        steps = np.arange(1, len(smooth) + 1)
        begin = max(curves.shared - 1, 0)
        axes.plot(steps[begin:], smooth[begin:], color=line.colour)
        if line is curves.lines[0] and curves.shared:
            axes.plot(steps[: curves.shared], smooth[: curves.shared], color=MUTED, linewidth=2.6)
        settled = smooth[len(smooth) // 20 :]
        low, high = min(low, float(settled.min())), max(high, float(settled.max()))
    pad = 0.06 * (high - low) or 0.1
    axes.set_ylim(low - pad, high + pad)
    axes.grid(axis="y")
    _step_axis(axes)
    axes.set_ylabel("training loss, nats per token")
    if curves.shared:
        axes.axvline(curves.shared, color=MUTED, linewidth=0.8, linestyle=":")
        axes.text(
            curves.shared,
            0.97,
            f"shared trunk to step {curves.shared:,} ",
            transform=axes.get_xaxis_transform(),
            color=MUTED,
            ha="right" if curves.shared > 0.4 * axes.get_xlim()[1] else "left",
            va="top",
            fontsize=11,
        )


def _draw_differences(axes: "Axes", curves: Curves, lines: Sequence[Line]) -> None:
    reference, reaches = curves.lines[0].losses, []
    for line in lines:
        length = min(len(reference), len(line.losses))
        differences = 1000 * moving_mean(line.losses[:length] - reference[:length], curves.window)
        begin = max(curves.shared - 1, 0)
        axes.plot(np.arange(1, length + 1)[begin:], differences[begin:], color=line.colour)
        reaches.append(float(np.abs(differences[begin:]).max()))
    cut_far_lines(axes, reaches)
    zero_line(axes)
    axes.grid(axis="y")
    _step_axis(axes)
    axes.set_ylabel("difference from the baseline's loss,\n0.001 nats per token")


Validations = Mapping[str, Mapping[int, Sequence[tuple[int, float]]]]
"""{arm: {seed: (step, bits per byte) of each validation}}."""


@drawn("validation")
def validation_curves(curves: Validations, colours: Mapping[str, str]) -> Any:
    """Draw what scripts logged of their validations: mean over the seeds that validated at a step, after the first."""
    figure = new_figure(760, 340)
    axes = figure.subplots()
    for arm, seeds in curves.items():
        found: dict[int, list[float]] = {}
        for step, bits in (point for curve in seeds.values() for point in curve):
            if step > 0:
                found.setdefault(step, []).append(bits)
        steps = sorted(found)
        axes.plot(steps, [np.mean(found[step]) for step in steps], color=colours[arm], marker="o", markersize=3)
    axes.grid(axis="y")
    _step_axis(axes)
    axes.set_ylabel("bits per byte in training")
    return figure


def _step_axis(axes: "Axes") -> None:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axes.set_xlabel("training step")
    axes.xaxis.set_major_locator(MaxNLocator(7, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
