"""The page of the challenge's records: leaderboard with tests recomputed, score over time, lineages, noise, findings."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from mulligan.records.leaderboard import BUDGET, RANKED, Entry, lineages
from mulligan.records.report import coverage, finding_rows, leaderboard_rows, lineage_rows, noise_rows
from mulligan.records.table import Row
from mulligan.report.figure import ARMS, INK, MUTED, drawn, new_figure
from mulligan.report.template import render
from mulligan.report.words import probability, signed

LABELLED = 0.004
"""A step of the frontier of that many bits per byte or more carries its record's name."""


def records_page(rows: Sequence[Row], found: Sequence[Entry], against: Entry | None = None) -> str:
    """Return the HTML page."""
    board = leaderboard_rows(found, against)
    kin = [tree for tree in lineages([entry for entry in found if entry.track == RANKED]) if len(tree.members) > 1]
    colours = {tree.root: ARMS[i % len(ARMS)] for i, tree in enumerate(kin)}
    return render(
        "records.html.j2",
        board=board,
        against=against.name if against else None,
        coverage=coverage(rows),
        budget=BUDGET,
        over=[row for row in board if row["over_budget"]],
        figure_svg=score_over_time(found, {id(entry): colours[tree.root] for tree in kin for entry in tree.members}),
        colours=colours,
        lineages=[row for row in lineage_rows(found) if row["lineage"] in colours],
        noise=noise_rows(found),
        findings=finding_rows(rows),
        signed=signed,
        probability=probability,
    )


@drawn("records")
def score_over_time(found: Sequence[Entry], colours: Mapping[int, str]) -> Any:
    """Draw every record of the ten-minute track by day and score; `colours` by id, the others grey; the frontier as a line."""
    from matplotlib.dates import ConciseDateFormatter, DateLocator

    figure = new_figure(1060, 480)
    axes = figure.subplots()
    ranked = [entry for entry in found if entry.track == RANKED and entry.mean and entry.day]
    for entry in ranked:
        marker = "X" if entry.is_over else "o"
        colour = colours.get(id(entry), MUTED)
        face = colour if _is_merged(entry) else "white"
        axes.plot([_day(entry)], [_mean(entry)], marker, color=colour, markerfacecolor=face, markersize=7, zorder=3)
    steps = frontier(ranked)
    axes.step([_day(entry) for entry in steps], [_mean(entry) for entry in steps], where="post", color=INK, linewidth=1.1)
    for before, entry in zip([None, *steps], steps, strict=False):
        if before is None or _mean(before) - _mean(entry) >= LABELLED:
            name = entry.name.partition(" (")[0]
            axes.annotate(name, (_day(entry), _mean(entry)), (7, 1), textcoords="offset points", fontsize=10.5)
    if ranked:
        low, high = min(map(_mean, ranked)), max(map(_mean, ranked))
        axes.set_ylim(low - 0.08 * (high - low), high + 0.04 * (high - low))
    if isinstance(locator := axes.xaxis.get_major_locator(), DateLocator):
        axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    axes.set_ylabel("bits per byte, mean over runs")
    axes.grid()
    return figure


def frontier(ranked: Sequence[Entry]) -> list[Entry]:
    """Return the merged records under the budget that were the best of their day, the oldest first."""
    best: list[Entry] = []
    for entry in ranked:
        if not entry.is_over and _is_merged(entry) and (not best or _mean(entry) < _mean(best[-1])):
            best.append(entry)
    return best


def _day(entry: Entry) -> Any:
    return date.fromisoformat(entry.day)


def _mean(entry: Entry) -> float:
    return entry.mean or 0.0


def _is_merged(entry: Entry) -> bool:
    return not entry.revision.startswith("refs/pull/")
