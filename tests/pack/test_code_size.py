"""The estimate of the code's bytes: which modules are reached, what is left of their source, and how long it takes."""

import ast
import sys

import pytest

from mulligan.pack.code_size import PACKAGE, code_bytes, compressed_size_bytes, import_closure, minified

SOURCES = {
    "__init__.py": '"""A package."""\n',
    "flow.py": "import numpy\nfrom lab.stage import run\n\ndef road():\n    from lab.lazy import late\n    run(late)\n",
    "lazy.py": "from .deep import module\nlate = 1\n",
    "stage.py": "import lab.deep.other as other\nfrom lab import sibling, attribute\n\ndef run():\n    pass\n",
    "sibling.py": "from lab.flow import road\n",
    "unused.py": "import lab.deep\n",
    "deep/__init__.py": "from . import inner\n",
    "deep/module.py": "",
    "deep/other.py": "",
    "deep/inner.py": "from ..sibling import road\n",
}


@pytest.fixture
def lab(tmp_path):
    for name, source in SOURCES.items():
        path = tmp_path / "lab" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, "utf-8")
    return tmp_path / "lab"


def test_imports_are_followed_into_functions_packages_and_relative_names(lab):
    reached = set(import_closure(lab, ["lab.flow"]))
    assert reached == {
        "lab",
        "lab.flow",
        "lab.lazy",
        "lab.stage",
        "lab.sibling",
        "lab.deep",
        "lab.deep.inner",
        "lab.deep.module",
        "lab.deep.other",
    }


def test_a_root_that_does_not_exist_is_not_passed_over(lab):
    with pytest.raises(AssertionError, match=r"lab\.flaw"):
        import_closure(lab, ["lab.flaw"])


def test_docstrings_and_comments_cost_nothing_and_code_does(lab):
    before = compressed_size_bytes(lab, ["lab.flow"])
    (lab / "stage.py").write_text('"""Long, {}."""\n# why\n'.format("é" * 999) + SOURCES["stage.py"], "utf-8")
    assert compressed_size_bytes(lab, ["lab.flow"]) == before
    (lab / "unused.py").write_text("x = 1\n" * 99, "utf-8")
    assert compressed_size_bytes(lab, ["lab.flow"]) == before
    (lab / "stage.py").write_text(SOURCES["stage.py"] + "answer = 6 * 7  # a line more\n", "utf-8")
    assert compressed_size_bytes(lab, ["lab.flow"]) > before


WORDY = '''
class A:
    """Words."""
    x: int = 1
    """More."""
def f():
    """Words."""
if x:
    "lone"
else:
    y
'''
TERSE = """
class A:
    x: int = 1

def f():
    pass
if x:
    pass
else:
    y
"""


def test_a_body_of_nothing_but_a_docstring_stays_a_body():
    assert minified(ast.parse(WORDY)) == TERSE.strip()


def test_minified_modules_of_ours_still_compile():
    for name, tree in import_closure(PACKAGE, ["mulligan.pack.stage", "mulligan.quantize.stage"]).items():
        compile(minified(tree), name, "exec")


def test_the_estimate_counts_the_road_and_a_lever_of_the_users_own(tmp_path):
    estimate = code_bytes()
    assert 5_000 < estimate < 200_000
    (tmp_path / "mine.py").write_text("import zlib\nTABLE = " + repr(list(range(0, 9000, 7))))
    assert estimate + 100 < code_bytes((tmp_path / "mine.py",)) < estimate + 5_000


def test_estimating_imports_no_torch():
    import subprocess

    source = "import sys; from mulligan.pack import budget, code_size; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", source], check=False).returncode == 0
