"""Nothing of a submission is executed unless the smoke test is asked for."""

import ast
from pathlib import Path

import mulligan
from mulligan.script.script_file import ScriptFile

SOURCE = Path(mulligan.__file__).parent
READERS = ("review", "script", "submit/submitted.py", "submit/seed_log.py")
OUR_OWN = {SOURCE / "review" / "clone.py", SOURCE / "review" / "sweep.py"}
"""They start git, and reviews in processes of their own."""
WOULD_RUN = {"ctypes", "importlib", "multiprocessing", "pickle", "runpy", "subprocess", "mulligan.review.smoke"}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_what_reads_a_submission_has_no_means_to_run_it():
    files = [file for name in READERS for file in ([SOURCE / name] if name.endswith(".py") else (SOURCE / name).rglob("*.py"))]
    files = [file for file in files if SOURCE / "review" / "smoke" not in file.parents and file not in OUR_OWN]
    assert len(files) > len(READERS)
    for file in files:
        found = {name for name in imported(file) for bad in WOULD_RUN if name == bad or name.startswith(f"{bad}.")}
        assert not found, f"{file}: {found}"


def test_a_script_that_is_read_does_not_run(tmp_path):
    (tmp_path / "train_gpt.py").write_text(f"open({str(tmp_path / 'it-ran')!r}, 'w')\nraise SystemExit\n")
    assert len(ScriptFile.read(tmp_path / "train_gpt.py").trees) == 1
    assert not (tmp_path / "it-ran").exists()
