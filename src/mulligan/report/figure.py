"""Figures as inline SVG: one look, one colour per arm, the same bytes each time, nothing fetched and no script.

Sizes are CSS pixels. Text stays text (searchable, in the page's fonts); ids are made unique within the page.
"""

import functools
import io
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

P = ParamSpec("P")

INK, MUTED, RULE, BAND = "#1f2328", "#6a737d", "#c9ced4", "#e8eef4"
BASELINE = "#3b4148"
ARMS = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#aa4499",
    "#b8860b",
    "#56b4e9",
    "#882255",
    "#6a7f10",
    "#44aa99",
    "#a0522d",
    "#332288",
    "#cc6677",
    "#117733",
    "#e69f00",
    "#7f7f7f",
)
"""Distinct for most colour-blind readers; every use has a name beside it."""

_LOOK = {
    "svg.hashsalt": "mulligan",
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 12.0,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.labelsize": 12.0,
    "axes.titlesize": 12.0,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": "#e6e8eb",
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.labelsize": 11.0,
    "ytick.labelsize": 11.0,
    "lines.linewidth": 1.6,
    "axes.formatter.useoffset": False,
}


def drawn(name: str) -> Callable[[Callable[P, "Figure"]], Callable[P, str]]:
    """Turn a function that draws a figure into one that returns its SVG; `name` tells figures of one page apart."""

    def decorate(draw: Callable[P, "Figure"]) -> Callable[P, str]:
        @functools.wraps(draw)
        def as_svg(*args: P.args, **kwargs: P.kwargs) -> str:
            import matplotlib

            with matplotlib.rc_context(_LOOK):  # type: ignore[arg-type]
                return _svg(draw(*args, **kwargs), name)

        return as_svg

    return decorate


def new_figure(width: int, height: int, *, tight: bool = True) -> "Figure":
    """Return an empty figure of `width` x `height` CSS pixels; `tight`: let axes take all the room."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width / 72, height / 72), dpi=72, layout="constrained" if tight else None)


def _svg(figure: "Figure", name: str) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r"<style.*?</style>\s*", "", text, count=1, flags=re.DOTALL)
    text = re.sub(r'\sxmlns(:\w+)?="[^"]*"', "", text)
    text = re.sub(r'(?<=\s)id="', f'id="{name}-', text)
    text = re.sub(r"url\(#", f"url(#{name}-", text)
    text = re.sub(r'href="#', f'href="#{name}-', text)
    text = re.sub(r' (width|height)="[^"]*pt"', "", text, count=2)
    return text.replace("<svg ", f'<svg style="max-width: {round(figure.get_figwidth() * 72)}px" ', 1)


def arm_colours(arms: Sequence[str], baseline: str) -> dict[str, str]:
    """Return one colour per arm, the same in every figure of a page; they repeat after sixteen arms."""
    others = [arm for arm in arms if arm != baseline]
    return {baseline: BASELINE, **{arm: ARMS[i % len(ARMS)] for i, arm in enumerate(others)}}


def robust_reach(reaches: Sequence[float]) -> float:
    """Return how far an axis goes from 0: to the largest reach, unless a few of many lie so far out that they hide the rest."""
    largest, middle = max(reaches, default=0.0), sorted(reaches)[len(reaches) // 2] if reaches else 0.0
    kept = [reach for reach in reaches if reach <= 3 * middle]
    if largest > 6 * middle and len(reaches) >= 6 and len(kept) >= 2 / 3 * len(reaches):
        return max(kept)
    return largest


def mbpb_axis(axis: Any) -> None:
    """Label the ticks of an axis in mBPB with a sign and a true minus; its values are mBPB already."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    axis.set_major_locator(MaxNLocator(7))
    axis.set_major_formatter(FuncFormatter(lambda value, _: "0" if abs(value) < 1e-12 else f"{value:+g}".replace("-", "−")))


def zero_line(axes: "Axes", *, vertical: bool = False) -> None:
    """Draw the line of no difference."""
    (axes.axvline if vertical else axes.axhline)(0, color=INK, linewidth=0.9, zorder=1.5)


def cut_far_lines(axes: "Axes", reaches: Sequence[float]) -> None:
    """Let the height of a panel of differences fit most lines, where a few of many would flatten the rest."""
    reach = robust_reach(reaches)
    if reach < max(reaches, default=0.0):
        axes.set_ylim(-1.15 * reach, 1.15 * reach)
