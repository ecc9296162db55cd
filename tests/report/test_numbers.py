"""The CSV holds the result's own numbers; words and Markdown say them as they are."""

import csv
import io

from mulligan.report.markdown import escape, study_markdown
from mulligan.report.numbers import COLUMNS, study_rows, to_csv
from mulligan.report.recipe_text import held_equal, recipe_lines
from mulligan.report.words import bpb, in_unit, mbpb, probability, sentence, signed


def read(result):
    table = list(csv.DictReader(io.StringIO(to_csv(study_rows(result)))))
    assert tuple(table[0]) == COLUMNS
    found = {(row["arm"], row["seed"], row["metric"], row["unit"]): float(row["value"]) for row in table}
    assert len(found) == len(table)
    return found


def test_every_number_of_the_result_is_in_the_csv_bit_for_bit(finished):
    result, found = finished.result, read(finished.result)
    primary = f"primary: {result['primary']['name']}"
    for cell in result["cells"]:
        seed = str(cell["seed"])
        assert found[cell["arm"], seed, primary, "bits per byte"] == cell["values"]["primary"]
        assert found[cell["arm"], seed, "gap", "bits per byte"] == cell["values"]["gap"]
        assert found[cell["arm"], seed, "payload-bytes", "bytes"] == cell["artifact"]["payload_bytes"]
        for reading in cell["readings"]:
            address = f"{reading['point']}, {reading['windows']}, {reading['context_len']}, stride {reading['stride']}"
            assert (
                found[cell["arm"], seed, f"reading: {address}: nats_per_token", "nats per token"] == reading["nats_per_token"]
            )
    for arm, contrast in result["primary"]["contrasts"].items():
        assert found[arm, "", f"{primary}: difference, low", "bits per byte"] == contrast["low"]
        assert found[arm, "1", f"{primary}: difference", "bits per byte"] == contrast["differences"][1]
        assert found[arm, "", f"{primary}: difference, p", ""] == contrast["p"]
    interaction = result["primary"]["effects"]["interactions"][0]
    assert found[interaction["name"], "", f"{primary}: difference, estimate", "bits per byte"] == interaction["estimate"]
    assert found["", "", "steps executed", "steps"] == result["steps"]["executed"] == 32


def test_a_cell_without_a_value_has_no_row(result):
    cell = result["cells"][0]
    assert any(key[:2] == (cell["arm"], "0") for key in read(result))
    cell.update(status="failed", error="no")
    for metric in (result["primary"], *result["secondary"]):
        metric["values"][cell["arm"]].pop("0")
    assert not any(key[:2] == (cell["arm"], "0") for key in read(result))


def test_corrected_p_is_no_smaller_and_covers_arms_and_effects(finished):
    primary = finished.result["primary"]
    corrected = primary["adjusted_p"]
    raw = {name: found["p"] for name, found in primary["contrasts"].items()}
    raw |= {effect["name"]: effect["p"] for kind in ("main", "interactions") for effect in primary["effects"][kind]}
    assert corrected.keys() == raw.keys()
    assert all(corrected[name] >= p for name, p in raw.items())
    assert max(corrected[name] - p for name, p in raw.items()) > 0


def test_markdown_has_the_verdicts_steps_and_failed_cells(result):
    result["cells"][5].update(status="failed", error="Broken | pipe\nand <b>more</b>")
    text = study_markdown(result)
    for arm, verdict in result["primary"]["verdicts"].items():
        row = next(line for line in text.splitlines() if line.startswith(f"| {arm} |"))
        assert f"| {verdict['word']} |" in row
        assert mbpb(result["primary"]["contrasts"][arm]["estimate"]) in row
    assert "Training steps: 32 run, 96 without sharing." in text
    assert r"| failed | Broken \| pipe and \<b\>more\</b\> |" in text
    columns = [line.replace(r"\|", "").count("|") for line in text.splitlines() if line.startswith(("| qat=", "| arm | n"))]
    assert len(columns) == 5 + 1  # the table of arms with its head, and the failed cell
    assert escape("*a*_b_") == r"\*a\*\_b\_"


def test_numbers_as_people_read_them():
    assert mbpb(0.004974) == "+4.97"
    assert mbpb(-0.004974) == "−4.97"
    assert mbpb(-0.000001) == mbpb(0.000001) == "0.00"
    assert mbpb(None) == bpb(None) == probability(None) == ""
    assert bpb(1.23456) == "1.2346"
    assert [probability(p) for p in (0.5, 0.012, 0.00002)] == ["0.50", "0.012", "< 0.0001"]
    assert signed(12.0, 0) == "+12"
    assert signed(-1095.4, 0) == "−1,095"
    assert signed(0.4, 0) == signed(-0.4, 0) == "0"
    assert in_unit(5590.0, "bytes") == "5,590"
    assert in_unit(-4.0, "bytes", difference=True) == "−4"
    assert in_unit(0.0012, "bits per byte", spread=True) == "1.20"
    assert in_unit(4.567, "milliseconds") == "4.57"


CONTRAST = {
    "estimate": -0.00497,
    "low": -0.006,
    "high": -0.004,
    "inner_low": -0.0058,
    "inner_high": -0.0042,
    "n": 3,
    "alpha": 0.05,
}


def said(kind, word, **changes):
    verdict = {"word": word, "more_seeds": None, "over_budget": False}
    return sentence(kind, "a->b", {**CONTRAST, **changes}, verdict, {"margin_bpb": 0.002}, "the baseline", 0.02)


def test_sentences_say_direction_interval_and_what_is_missing():
    assert said("arm", "better") == (
        "a→b scores 4.97 mBPB lower (better) than the baseline: −4.97 [−6.00, −4.00] mBPB, 95\u00a0%\u00a0interval, "
        "corrected\u00a0p\u00a00.02, n\u00a0=\u00a03."
    )
    assert "higher (worse) than the sum of what each does alone: +6.22 [" in said("interaction", "worse", estimate=0.00622)
    assert "90\u00a0%\u00a0interval" in said("main", "equivalent")
    assert "too small to matter" in said("main", "equivalent")
    assert "does not survive the correction" in said("arm", "inconclusive")
    assert "does not survive the correction" not in said("arm", "inconclusive", low=-0.01, high=0.01)
    assert "[" not in said("arm", "not testable", low=None, high=None, inner_low=None, inner_high=None)


def test_what_is_held_equal_and_recipes_in_lines(result):
    assert held_equal(result) == "training steps (12 steps in every arm)"
    result["study"]["budget"] = {"kind": "seconds", "seconds": 600.0, "step_ms": {"control": 85.0, "qat": 97.5}}
    assert held_equal(result) == "training time: 600 s, turned into steps at the cost of a step (control 85 ms, qat 97.5 ms)"
    assert recipe_lines({"a": {"b": 1, "c": [None]}, "d": "x"}) == ["a.b = 1", "a.c = [null]", 'd = "x"']
    assert recipe_lines({"a": [{"b": 1}, {"b": None}]}) == ["a.0.b = 1", "a.1.b = –"]


def test_markdown_of_an_unfinished_study_says_so(finished, tmp_path):
    from mulligan.store.store import Store
    from mulligan.study.result import read_study

    text = study_markdown(read_study(finished.laid, Store(tmp_path / "empty"), {}))
    assert text.count("not run") == 8
    assert "better**" not in text
    assert "equivalent" not in text
