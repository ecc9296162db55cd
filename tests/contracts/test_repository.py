"""Habits that hold for the whole tree, checked from its text."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src").rglob("*.py"))


def ids(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", SOURCES, ids=ids)
def test_a_source_file_stays_short_and_its_functions_too(path):
    text = path.read_text()
    assert text.count("\n") <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno - node.lineno < 60, f"{node.name} has {node.end_lineno - node.lineno + 1} lines"


def test_nothing_is_unpickled_or_evaluated():
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                assert name not in {"eval", "exec", "pickle.load", "pickle.loads", "torch.save"}, f"{path}: {name}"
                if name == "torch.load":
                    assert any(k.arg == "weights_only" and ast.unparse(k.value) == "True" for k in node.keywords), path


def test_no_environment_variable_steers_anything():
    """Identity comes through the recipe alone; the environment is read by the one file that is handed in alone."""
    for path in SOURCES:
        if path.match("mulligan/submit/script.py"):
            continue
        assert not re.search(r"os\.(environ|getenv)", path.read_text()), path


def test_every_source_file_has_its_mirrored_test_folder():
    for path in (path for path in SOURCES if path.name != "__init__.py"):
        folder = path.parent.relative_to(ROOT / "src" / "mulligan")
        assert (ROOT / "tests" / folder).is_dir(), folder
