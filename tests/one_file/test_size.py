"""The size of a recipe's code is that of its file, made once; a lever of the user's own is in it."""

import json
import subprocess
import sys

import pytest

from mulligan import lever_file
from mulligan.core.config import parse_config
from mulligan.lever_file import load_lever_file
from mulligan.one_file import size
from mulligan.one_file.form import build
from mulligan.recipe import Recipe
from toy import recipe_data

LEVER = '''"""GELU squared.

What it does     Squares GELU instead of relu.
Why it may help  It is smooth.
Touches          model: the feed-forward part.
Cost             None to speak of.
Source           A toy.
"""

import torch
from torch import nn

from mulligan.model.kind import UserFeedForward


def squared(x):
    return torch.nn.functional.gelu(x).square()


class Gelu(nn.Module):
    def __init__(self, dim, hidden_dim):
        super().__init__()
        self.fc, self.proj = nn.Linear(dim, hidden_dim, bias=False), nn.Linear(hidden_dim, dim, bias=False)

    def forward(self, x):
        return self.proj(squared(self.fc(x)))


class GeluSquared(UserFeedForward):
    """See above."""

    kind: Literal["gelu-squared-of-a-test"]

    def build(self, model_dim, hidden_dim):
        return Gelu(model_dim, hidden_dim)
'''


@pytest.fixture
def recipe(tmp_path, monkeypatch):
    monkeypatch.setattr(size, "FOLDER", tmp_path / "cache")
    size.sizes.cache_clear()
    yield parse_config(Recipe, recipe_data(), "")
    size.sizes.cache_clear()


@pytest.fixture
def made(monkeypatch):
    """How often code was made; a stand-in, since the real one takes seconds (tests/submit has it)."""
    calls = []

    def stand_in(recipe):
        calls.append(recipe)
        return {"readable": b"r" * 30, "minified": b"m" * 20, "packed": b"p" * 10}

    monkeypatch.setattr("mulligan.one_file.form.build", stand_in)
    return calls


def test_the_size_is_that_of_the_form_that_the_recipe_chooses_and_is_remembered(recipe, made, tmp_path):
    sizes = [size.code_bytes(recipe.replace(code_form=form)) for form in ("packed", "minified", "readable")]
    assert sizes == [10, 20, 30]
    assert len(made) == 3
    size.sizes.cache_clear()
    assert size.code_bytes(recipe) == 10
    assert len(made) == 3
    assert size.code_bytes(recipe.replace(budget_bytes=1)) == 10  # another recipe, and so another file
    assert len(made) == 4
    assert [json.loads(path.read_text())["packed"] for path in (tmp_path / "cache").iterdir()] == [10] * 4


def test_a_folder_that_cannot_be_written_costs_time_alone(recipe, made, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(size, "FOLDER", tmp_path / "file" / "cache")
    assert [size.code_bytes(recipe), size.code_bytes(recipe)] == [10, 10]
    assert len(made) == 1


def test_a_lever_of_the_users_own_is_in_the_code(recipe, tmp_path, monkeypatch):
    file = tmp_path / "gelu.py"
    file.write_text(LEVER.replace("import torch\n", "from typing import Literal\n\nimport torch\n", 1))
    monkeypatch.setattr(lever_file, "_loaded", {})  # later tests know nothing of it
    load_lever_file(file)
    data = recipe_data()
    data["model"]["feed_forward"] = {"kind": "gelu-squared-of-a-test", "mult": 2}
    own = parse_config(Recipe, data, "")
    code = build(own)["readable"].decode()
    assert "def squared(x):" in code and "class Gelu(nn.Module):" in code  # noqa: PT018
    assert "class FeedForward(" not in code
    compile(code, "train_gpt.py", "exec")


def test_the_code_does_not_depend_on_what_else_is_imported():
    """A config of another part of the package is none of a recipe's, imported or not: its fields are no known names."""
    code = (
        "import sys, hashlib; from mulligan.recipe import load_recipe; from mulligan.one_file import form; "
        "import {0}; facts = form.facts_of(load_recipe('tiny')); "
        "print(sorted(map(str, facts.configs)) + sorted(facts.fields))"
    )
    said = [
        subprocess.run([sys.executable, "-c", code.format(name)], capture_output=True, text=True, check=True).stdout
        for name in ("json", "mulligan.study.config, mulligan.submit.submission, torch._dynamo")
    ]
    assert "softcap" in said[0]
    assert said[0] == said[1]
