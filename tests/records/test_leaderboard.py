"""Scores, tests and lineages of records; published tests are reproduced from the figures of the logs."""

import pytest

from mulligan.compare.table import PUBLISHED, read_rows
from mulligan.records.leaderboard import Entry, entries, find, judge, lineages, pooled
from mulligan.records.read import read_record
from mulligan.records.report import coverage, leaderboard_rows, noise_rows
from mulligan.records.score import Score, score_of
from mulligan.records.table import Row
from mulligan.records.tree import read_folders
from small_clone import HEAD, MINE, THEIRS

NATS_PER_BPB = {1024: 1.688453645, 8192: 2.582920885}


def record_of(pr, values, claim=None, vocab=1024):
    rows = tuple(Row("run", "bits_per_byte", value) for value in values)
    claimed = Row("stated", "bits_per_byte", claim) if claim else None
    return Entry(
        "track_10min_16mb",
        str(pr),
        "",
        pr,
        "",
        "",
        claimed,
        Score(rows, "logs", True),
        NATS_PER_BPB[vocab],
        None,
        (),
        0,
        (),
        (),
        "",
    )


def test_pr_455_against_180_as_reanalysed():
    mine, theirs = [1.12913905, 1.13091159, 1.12961142], [1.14298416, 1.14260369, 1.14271194]
    judged = judge(record_of(455, mine), record_of(180, theirs))
    assert judged.record.gain_bpb == pytest.approx(0.01288, abs=5e-6)
    assert judged.rules[2].p == pytest.approx(0.0006, abs=5e-5)
    assert judged.rules[2].df == pytest.approx(2.18, abs=5e-3)


def test_pr_1716_against_1493_as_reanalysed():
    where = ["pr=1716", "metric=val_bpb", "weights=ema+gptq+ttt", "kind=log"]
    mine = record_of(1716, [float(row["value"]) for row in read_rows(PUBLISHED, where=where)], None, 8192)
    logged = judge(mine, record_of(1493, [1.08103103, 1.08079352, 1.08118408], 1.0810, 8192))
    assert [round(rule.p, 3) for rule in logged.rules[:2]] == [0.048, 0.078]
    assert logged.fixed.df == 2
    assert not logged.fixed.passes
    rounded = judge(mine, record_of(1493, [1.0808, 1.0810, 1.0812], None, 8192))
    assert [round(rule.p, 3) for rule in rounded.rules[:2]] == [0.048, 0.082]


@pytest.fixture(scope="module")
def rows(clone):
    return [row for folder in read_folders(clone, ["12"]) for row in read_record(folder)]


def test_parents_and_frontiers(rows):
    found = entries(rows)
    mine, head = find(found, MINE), find(found, "12")
    assert (mine.parent.folder, mine.frontier.folder) == (THEIRS, THEIRS)
    assert head.parent is None
    assert head.frontier.folder == THEIRS, "a record over the budget is no frontier"
    assert (mine.total_bytes, mine.margin_bytes, mine.is_over) == (16_040_000, -40_000, True)
    assert [len(tree.members) for tree in lineages(found)] == [2, 1, 1]
    assert pooled([mine]).df == 2


def test_the_leaderboard_and_what_it_says(rows):
    board = leaderboard_rows(entries(rows))
    assert [row["folder"] for row in board] == [HEAD, MINE, THEIRS]
    mine = board[1]
    assert (mine["n"], mine["parent_n"], mine["over_budget"]) == (3, 3, True)
    assert mine["score"] == pytest.approx(1.1902)
    assert mine["parent_gain_nats"] == pytest.approx(1.7 * mine["parent_gain_mbpb"] / 1000)
    assert mine["parent_applied"] is True
    assert board[2]["parent_p_welch"] is None
    against = leaderboard_rows(entries(rows), find(entries(rows), "12"))[1]
    assert against["parent_gain_mbpb"] < 0
    assert noise_rows(entries(rows))[-1]["df"] == 4, "the head claims nothing, so that its runs may be arms"
    assert coverage(rows) | {"figures": 0, "findings": 0} == {
        "records": 4,
        "records_with_logs": 3,
        "logs": 8,
        "runs": 9,
        "whole_runs": 9,
        "seeds": 8,
        "whole_seeds": 8,
        "figures": 0,
        "findings": 0,
        "disagreements": 2,
    }


def run_rows(file, run, seed, reading, value, line=1):
    return [
        Row("run", name, value, f"{value:.8f}", reading, run, seed, file, line) for name in ("nats_per_token", "bits_per_byte")
    ]


def claim(value, reading="val_bpb", seed=None):
    return Row("stated", "bits_per_byte", value, f"{value}", reading, seed=seed, file="submission.json", line=1)


def test_the_reading_that_is_claimed_is_the_score():
    """A later reading that diverged is not what a record claims."""
    rows = [claim(1.0897)]
    for seed, value in ((1, 1.0895), (2, 1.0899)):
        rows += run_rows(f"{seed}.log", f"{seed}.log", seed, "sliding", value)
    rows += run_rows("2.log", "2.log", 2, "adapted", 1.336, 9)
    assert score_of(rows).values == [1.0895, 1.0899]
    assert score_of(rows[1:]).values == [1.0895, 1.0899], "without a claim: the last reading that most runs have"
    assert score_of(rows).agrees


def test_of_several_runs_of_a_seed_those_that_are_stated():
    rows = [claim(1.05), claim(1.0, "seed_results.1.val_bpb", 1), claim(1.1, "seed_results.2.val_bpb", 2)]
    for name, seed, value in (("a", 1, 1.0), ("b", 1, 1.02), ("c", 2, 1.1), ("d", 2, 1.14)):
        rows += run_rows(f"{name}.log", f"{name}.log", seed, "sliding", value)
    assert sorted(score_of(rows).values) == [1.0, 1.1]


def test_runs_of_one_seed_are_no_spread_between_seeds():
    arms = record_of(1, [1.0, 1.3])
    assert arms.score.rows[0].seed == arms.score.rows[1].seed
    assert pooled([arms]) is None


def test_attempts_in_one_log_are_not_seeds():
    rows = [claim(1.163)]
    for number, value in ((1, 1.2), (2, 1.163), (3, 1.19)):
        rows += run_rows("train.log", f"train.log#{number}", 7, "sliding", value)
    assert score_of(rows).values == [1.163]


def test_without_logs_the_score_is_what_is_stated():
    rows = [claim(1.05), claim(1.0, "seed_results.1.val_bpb", 1), claim(1.1, "seed_results.2.val_bpb", 2)]
    assert (score_of(rows).values, score_of(rows).how) == ([1.0, 1.1], "stated per seed")
    assert (score_of(rows[:1]).values, score_of(rows[:1]).how) == ([1.05], "claimed")
    assert score_of([]) is None
