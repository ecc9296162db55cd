"""Record folders from a work tree's git directory, a bare one, and plain files."""

import shutil
import subprocess

import pytest

from mulligan.records.tree import read_folders
from small_clone import BROKEN, HEAD, MINE, THEIRS


def named(folders):
    return [(folder.name, folder.revision, folder.pull_request) for folder in folders]


def test_the_main_branch_and_a_head(clone):
    found = read_folders(clone, ["12"])
    assert named(found) == [(THEIRS, "main", 11), (MINE, "main", 21), (BROKEN, "main", 21), (HEAD, "refs/pull/12/head", 12)]
    assert found[3].files.keys() == {"logs/train.log"}
    assert found[0].committed.startswith("20")
    assert (clone / "records/track_10min_16mb" / THEIRS / "README.md").read_bytes() == found[0].files["README.md"]


def test_a_head_that_was_squashed_adds_nothing_more(clone, tmp_path):
    copy = tmp_path / "copy"
    subprocess.run(["git", "clone", "-q", "--mirror", str(clone), str(copy)], check=True)
    commit = "git -c user.name=A -c user.email=a@b commit-tree head^{tree} -p main -m 'One (#12)'"
    subprocess.run(f"git update-ref refs/heads/main $({commit})", cwd=copy, shell=True, check=True)
    assert named(read_folders(copy, ["12"]))[2:] == [(BROKEN, "main", 21), (HEAD, "main", 12)]


def test_a_head_without_common_history(clone, tmp_path):
    copy = tmp_path / "copy"
    subprocess.run(["git", "clone", "-q", "--mirror", str(clone), str(copy)], check=True)
    commit = "git -c user.name=A -c user.email=a@b commit-tree head^{tree} -m 'All anew'"
    subprocess.run(f"git update-ref refs/pull/14/head $({commit})", cwd=copy, shell=True, check=True)
    assert named(read_folders(copy, ["14"]))[3:] == [(HEAD, "refs/pull/14/head", 14)]


def test_a_bare_directory_says_the_same(clone, tmp_path):
    bare = tmp_path / "bare"
    subprocess.run(["git", "clone", "-q", "--bare", str(clone), str(bare)], check=True)
    assert read_folders(bare) == read_folders(clone)


def test_plain_files(clone, tmp_path):
    shutil.copytree(clone / "records", tmp_path / "records")
    found = read_folders(tmp_path)
    assert {folder.name: dict(folder.files) for folder in found} == {
        folder.name: dict(folder.files) for folder in read_folders(clone)
    }
    with pytest.raises(ValueError, match="need git"):
        read_folders(tmp_path, ["12"])


def test_errors_say_what_to_do(clone, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="no clone"):
        read_folders(tmp_path)
    with pytest.raises(ValueError, match="git fetch origin refs/pull/99/head"):
        read_folders(clone, ["99"])
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="Install git"):
        read_folders(clone)


def test_an_object_that_is_not_there_is_named(clone, tmp_path):
    copy = tmp_path / "copy"
    subprocess.run(["git", "clone", "-q", str(clone), str(copy)], check=True)
    digest = subprocess.run(
        ["git", "rev-parse", f"main:records/track_10min_16mb/{THEIRS}/train_seed2.log"],
        cwd=copy,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()
    place = copy / ".git" / "objects" / digest[:2] / digest[2:]
    if not place.exists():
        subprocess.run("git unpack-objects < $(mv .git/objects/pack/*.pack p; echo p)", cwd=copy, shell=True, check=True)
    place.unlink()
    assert read_folders(copy)[0].absent == ("train_seed2.log",)
