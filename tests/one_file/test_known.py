"""Small sources as one recipe needs them: a branch goes only where nothing else can be."""

import ast
import subprocess
import sys
import textwrap
from pathlib import Path

import libcst as cst
import pytest

from mulligan.core.config import parse_config
from mulligan.one_file import known, source, specialise
from mulligan.one_file.facts import Seen
from mulligan.one_file.form import facts_of
from mulligan.recipe import Recipe
from toy import recipe_data

NAME = "mulligan.toy"
IMPORTS = "from mulligan.average.config import Ema, Swa\n"


@pytest.fixture(scope="module")
def facts():
    """Of a recipe with SWA, a warmdown in steps, `grad_clip_norm` 0."""
    return facts_of(parse_config(Recipe, recipe_data(), ""))


@pytest.fixture
def fold(facts, monkeypatch):
    def written(text, seen=None):
        module = source.Module(NAME, IMPORTS + textwrap.dedent(text))
        load = source.load_module
        for place in (source, known, specialise):
            monkeypatch.setattr(place, "load_module", lambda name: module if name == NAME else load(name))
        writer = specialise.Specialise(module, facts, seen or Seen())
        code = cst.Module([writer.shell(module.statements["f"])]).code
        monkeypatch.undo()
        return code

    return written


FOLDED = {
    "isinstance(config, Ema)": False,
    "isinstance(config, Ema) and more()": False,
    "not isinstance(config, Ema)": True,
    "isinstance(swa, Swa)": True,
    "isinstance(swa, Swa | Ema)": True,
    "isinstance(either, Swa)": True,  # the recipe has no EMA
    "config.grad_clip_norm": False,
    "not config.grad_clip_norm": True,
    "config.data_seed is None": True,
    'config.softcap == "tanh"': True,
    'config.softcap != "tanh"': False,
}
OPEN = ["config", "config.unknown", "isinstance(config, int)", "isinstance(config, Swa)", "config.grad_clip_norm == other"]


@pytest.mark.parametrize("test", [*FOLDED, *OPEN])
def test_what_a_recipe_says_is_known_and_nothing_else(fold, test):
    code = fold(f"def f(config, other, swa: Swa, either: Ema | Swa):\n    if {test}:\n        return 'yes'\n    return 'no'\n")
    assert ("'yes'" in code, "'no'" in code) == {True: (True, False), False: (False, True), None: (True, True)}[
        FOLDED.get(test)
    ]


@pytest.mark.parametrize(
    "before",
    [
        "a = config.grad_clip_norm\n    if other:\n        a = b = 3",
        "if other:\n        a = b = 3\n    a = config.grad_clip_norm",
        "a = config.grad_clip_norm\n    a += other",
        "a = config.grad_clip_norm\n    a, b = other",
        "a = config.grad_clip_norm\n    for a in other: pass",
        "a = config.grad_clip_norm\n    if (a := other): pass",
        "a = config.grad_clip_norm\n    with other as (a, b): pass",
        "a = config.grad_clip_norm\n    match other:\n        case [a, 2]: pass",
        "a = config.grad_clip_norm\n    def g():\n        nonlocal a\n        a = 1\n    g()",
    ],
)
def test_a_name_that_is_set_twice_is_open_in_any_order(fold, before):
    code = fold(f"def f(config, other):\n    {before}\n    return 'yes' if a else 'no'\n")
    assert "'yes' if a else 'no'" in code


@pytest.mark.parametrize("inner", ["lambda a: {}", "lambda *a: {}", "[{} for a in other]"])
def test_an_inner_name_hides_what_is_known_of_an_outer_one(fold, inner):
    code = fold(f"def f(config, other):\n    a = config.grad_clip_norm\n    return {inner.format('1 if a else 2')}\n")
    assert "1 if a else 2" in code


@pytest.mark.parametrize("parameters", ["a", "*a", "**a", "*, a", "a, /"])
def test_an_inner_parameter_hides_what_is_known_of_an_outer_one(fold, parameters):
    body = f"a = config.grad_clip_norm\n    def g({parameters}):\n        return 1 if a else 2\n    return g"
    assert "1 if a else 2" in fold(f"def f(config):\n    {body}\n")


def test_an_annotation_of_a_starred_parameter_is_that_of_its_items(fold):
    assert "isinstance(config, Swa)" in fold("def f(*config: Swa):\n    return isinstance(config, Swa)\n")


@pytest.mark.parametrize(
    "body", ["if not c.grad_clip_norm:\n        return\n    yield 1", "if c.grad_clip_norm:\n        yield 1"]
)
def test_a_generator_stays_one(fold, body):
    """Without its `yield` it would be a function that gives None, over which nobody can loop."""
    names = {}
    exec(fold(f"def f(c):\n    {body}\n"), names)
    assert list(names["f"](None)) == []


def test_the_branches_of_a_chain_that_may_be_taken_stand_in_order(fold):
    code = fold(
        """
        def f(c):
            if c.open:
                return 1
            elif c.grad_clip_norm:
                return 2
            elif isinstance(c, Ema):
                return 3
            elif c.other:
                return 4
            elif not c.grad_clip_norm:
                return 5
            else:
                return 6
        """
    )
    found = [node.value.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Return)]
    assert sorted(found) == [1, 4, 5]
    names = {}
    exec(code, names)
    told = [type("C", (), {"open": one, "other": two}) for one, two in [(1, 0), (0, 1), (0, 0)]]
    assert [names["f"](one) for one in told] == [1, 4, 5]


@pytest.mark.parametrize("line", ['data = {**data, "softcap": config.canonical()}', 'data["softcap"] = config.canonical()'])
def test_of_a_field_that_data_may_set_nothing_is_known(fold, facts, line):
    """A way of scoring with YaRN puts it into the data of a network whose own recipe has no extension."""
    seen = Seen()
    fold(f"def f(data, config):\n    {line}\n    return data\n", seen)
    assert "softcap" in facts.fields
    assert "softcap" not in facts.with_values(seen.replaced).fields


def test_what_a_lever_of_ones_own_extends_is_known_before_there_is_one():
    """Else a recipe's code would shrink by 0.7 kB once any lever of somebody's own was loaded, and its size be remembered."""
    told = "import sys; sys.path.insert(0, sys.argv[1]); from mulligan.one_file import form\nprint(*form._all_configs())"
    ours = str(Path(source.__file__).parents[2])
    found = subprocess.run([sys.executable, "-c", told, ours], capture_output=True, text=True, check=True).stdout
    for name in ("UserFeedForward", "UserLoader", "UserAverage", "UserQuantizer", "UserWindows"):
        assert f"name='{name}'" in found
