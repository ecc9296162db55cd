"""Levers in files of the user's own: they join, act, are keyed by their file, reach every process, and are checked."""

import json
import shlex
import subprocess
import sys

import pytest

from mulligan.lever_check import TOY
from toy import write_corpus

CARD = '''"""GeGLU: a feed-forward gated by GELU.

What it does     W2 (gelu(Wg x) * (W1 x)).
Why it may help  A gate selects.
Touches          model: the feed-forward.
Cost             A third matrix.
Source           Shazeer 2020, arXiv:2002.05202.
"""
'''

GEGLU = (
    CARD
    + '''
from typing import ClassVar, Literal

from mulligan.model.kind import UserFeedForward


class GeGlu(UserFeedForward):
    """W2 (gelu(Wg x) * (W1 x))."""

    kind: Literal["geglu"]
    example: ClassVar = {"mult": 2}

    def build(self, model):
        import torch
        from torch import nn

        class Module(nn.Module):
            def __init__(self):
                super().__init__()
                hidden = model.hidden_dim
                self.fc = nn.Linear(model.model_dim, hidden, bias=False)
                self.gate = nn.Linear(model.model_dim, hidden, bias=False)
                self.proj = nn.Linear(hidden, model.model_dim, bias=False)

            def forward(self, x):
                return self.proj(nn.functional.gelu(self.gate(x)) * self.fc(x))

        return Module()
'''
)

AVERAGE = (
    CARD.replace("model: the feed-forward", "average: which snapshots")
    + '''
from typing import ClassVar, Literal

from mulligan.average.config import UserAverage


class Middle(UserAverage):
    """The second snapshot."""

    kind: Literal["second"]
    example: ClassVar = {"start": {"kind": "at-fraction", "value": 0.3}, "every_steps": 2}
    only_snapshots: ClassVar = True

    def observer(self):
        from mulligan.values.observer import Observation

        class Observer:
            def __init__(self, config):
                self.config, self.seen, self.kept = config, 0, {}

            def begin(self, weights):
                pass

            def observe(self, moment, weights):
                if self.config.start.fires(moment) and moment.step % self.config.every_steps == 0:
                    self.seen += 1
                    if self.seen <= 2:
                        self.kept = {name: weight.detach().clone() for name, weight in weights.items()}

            def observation(self):
                return Observation(self.kept, {"num_snapshots": self.seen})

            def resume(self, observation):
                self.seen, self.kept = observation.record["num_snapshots"], dict(observation.tensors)

        return Observer(self)
'''
)

WINDOWS = (
    CARD.replace("model: the feed-forward", "evaluate: the context")
    + '''
from typing import ClassVar, Literal

import numpy as np

from mulligan.evaluate.config import UserWindows
from mulligan.evaluate.window import Windows


class Growing(UserWindows):
    """Every position in a window of its own."""

    kind: Literal["growing"]
    example: ClassVar = {"context_len": 4, "stride": 1}

    def lay(self, starts, num_positions):
        first = np.arange(num_positions)
        return Windows(np.maximum(first - self.context_len + 1, 0), first, first + 1)
'''
)


def mulligan(*arguments, cwd):
    line = [sys.executable, "-m", "mulligan", *map(str, arguments)]
    return subprocess.run(line, cwd=cwd, capture_output=True, text=True, check=False)


def checked(tmp_path, text):
    (tmp_path / "mine.py").write_text(text)
    done = mulligan("levers", "check", "mine.py", "--json", cwd=tmp_path)
    assert done.stdout, done.stderr
    found = json.loads(done.stdout)
    assert done.returncode == int(found["failed"] > 0)
    return {finding["contract"].split(":")[0]: finding["why"] for finding in found["findings"] if not finding["holds"]}, found


@pytest.mark.parametrize(("text", "contracts"), [(GEGLU, 10), (AVERAGE, 7), (WINDOWS, 6)], ids=["model", "average", "windows"])
def test_a_sound_lever_keeps_every_contract(tmp_path, text, contracts):
    failed, found = checked(tmp_path, text)
    assert failed == {}
    assert len(found["findings"]) == contracts


@pytest.mark.parametrize(
    ("text", "before", "after", "contract", "why"),
    [
        (GEGLU, "Cost             A third matrix.\n", "", "is documented", "no 'Cost'"),
        (GEGLU, "Touches          model", "Touches          train", "is documented", "Touches says 'train'"),
        (GEGLU, '"mult": 2', '"mult": 0', "can be written in a recipe", "greater than or equal to 1"),
        (GEGLU, "gelu(self.gate(x)) * self.fc(x)", "gelu(self.fc(x))", "lives", "gate.weight takes no part in the loss"),
        (GEGLU, "self.fc(x))", "self.fc(x.roll(-1, 1)))", "is causal", "changes what was said before it"),
        (GEGLU, "return self.proj", "x = x if float(x.sum()) > 0 else x; return self.proj", "is traced whole", ""),
        (AVERAGE, "self.seen, self.kept = observation.record", "self.kept = observation.record", "resumes", ""),
        (AVERAGE, "self.seen <= 2", "False", "acts", ""),
        (AVERAGE, '{"num_snapshots": self.seen}', "{}", "acts", "needs num_snapshots, an integer"),
        (AVERAGE, "self.config.start.fires(moment) and ", "", "replays", "steps before `start`"),
        (GEGLU, "nn.Linear(hidden, model.model_dim, bias=False)", "nn.Linear(hidden, model.model_dim)", None, ""),
        (
            GEGLU,
            "self.proj = nn",
            "self.noise = nn.Parameter(torch.Generator().seed() * torch.ones(1)); self.proj = nn",
            "is seeded",
            "",
        ),
        (GEGLU, '    example: ClassVar = {"mult": 2}\n', "", "can be written in a recipe", "`example`, and GeGlu has none"),
        (WINDOWS, "first + 1)", "first + 2)", "covers", "exactly once and in order"),
    ],
)
def test_what_is_wrong_is_found_and_said(tmp_path, text, before, after, contract, why):
    assert before in text
    failed, _ = checked(tmp_path, text.replace(before, after))
    if contract is None:
        assert failed == {}
        return
    assert contract in failed
    assert why in failed[contract]


def test_contracts_that_fail_of_one_cause_stand_together_with_the_line_that_raised_it(tmp_path):
    """Shapes in the messages of torch differ from contract to contract; the line does not."""
    (tmp_path / "mine.py").write_text(GEGLU.replace("nn.Linear(hidden,", "nn.Linear(hidden + 1,"))
    line = next(i for i, line in enumerate((tmp_path / "mine.py").read_text().splitlines(), 1) if "return self.proj" in line)
    done = mulligan("levers", "check", "mine.py", cwd=tmp_path)
    assert done.returncode == 1
    *failed, why, where, count = done.stdout.splitlines()[5:]
    assert [text.split(":")[1].strip() for text in failed] == ["acts", "resumes", "lives", "is causal", "is traced whole"]
    assert "RuntimeError: mat1 and mat2" in why
    assert where.strip() == f"mine.py:{line}: return self.proj(nn.functional.gelu(self.gate(x)) * self.fc(x))"
    assert count == "5 of 10 contracts hold"
    assert "Traceback" not in done.stderr


def test_a_lever_runs_with_every_command_and_is_keyed_by_its_file(tmp_path):
    (tmp_path / "mine.py").write_text(GEGLU)
    change = ["--set", 'model.feed_forward={kind = "geglu", mult = 2}']
    shown = mulligan("recipe", "show", "tiny", *change, "--json", "--lever", "mine.py", cwd=tmp_path)
    assert json.loads(shown.stdout)["model"]["feed_forward"]["kind"] == "geglu"
    assert "unknown kind 'geglu'" in mulligan("recipe", "show", "tiny", *change, cwd=tmp_path).stderr

    def keys():
        planned = mulligan("--lever=mine.py", "plan", "tiny", *change, "--json", cwd=tmp_path)
        return {stage["name"]: stage["key"] for stage in json.loads(planned.stdout)["stages"]}

    first = keys()
    (tmp_path / "mine.py").write_text(GEGLU + "\n# edited\n")
    second = keys()
    assert first["data"] == second["data"]
    assert first["train"] != second["train"]


def test_a_lever_is_listed_and_shown_with_a_line_that_switches_it_on(tmp_path):
    (tmp_path / "mine.py").write_text(GEGLU.replace("Cost             A third matrix.\n", ""))  # a card is not checked here
    listed = json.loads(mulligan("levers", "--json", "--lever", "mine.py", cwd=tmp_path).stdout)
    assert ("geglu", "model") in {(lever["name"], lever["stage"]) for lever in listed["levers"]}
    shown = mulligan("levers", "geglu", "--lever", "mine.py", cwd=tmp_path).stdout
    assert "GeGLU: a feed-forward gated by GELU." in shown
    (line,) = [line for line in shown.splitlines() if "Example" in line]
    command = shlex.split(line.split(maxsplit=1)[1])
    assert command[-2:] == ["--lever", "mine.py"]
    taken = mulligan("recipe", "show", *command[2:], "--json", cwd=tmp_path)
    assert json.loads(taken.stdout)["model"]["feed_forward"]["kind"] == "geglu"
    assert "Did you mean 'geglu'" in mulligan("levers", "gelu", "--lever", "mine.py", cwd=tmp_path).stderr


def test_what_a_lever_imports_from_beside_it_is_part_of_its_key(tmp_path):
    (tmp_path / "beside.py").write_text("WIDTH = 2\n")
    (tmp_path / "mine.py").write_text(GEGLU.replace("class GeGlu", "import beside\n\n\nclass GeGlu"))
    change = ["--set", 'model.feed_forward={kind = "geglu", mult = 2}']

    def source():
        shown = mulligan("recipe", "show", "tiny", *change, "--json", "--lever", "mine.py", cwd=tmp_path)
        return json.loads(shown.stdout)["model"]["feed_forward"]["source"]

    first = source()
    (tmp_path / "beside.py").write_text("WIDTH = 3\n")
    assert source() != first


def test_an_average_runs_to_its_printed_end_and_the_next_line_names_its_file(tmp_path):
    (tmp_path / "mine.py").write_text(AVERAGE)
    (tmp_path / "toy.toml").write_text(TOY)
    write_corpus(tmp_path / "corpus")
    change = ["--set", 'average={kind = "second", start = {kind = "at-fraction", value = 0.3}, every_steps = 2}']
    arguments = ["toy.toml", *change, "--data", "corpus", "--lever", "mine.py"]
    ran = mulligan("run", *arguments, "--threads", "1", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "average    second: 5 snapshots" in ran.stdout
    assert mulligan("plan", *arguments, cwd=tmp_path).stdout.rstrip().endswith("--lever mine.py")


def test_a_study_takes_a_lever_into_its_workers(tmp_path):
    from mulligan.core.config import parse_config
    from mulligan.recipe import Recipe, to_toml
    from toy import recipe_data

    (tmp_path / "mine.py").write_text(GEGLU)
    write_corpus(tmp_path / "corpus")
    (tmp_path / "toy.toml").write_text(to_toml(parse_config(Recipe, recipe_data(), "")))
    (tmp_path / "study.toml").write_text(
        'question = "?"\nphase = "explore"\nrecipe = "toy.toml"\nseeds = [0, 1]\nbudget = {kind = "steps"}\n'
        'design = {kind = "sweep"}\nmargin_bpb = 0.1\nmetric = {point = "quantized", windows = "sliding"}\n'
        '[factors.feed_forward.levels]\nrelu = {"model.feed_forward" = {kind = "relu-squared", mult = 2}}\n'
        'geglu = {"model.feed_forward" = {kind = "geglu", mult = 2}}\n'
    )
    ran = mulligan("study", "run", "study.toml", "--data", "corpus", "--json", "--lever", "mine.py", cwd=tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert {cell["status"] for cell in json.loads(ran.stdout)["cells"]} == {"done"}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("nowhere.py", None, "no such file"),
        ("mine.py", "x = 1\n", "holds no lever"),
        ("mine.py", "import nothing_like_this\n", "mine.py:1: import nothing_like_this"),
        ("mine.py", "x = 1\nx = (\n", "mine.py:2: x = ("),
        ("mine.py", GEGLU.replace('Literal["geglu"]', 'Literal["swiglu"]'), "has a kind 'swiglu' already"),
        ("mine.py", GEGLU.replace("def build", "def make"), "GeGlu does not define build()"),
        ("mine.py", GEGLU.replace('    kind: Literal["geglu"]\n', ""), "has no kind"),
    ],
)
def test_a_file_that_is_no_lever_is_refused(tmp_path, name, text, words):
    if text is not None:
        (tmp_path / name).write_text(text)
    done = mulligan("recipe", "list", "--lever", name, cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
