"""The contracts, run on a lever of the user's own: does it act, stay in its stage, resume, and do no harm where it is off?

A toy recipe and corpus are made in a folder that is given; every finding says what was seen, and a failed one why.
"""

import tomllib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import torch

from mulligan.average.config import UserAverage
from mulligan.core.config import parse_config
from mulligan.core.execution import Execution
from mulligan.core.toml import inline_toml
from mulligan.core.user_lever import UserLever
from mulligan.data.document import Document
from mulligan.data.prepare import prepare
from mulligan.data.tokenizer import ByteTokenizer
from mulligan.engine.inline import run_jobs
from mulligan.engine.job import Outside
from mulligan.evaluate.config import UserWindows
from mulligan.evaluate.evaluator import checked
from mulligan.flow import Road, lay_road
from mulligan.lever_card import read_card
from mulligan.lever_file import load_lever_file, raised_at
from mulligan.model.gpt import GPT
from mulligan.model.kind import UserFeedForward
from mulligan.numerics.trigger import Moment
from mulligan.recipe import Recipe, apply_change
from mulligan.store.stage_call import OutsideInput
from mulligan.store.store import Store
from mulligan.train.optimizer import Optimizer

TOY = """
data = {kind = "prepared"}
average = {kind = "swa", start = {kind = "at-fraction", value = 0.5}, every_steps = 2}
quantize = {kind = "round-to-nearest"}
pack = {codec = {kind = "zlib"}}
[model]
vocab_size = 260
num_layers = 2
model_dim = 16
num_heads = 4
num_kv_heads = 2
feed_forward = {kind = "relu-squared", mult = 2}
positions = {kind = "rope", base = 10000.0}
embedding = {kind = "tied", init_std = 0.005}
logit_softcap = 30.0
qk_gain_init = 1.5
[grid]
families = [
    {match = ["*.weight"], format = {kind = "int", bits = 6, scale = {kind = "row-max"}}},
    {match = ["*"], format = {kind = "fp16"}},
]
[train]
budget = {kind = "steps", steps = 12}
warmdown = {kind = "steps", steps = 6}
loader = {kind = "sequential", start = "seeded"}
optimizer = {kind = "muon-adam", momentum_warmup_steps = 3}
seq_len = 8
batch_tokens = 16
precision = "fp32"
[evaluate]
precision = "fp32"
bytes = "piece"
windows = [{kind = "flat", context_len = 8}, {kind = "sliding", context_len = 8, stride = 2}]
"""
CUTS = (2, 7, 11)
STAGES = ("train", "average", "quantize", "pack", "evaluate")
FIRST_STAGE = {"model": "train"}


@dataclass(frozen=True)
class Finding:
    """One contract of one lever: what it asks, whether it holds, why not, and where in the lever's file that was raised."""

    lever: str
    contract: str
    holds: bool
    why: str = ""
    where: str = ""

    @property
    def cause(self) -> tuple[str, str]:
        """What failures of one cause have in common: shapes in a message differ, the line that raised it does not."""
        return self.lever, self.where or self.why


class Workplace:
    """A toy corpus and a store in a folder."""

    def __init__(self, folder: Path) -> None:
        made = prepare(_documents(40, 0), _documents(6, 1), ByteTokenizer(), folder / "corpus")
        self.folder = folder
        self.corpus = Outside(made.folder, OutsideInput("corpus", made.digest))

    def lay(self, change: str | None = None) -> Road:
        """Return the toy road, with one change of its recipe."""
        data = tomllib.loads(TOY)
        if change is not None:
            apply_change(data, change)
        return lay_road(parse_config(Recipe, data, ""), 0, corpus=self.corpus)

    def run(self, road: Road, name: str, execution: Execution | None = None) -> Store:
        """Run a road in the store of that name."""
        store = Store(self.folder / name)
        run_jobs(road.jobs, store, execution or Execution())
        return store


def check_lever_file(path: Path, folder: Path) -> list[Finding]:
    """Return what the contracts say of every lever in a file; `folder` is an empty one to work in."""
    place = Workplace(folder)
    before = [job.call.key for job in place.lay().jobs]
    levers = load_lever_file(path)
    findings = []
    for lever in levers:
        (kind,) = get_args(lever.model_fields["kind"].annotation)
        for contract, check in _contracts(lever, kind, path, place, before):
            try:
                check()
                findings.append(Finding(kind, contract, holds=True))
            except Exception as error:  # whatever a lever does wrong is a finding
                why = f"{type(error).__name__}: {error}".split("\n\n")[0]  # after it torch explains itself
                if not lever.example and str(error).startswith(lever.path):
                    why += f" The contracts try a lever with its `example`, and {lever.__name__} has none."
                findings.append(Finding(kind, contract, holds=False, why=why, where=raised_at(error, path)))
    return findings


def _contracts(
    lever: type[UserLever], kind: str, path: Path, place: Workplace, before: list[str]
) -> Iterator[tuple[str, Callable[[], None]]]:
    change = _change(lever, kind)
    stage = lever.path.split(".")[0]
    first = FIRST_STAGE.get(stage, stage)
    yield "is documented: five headings", lambda: _documented(kind, stage, path)
    yield "can be written in a recipe", lambda: _written(place, change)
    yield "off is identity: no key moves when the file is loaded", lambda: _off(place, before)
    yield "is local: it moves the keys of its stage and later ones alone", lambda: _local(place, change, first)
    yield f"acts: the {first} stage's own value differs", lambda: _acts(place, change, first)
    if first in ("train", "average"):
        yield "resumes: cut and resumed, the same bits", lambda: _resumes(place, change)
    if issubclass(lever, UserAverage):
        yield "replays: asked for after the training, the same value", lambda: _replays(place, change)
    if issubclass(lever, UserFeedForward):
        yield "is seeded: built twice, the same values", lambda: _seeded(place, change)
        yield "lives: every parameter has a gradient and moves", lambda: _lives(place, change)
        yield "is causal: no token changes a score before it", lambda: _causal(place, change)
        yield "is traced whole: compiled equals eager", lambda: _traced(place, change)
    if issubclass(lever, UserWindows):
        yield "covers: every position is counted exactly once", lambda: _covers(lever, kind)


def _change(lever: type[UserLever], kind: str) -> str:
    settings = inline_toml({"kind": kind, **lever.example})
    return f"{lever.path}{'.0' if issubclass(lever, UserWindows) else ''}={settings}"


def _documented(kind: str, stage: str, path: Path) -> None:
    import ast

    docstring = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    card = read_card(kind, stage, docstring)
    touched = card.headings["Touches"].split(":")[0]
    if touched != stage:
        raise ValueError(f"Touches says {touched!r}, and the lever joins {stage!r}: write `Touches  {stage}: ...`.")


def _written(place: Workplace, change: str) -> None:
    place.lay(change)


def _off(place: Workplace, before: list[str]) -> None:
    if [job.call.key for job in place.lay().jobs] != before:
        raise ValueError("the toy recipe's keys moved, though it does not use the lever")


def _keys(road: Road, stage: str) -> set[str]:
    return {job.call.key for job in road.jobs if job.call.stage == stage}


def _local(place: Workplace, change: str, first: str) -> None:
    off, on = place.lay(), place.lay(change)
    for stage in STAGES[: STAGES.index(first)]:
        if not _keys(on, stage) <= _keys(off, stage):
            raise ValueError(f"it moves a key of {stage}, which comes before {first}")
    for stage in STAGES[STAGES.index(first) :]:
        if _keys(on, stage) <= _keys(off, stage):
            raise ValueError(f"it moves no key of {stage}")


def _digests(road: Road, store: Store, stage: str | None = None) -> set[str]:
    jobs = [job for job in road.jobs if store.has(job.call) and stage in (None, job.call.stage)]
    return {store.open(job.call).digest for job in jobs}


def _acts(place: Workplace, change: str, first: str) -> None:
    off, on = place.lay(), place.lay(change)
    store = place.run(off, "store")
    place.run(on, "store")
    if _digests(on, store, first) <= _digests(off, store, first):
        raise ValueError(f"the value of {first} is the same with and without it: it never runs, or does nothing")


class _CutError(Exception):
    """Ends a training where a kill would."""


def _resumes(place: Workplace, change: str) -> None:
    road = place.lay(change)
    whole = _digests(road, place.run(road, "whole"))
    for cut in CUTS:
        told = 0

        def tell(*said: object, cut: int = cut) -> None:
            nonlocal told
            told += said[0] == "train"
            if told > cut:
                raise _CutError

        store = f"cut-{cut}"
        with suppress(_CutError):
            place.run(road, store, Execution(segment_seconds=1e-9, progress=tell))
        if _digests(road, place.run(road, store)) != whole:
            raise ValueError(
                f"cut after {cut} of 12 steps and resumed it ends elsewhere: something that it needs is not in its state"
            )


def _replays(place: Workplace, change: str) -> None:
    road = place.lay(change)
    whole = _digests(road, place.run(road, "whole"), "average")
    place.run(place.lay("average.kind=last"), "late", Execution(segment_seconds=1e-9))
    if _digests(road, place.run(road, "late"), "average") != whole:
        raise ValueError("its observer has looked at steps before `start`: set only_snapshots = False")


def _seeded(place: Workplace, change: str) -> None:
    states = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        states.append(GPT(place.lay(change).recipe.model, 0).state_dict())
    for name, value in states[0].items():
        if not torch.equal(value, states[1][name]):
            raise ValueError(f"{name} is drawn from a generator that the run's seed does not move")


def _network(place: Workplace, change: str) -> GPT:
    model = GPT(place.lay(change).recipe.model, 0)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
    return model


def _tokens(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    tokens = torch.from_numpy(np.random.default_rng(0).integers(4, 260, (2, count + 1)))
    return tokens[:, :-1], tokens[:, 1:]


def _lives(place: Workplace, change: str) -> None:
    recipe = place.lay(change).recipe
    model = GPT(recipe.model, 0)
    optimizer = Optimizer(recipe.train.optimizer, model, "fp32")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for step in range(4):
        model.zero_grad()
        model(*_tokens(16)).mean().backward()
        for name, parameter in model.named_parameters():
            if parameter.grad is None:
                raise ValueError(f"{name} takes no part in the loss")
        optimizer.step(Moment(step, 0.0, 1.0), 0.9)
    for name, parameter in model.named_parameters():
        if parameter.grad is None or not bool(parameter.grad.any()):
            raise ValueError(f"the gradient of {name} is zero after 3 steps: is it a product of two zeros?")
        if torch.equal(parameter, before[name]):
            raise ValueError(f"{name} does not move")


def _causal(place: Workplace, change: str) -> None:
    model, (tokens, _) = _network(place, change), _tokens(10)
    with torch.no_grad():
        before = model.logits(model.hidden(tokens))
        for position in range(1, 10):
            changed = tokens.clone()
            changed[:, position] = 4 + (changed[:, position] + 1) % 250
            after = model.logits(model.hidden(changed))
            if not torch.allclose(after[:, :position], before[:, :position], rtol=0, atol=1e-5):
                raise ValueError(f"the token at position {position} changes what was said before it")


def _traced(place: Workplace, change: str) -> None:
    plain, traced = _network(place, change), _network(place, change)
    tokens, targets = _tokens(9)
    expected = plain(tokens, targets)
    torch._dynamo.reset()
    if not torch.equal(torch.compile(traced, backend="eager", fullgraph=True)(tokens, targets), expected):
        raise ValueError("what Dynamo traces gives other bits than the module itself")


def _covers(lever: type[UserLever], kind: str) -> None:
    config = parse_config(lever, {"kind": kind, **lever.example}, lever.path)
    assert isinstance(config, UserWindows)
    for num_positions in (1, 2, 7, 8, 9, 40, 41):
        starts = np.array([0, *(start for start in (3, 20) if start < num_positions)])
        checked(config, config.lay(starts, num_positions), num_positions)


def _documents(count: int, seed: int) -> list[Document]:
    rng = np.random.default_rng(seed)
    return [Document(f"{seed}/{i}", "".join(rng.choice(list("abcde "), int(rng.integers(8, 60))))) for i in range(count)]
