"""A small clone of a repository of records."""

import pytest

from small_clone import HEAD, TRACK, git, log_text, put, put_broken, put_mine, put_theirs


@pytest.fixture(scope="session")
def clone(tmp_path_factory):
    """A work tree with its git directory; refs/pull/12/head adds one record."""
    root = tmp_path_factory.mktemp("clone")
    git(root, "init", "-q", "-b", "main")
    put_theirs(root)
    git(root, "add", ".")
    git(root, "commit", "-qm", "Record: theirs, 1.2002 (#11)")
    put_mine(root)
    put_broken(root)
    git(root, "add", ".")
    git(root, "commit", "-qm", "Merge pull request #21 from me/mine")
    git(root, "checkout", "-qb", "head")
    put(root, f"{TRACK}/{HEAD}/logs/train.log", log_text(5, 1.18) + "\n" + log_text(6, 1.181))
    git(root, "add", ".")
    git(root, "commit", "-qm", "Add a record")
    git(root, "update-ref", "refs/pull/12/head", "head")
    git(root, "checkout", "-q", "main")
    return root
