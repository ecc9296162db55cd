"""`--since`: what a branch may add to the challenge's repository."""

import subprocess

import pytest

from mulligan.submit.check_branch import branch
from mulligan.submit.submitted import Submitted
from record_folder import failing, make, verdicts


def git(root, *arguments):
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(root), *who, *arguments], check=True, capture_output=True)


@pytest.fixture
def added(tmp_path):
    """A repository whose branch adds one record folder, which is the return value."""
    old = tmp_path / "records" / "track_10min_16mb" / "old"
    old.mkdir(parents=True)
    (old / "train_gpt.py").write_text("x = 1\n")
    (tmp_path / "train_gpt.py").write_text("x = 1\n")
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "base")
    git(tmp_path, "checkout", "-qb", "mine")
    return make(old.parent / "new")


def said(folder):
    (found,) = branch(Submitted(folder), "main")
    return found.verdict, found.evidence


@pytest.mark.parametrize("committed", [True, False])
def test_one_new_folder_passes(added, tmp_path, committed):
    if committed:
        git(tmp_path, "add", "-A")
        git(tmp_path, "commit", "-qm", "new")
    assert said(added) == ("pass", "8 files added since main, all in records/track_10min_16mb/new")
    assert failing(verdicts(added, since="main")) == {}


def test_what_main_added_meanwhile_is_not_the_branches(added, tmp_path):
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "new")
    git(tmp_path, "checkout", "-q", "main")
    (tmp_path / "later").write_text("")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "later")
    git(tmp_path, "checkout", "-q", "mine")
    assert said(added)[0] == "pass"


def test_an_edit_a_file_outside_and_an_old_folder_are_refused(added, tmp_path):
    (tmp_path / "train_gpt.py").write_text("x = 2\n")
    (tmp_path / "notes.txt").write_text("")
    assert said(added) == ("fail", "edits or deletes train_gpt.py; adds outside of the folder: notes.txt")
    (tmp_path / "notes.txt").unlink()
    (tmp_path / "train_gpt.py").unlink()
    assert said(added) == ("fail", "edits or deletes train_gpt.py")
    git(tmp_path, "checkout", "-q", "--", "train_gpt.py")
    old = make(added.parent / "other").rename(added.parent / "old" / "deeper")
    assert "is not records/<track>/<folder>" in said(old)[1]
    verdict, evidence = said(added.parent / "old")
    assert (verdict, "was there already at main" in evidence) == ("fail", True)


def test_a_commit_that_is_not_there_is_told(added):
    with pytest.raises(ValueError, match="--since: git merge-base nothing HEAD"):
        branch(Submitted(added), "nothing")
