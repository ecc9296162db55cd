"""Shards that are cut after fewer documents than validation has are told from script, instructions and logs."""

import pytest

from mulligan.review.rules import r04_data_split
from script_subject import findings, subject_of

PREPARE = """
import argparse
parser = argparse.ArgumentParser()
parser.add_argument("--val-docs", type=int, default=10_000)
"""


def found(tmp_path, files):
    subject = subject_of(tmp_path, "print(1)\n", files)
    return [(one.severity, one.file, one.line) for one in findings(r04_data_split, subject)]


@pytest.mark.parametrize(
    "text",
    [
        "Run:\n\n```\npython3 cut.py \\\n  --out data\n```\n",
        "Run:\n\nHere `python cut.py --val-docs 10000`\n",
        "Run:\n\nCUDA=1 && uv run cut.py\n",
    ],
)
def test_script_and_instructions_together_are_a_violation(tmp_path, text):
    assert found(tmp_path, {"cut.py": PREPARE, "README.md": text}) == [("violation", "cut.py", 4)]


@pytest.mark.parametrize(
    ("files", "severities"),
    [
        ({"cut.py": PREPARE}, ["warning"]),
        ({"cut.py": PREPARE, "README.md": "see `cut.py`\n"}, ["warning"]),
        ({"cut.py": PREPARE, "README.md": "python cut.py\n", "a.log": "train_shards: 80\n"}, ["warning"]),
        ({"a.log": "step 1\ntrain_shards: 1499\n"}, ["warning"]),
        ({"cut.py": PREPARE, "run.sh": "python cut.py\n", "a.log": "train_shards: 1499\n"}, ["violation", "warning"]),
        ({"a.log": "train_shards: 195\n"}, []),
    ],
)
def test_one_of_them_alone_or_published_shards_is_a_warning(tmp_path, files, severities):
    assert [severity for severity, _, _ in found(tmp_path, files)] == severities


def test_the_right_split_passes(tmp_path):
    assert found(tmp_path, {"cut.py": PREPARE.replace("10_000", "50_000"), "run.sh": "python cut.py\n"}) == []
    assert found(tmp_path, {"cut.py": PREPARE, "run.sh": "python cut.py --val-docs=50000\n"}) == []
    assert found(tmp_path, {"cut.py": PREPARE.replace("--val-docs", "--workers"), "run.sh": "python cut.py\n"}) == []
