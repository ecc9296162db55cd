"""Reading results: packed columns, filters, duplicates, mixtures."""

import pytest

from mulligan.compare.table import PUBLISHED, arm_name, choose, parse_arm, read_rows, samples, split_column

CLAIMED = "qat=1;swa=0;prune=5% (claimed; code of these runs not published)"


def test_a_packed_column_is_split():
    (row,) = split_column([{"config": CLAIMED}], "config")
    assert row == {"config": CLAIMED, "qat": "1", "swa": "0", "prune": "5%"}
    (row,) = split_column([{"config": "swa=1(73 snaps) ; dociso = 0;plain words"}], "config")
    assert (row["swa"], row["dociso"], len(row)) == ("1", "0", 3)
    with pytest.raises(ValueError, match="column qat already"):
        split_column([{"config": "qat=1", "qat": "0"}], "config")
    with pytest.raises(ValueError, match=r"No column 'setup'.*config"):
        split_column([{"config": "qat=1"}], "setup")


ROWS = [{"pr": pr, "seed": seed, "value": f"1.{seed}"} for pr in ("1", "2", "3") for seed in ("7", "8")]


def test_rows_are_chosen():
    assert len(choose(ROWS, [])) == 6
    assert {row["pr"] for row in choose(ROWS, ["pr=1", "pr=3"])} == {"1", "3"}
    assert {(row["pr"], row["seed"]) for row in choose(ROWS, ["pr!=1", "pr!=3", "seed=8"])} == {("2", "8")}
    assert choose([{"a": "x=y"}, {"a": "z"}], ["a = x=y"]) == [{"a": "x=y"}]


def test_rows_without_a_split_column_are_not_chosen_by_it():
    rows = split_column([{"config": "swa=1"}, {"config": "plain"}], "config")
    assert choose(rows, ["swa=1"]) == [rows[0]]
    assert choose(rows, ["swa!=1"]) == [rows[1]]


@pytest.mark.parametrize(
    ("where", "words"),
    [(["pr"], "column=value"), (["size=1"], r"No column 'size'.*pr, seed, value"), (["pr=9"], "Values of pr there: 1, 2, 3")],
)
def test_a_filter_that_cannot_be_meant_is_refused(where, words):
    with pytest.raises(ValueError, match=words):
        choose(ROWS, where)


def test_arms_are_gathered_in_order_of_levels():
    rows = [{"bits": bits, "seed": seed, "value": f"{bits}.{seed}"} for bits in ("10", "6") for seed in ("2", "1")]
    arms = samples(rows, ["bits"])
    assert list(arms) == [("6",), ("10",)]
    assert arms["6",] == {1: 6.1, 2: 6.2}
    assert arm_name(["a", "b"], ["1", "2"]) == "a=1,b=2"


def test_two_runs_of_one_seed_are_an_error_that_tells_them_apart():
    rows = read_rows(PUBLISHED, where=["pr=989", "metric=val_bpb", "eval_mode=sliding64/T2048"], split="config")
    with pytest.raises(ValueError, match="qat=1,swa=0 has two rows with seed 2024") as caught:
        samples(rows, ["qat", "swa"])
    assert "prune: '5%' and '10%'" in str(caught.value)
    assert "run: 'no_swa_qat_seed2024' and 'no_swa_qat_seed2024_v3'" in str(caught.value)
    same = [{"a": "1", "seed": "1", "value": "1.0"}, {"a": "1", "seed": "1", "value": "1.1"}]
    with pytest.raises(ValueError, match=r"nothing else\. Remove one"):
        samples(same, ["a"])


def test_ways_of_scoring_are_not_mixed():
    rows = read_rows(PUBLISHED, where=["pr=989", "metric=val_bpb", "seed=42"], split="config")
    with pytest.raises(ValueError, match="mix 2 values of eval_mode: nonoverlap/T2048, sliding64/T2048"):
        samples(rows, ["qat", "swa"])
    assert len(samples(rows, ["qat", "swa", "eval_mode"])) == 8


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": "x"}, "seed = 'x' is no integer"),
        ({"value": "fast"}, "value = 'fast' is no finite number"),
        ({"value": "nan"}, "value = 'nan' is no finite number"),
    ],
)
def test_cells_that_are_no_numbers_are_refused(change, words):
    with pytest.raises(ValueError, match=words):
        samples([*ROWS[:1], {**ROWS[1], **change}], ["pr"])


def test_a_row_that_lacks_a_factor_is_refused():
    rows = split_column([{"c": "a=1", "seed": "1", "value": "1"}, {"c": "-", "seed": "2", "value": "1"}], "c")
    with pytest.raises(ValueError, match="has no a"):
        samples(rows, ["a"])
    with pytest.raises(ValueError, match="No factor given"):
        samples(rows, [])


def test_an_arm_is_named_in_any_order():
    arms = [("0", "1"), ("1", "0")]
    assert parse_arm("swa=0, qat=1", ["qat", "swa"], arms, "--baseline") == ("1", "0")
    for text in ("qat=1", "qat=1,swa=1", "qat=1,swa=0,x=2", "nonsense"):
        with pytest.raises(ValueError, match="Write one of: qat=0,swa=1; qat=1,swa=0"):
            parse_arm(text, ["qat", "swa"], arms, "--baseline")


@pytest.mark.parametrize(
    ("text", "words"),
    [("a,b\n", "no rows"), ("a,b\n1,2\n1\n", "row 2 after the header"), ("a,b\n1,2,3\n", "row 1"), ("", "no rows")],
)
def test_a_broken_table_is_refused(text, words, tmp_path):
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(ValueError, match=words):
        read_rows(tmp_path / "x.csv")
    with pytest.raises(ValueError, match="no such file"):
        read_rows(tmp_path / "y.csv")


def test_notes_are_passed_over(tmp_path):
    (tmp_path / "x.csv").write_text("# a note, with commas\na , b\n1, x \n# another\n2,y\n")
    assert read_rows(tmp_path / "x.csv") == [{"a": "1", "b": "x"}, {"a": "2", "b": "y"}]
