"""Provenance names our own commit, never that of a repository that we happen to be installed in."""

import shutil
import subprocess
from pathlib import Path

import mulligan
from mulligan.store import provenance


def test_another_projects_commit_is_not_ours(tmp_path, monkeypatch):
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    shutil.copytree(Path(mulligan.__file__).parent / "store", tmp_path / "site-packages")
    monkeypatch.setattr(provenance, "__file__", str(tmp_path / "site-packages" / "provenance.py"))
    assert provenance._commit.__wrapped__() == f"version {mulligan.__version__}"
