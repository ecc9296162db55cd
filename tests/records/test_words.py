"""Levers and parents that a record names."""

from mulligan.lever_card import find_cards
from mulligan.records.words import LEVERS, MARKERS, acting_levers, lineage, named_levers


def test_levers_bear_the_names_of_ours():
    ours = {card.name for card in find_cards()}
    assert set(LEVERS) <= ours
    assert set(MARKERS) <= set(LEVERS)


def test_levers_at_their_first_place():
    text = "# 11L XSA4 + EMA\n\nWe tried SWA and LeakyReLU(0.5)²; no QAT.\nEMA again. Domestic emanation.\n"
    found = {row.name: (row.text, row.line) for row in named_levers("README.md", text)}
    assert found["ema"] == ("EMA", 1)
    assert found["swa"] == ("SWA", 3)
    assert found["feed_forward"][1] == 3
    assert "gptq" not in found
    log = "step:5/9\nswa:start step:5300\nswa:applying averaged 12 checkpoints\n"
    assert [(row.name, row.line) for row in acting_levers("train.log", log)] == [("swa", 3)]


def test_lineage_says_how_and_where():
    text = (
        "Clears #1017's conditions. PR #50 is mine.\nBuilt on [PR #549](https://github.com/o/parameter-golf/pull/549) by A.\n"
        "- **PR #1736** — integration on top of PR #1530's stack.\nOur base is 2026-03-22_Some_Record.\n"
    )
    found = [(row.name, row.text, row.line) for row in lineage("README.md", text, 50, "2026-03-23_Own")]
    assert found == [
        ("named", "1017", 1),
        ("builds on", "549", 2),
        ("builds on", "1736", 3),
        ("base", "2026-03-22_Some_Record", 4),
    ]
