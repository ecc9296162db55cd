"""Figures: the same bytes each time, nothing fetched, and drawn for what is unusual too."""

import numpy as np
import pytest

from mulligan.report.byte_score import Point, budget_is_near, bytes_against_score
from mulligan.report.curve import learning_curves, make_curves
from mulligan.report.figure import ARMS, arm_colours, robust_reach
from mulligan.report.forest import Row, forest, scale_of
from mulligan.report.interaction import centred_cells, interaction, level_colours
from mulligan.report.position import by_position, places_of
from mulligan.report.series import Buckets, Positions


def contrast(estimate=0.001, half=0.002, differences=(0.0, 0.002)):
    low, high = (None, None) if half is None else (estimate - half, estimate + half)
    inner = (None, None) if half is None else (estimate - half / 2, estimate + half / 2)
    return {
        "estimate": estimate,
        "low": low,
        "high": high,
        "inner_low": inner[0],
        "inner_high": inner[1],
        "differences": list(differences),
    }


def rows(**changes):
    return [Row("Arms against a", "a long name of an arm & <more>", contrast(**changes), "worse")]


def test_a_forest_plot_is_the_same_bytes_twice_and_refers_to_nothing():
    first, second = forest(rows(), 0.002), forest(rows(), 0.002)
    assert first == second
    assert "://" not in first
    assert "<metadata" not in first
    assert "a long name of an arm &amp; &lt;more&gt;" in first
    assert "+1.00 [−1.00, +3.00]" in first


def test_another_number_is_another_figure():
    assert forest(rows(), 0.002) != forest(rows(estimate=0.0011), 0.002)


def test_a_margin_far_outside_the_data_is_not_drawn():
    assert scale_of(rows(), 0.002).has_margin
    assert not scale_of(rows(), 0.02).has_margin
    assert "+30" not in forest(rows(), 0.03)
    assert "+30" in forest(rows(estimate=0.03), 0.03)


def test_a_few_far_rows_of_many_are_arrows_and_do_not_hide_the_rest():
    many = [*rows() * 6, *rows(estimate=0.5, differences=())]
    assert scale_of(many, 0.002).reach == pytest.approx(0.003)
    assert scale_of(many, 0.002).cuts_rows
    few = many[-3:]
    assert scale_of(few, 0.002).reach == pytest.approx(0.502)
    assert not scale_of(few, 0.002).cuts_rows
    assert "+500.00 [+498.00, +502.00]" in forest(many, 0.002)


@pytest.mark.parametrize(
    ("reaches", "expected"),
    [([], 0), ([1, 50], 50), ([1, 1, 1, 1, 1, 50], 1), ([1, 2, 3, 4, 5, 20], 20), ([1, 1, 1, 90, 90, 90], 90), ([0.0] * 9, 0)],
)
def test_an_axis_reaches_as_far_as_most_rows(reaches, expected):
    assert robust_reach(reaches) == expected


def test_a_contrast_without_an_interval_has_its_estimate_only():
    svg = forest(rows(half=None, differences=()), 0.002)
    assert "+1.00" in svg
    assert svg.count("[") == 1  # the column's heading
    assert forest(rows(), 0.002).count("[") == 2


def test_arms_keep_their_colours_and_the_baseline_has_none_of_them():
    colours = arm_colours(["b", "a", "c"], "a")
    assert colours["a"] not in ARMS
    assert [colours["b"], colours["c"]] == list(ARMS[:2])


def test_interaction_cells_leave_out_the_seed_and_incomplete_seeds():
    arms = [{"name": f"{a}{b}", "levels": {"f": a, "g": b}} for a in "xy" for b in "uv"]
    values = {"xu": {"0": 1.0, "1": 5.0}, "xv": {"0": 1.002, "1": 5.0}, "yu": {"0": 1.0}, "yv": {"0": 0.998}}
    cells = centred_cells(arms, values, ["f", "g"])
    assert {levels: list(seeds) for levels, seeds in cells.items()} == {levels: [0] for levels in cells}
    assert [cells[levels][0] for levels in (("x", "u"), ("x", "v"), ("y", "u"), ("y", "v"))] == pytest.approx([0, 2, 0, -2])
    svg = interaction(
        cells, level_colours(arms, {arm["name"]: "#0000f" + str(i) for i, arm in enumerate(arms)}, ["f", "g"]), ["f", "g"]
    )
    assert all(svg.count(f"#0000f{i}") == 2 for i in range(4))
    assert "g = v" in svg
    assert "f = y" in svg


def test_curves_of_one_training_are_one_line_and_the_trunk_is_found():
    trunk, a, b = np.arange(20.0, 10.0, -1), np.full(5, 9.0), np.full(5, 8.0)
    losses = {"one": np.concatenate([trunk, a]), "two": np.concatenate([trunk, a]), "three": np.concatenate([trunk, b])}
    curves = make_curves({arm: {0: loss} for arm, loss in losses.items()}, arm_colours(list(losses), "one"))
    assert [line.arms for line in curves.lines] == [("one", "two"), ("three",)]
    assert curves.shared == 10
    assert learning_curves(curves, comparable=True).count('id="learning-axes_') == 2
    assert learning_curves(curves, comparable=False).count('id="learning-axes_') == 1


def test_curves_are_means_over_the_seeds_that_every_arm_has():
    losses = {"one": {0: np.array([1.0, 3.0]), 1: np.array([100.0, 100.0])}, "two": {0: np.array([2.0, 4.0])}, "none": {}}
    curves = make_curves(losses, {"one": "black", "two": "red", "none": "blue"})
    assert [line.losses.tolist() for line in curves.lines] == [[1.0, 3.0], [2.0, 4.0]]
    assert make_curves({"one": {0: np.ones(2)}, "two": {1: np.ones(2)}}, {"one": "black", "two": "red"}) is None


@pytest.mark.parametrize(("budget", "near"), [(1_100, True), (1_000, True), (900, True), (2_000, False), (100, False)])
def test_the_budget_is_drawn_where_it_is_near(budget, near):
    points = [Point("a", 1_000, 2.0), Point("a", 1_010, 2.1)]
    assert budget_is_near(points, budget) == near
    assert (f"budget {budget:,}" in bytes_against_score(points, {"a": "black"}, budget)) == near


def positions(score, tokens=100, doublings=8, slides=False):
    """A reading whose every bucket has `tokens` tokens of `score` bits per byte, at one byte per token."""
    places = 2.0 ** np.arange(0, doublings, 0.5)
    buckets = Buckets(np.full(len(places), tokens), np.full(len(places), tokens * score * np.log(2)), tokens * places)
    return Positions(buckets, buckets, 1.0, slides)


def test_positions_show_where_there_are_enough_tokens_for_three_buckets():
    assert places_of({"a": {0: positions(2.0)}}) == ("window", "document")
    assert places_of({"a": {0: positions(2.0, slides=True)}}) == ("document",)
    assert places_of({"a": {0: positions(2.0, doublings=1)}}) == ()
    assert places_of({"a": {0: positions(2.0, tokens=9)}}) == ()
    assert places_of({}) == ()


def test_differences_by_position_are_against_the_baseline_and_skip_other_windows():
    readings = {"a": {0: positions(2.0), 1: positions(2.1)}, "b": {0: positions(2.003), 1: positions(2.1)}}
    colours = {"a": "#0000f0", "b": "#0000f1", "c": "#0000f2"}
    svg = by_position(readings, colours, "a")
    assert svg.count('id="position-axes_') == 4
    assert "+3" in svg
    other = by_position({**readings, "c": {0: positions(2.0, doublings=5)}}, colours, "a")
    assert other.count('id="position-axes_') == 4
    assert by_position({"b": readings["b"]}, colours, "a").count('id="position-axes_') == 2
