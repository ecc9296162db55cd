"""The contracts that every lever keeps: it acts, is local, off is identity, is documented; equal keys are equal states."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from contracts.lever_change import CHANGES
from mulligan.core.canonical import to_json
from mulligan.core.config import FrozenConfig, parse_config
from mulligan.core.execution import Execution
from mulligan.engine.inline import run_jobs
from mulligan.engine.job import Outside
from mulligan.flow import lay_road
from mulligan.lever_card import HEADINGS, PUBLISHED, RECIPE, find_cards, read_card
from mulligan.lever_place import cards_as_markdown
from mulligan.recipe import Recipe, apply_change, load_recipe, shipped_recipes
from mulligan.store.stage_call import OutsideInput
from mulligan.store.store import Store
from mulligan.train.trainer import Trainer
from mulligan.values.corpus import Corpus
from mulligan.values.scores import Scores
from toy import recipe_data, write_corpus

ROOT = Path(__file__).parents[2]
ORDER = ("train", "average", "quantize", "pack", "evaluate")


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A toy corpus and a store that all levers share, so that each trains only what it must."""
    folder = tmp_path_factory.mktemp("levers")
    corpus = write_corpus(folder / "corpus")
    return Outside(corpus.folder, OutsideInput("corpus", corpus.digest)), Store(folder / "store")


def lay(corpus, *changes):
    data = json.loads(json.dumps(recipe_data()))
    for change in changes:
        apply_change(data, change)
    return lay_road(parse_config(Recipe, data, ""), 0, corpus=corpus)


def keys(road):
    found = {stage: [job.call.key for job in road.jobs if job.call.stage == stage] for stage in ORDER}
    return {stage: set(calls) for stage, calls in found.items()}


@pytest.mark.parametrize("lever", CHANGES, ids=lambda lever: lever.lever)
def test_a_lever_acts_and_is_local(lever, workplace):
    corpus, store = workplace
    off, on = lay(corpus, *lever.given), lay(corpus, *lever.given, lever.change)
    first = ORDER.index(lever.stage)
    for stage in ORDER[:first]:
        assert keys(off)[stage] >= keys(on)[stage], f"{lever.lever} moves {stage}, which comes before {lever.stage}"
    for stage in ORDER[first:]:
        assert not keys(on)[stage] <= keys(off)[stage], f"{lever.lever} does not move {stage}"
    results = []
    for road in (off, on):
        run_jobs(road.jobs, store, Execution())
        jobs = [job for job in road.jobs if job.call.stage == lever.stage and store.has(job.call)]
        results.append({value_of(store.open(job.call)) for job in jobs})
    assert not results[1] <= results[0], f"{lever.lever} changes nothing in the {lever.stage} stage's own value"


def value_of(entry):
    """Return what identifies a value; of scores the nats and the score, since their address names every lever anyway."""
    if not (entry.folder / "tokens.parquet").is_file():
        return entry.digest
    scores = Scores.load(entry.folder)
    return scores.nats.tobytes(), scores.summary["bits_per_byte"], scores.summary["bytes_kind"]


@pytest.mark.parametrize("lever", [lever for lever in CHANGES if lever.stage == "train"], ids=lambda lever: lever.lever)
def test_equal_keys_are_equal_states_at_every_step(lever, workplace):
    """What a lever changes from a step on must be in the key from that step on, neither later (wrong sharing) nor, where
    the lever says when it begins, earlier (nothing shared)."""
    corpus, _ = workplace
    last = "average.kind=last"
    changes = [(*lever.given, last), (*lever.given, lever.change, last)]
    ways = [next(job.trajectory for job in lay(corpus, *c).jobs if job.trajectory) for c in changes]
    states = [list(states_of(way, corpus)) for way in ways]
    shared = 0
    for step, (off, on) in enumerate(zip(*states, strict=False)):
        if ways[0].state_call(step).key == ways[1].state_call(step).key:
            assert off == on, f"{lever.lever}: two states at step {step} differ and have one key"
            shared = step
    if lever.begins is not None:
        assert shared == lever.begins, f"{lever.lever} begins at step {lever.begins}, and shares {shared} steps"


def states_of(way, corpus):
    """Yield the bytes of the state at each step of a training, from 0 on."""
    stream = Corpus.load(corpus.path).tokens("train")
    trainer = Trainer(way.train, way.model, stream, way.seed, Execution(), grid=way.grid)
    yield state_bytes(trainer)
    while not trainer.finished:
        trainer.advance(until_step=trainer.step + 1)
        yield state_bytes(trainer)


def state_bytes(trainer):
    tensors = {**trainer.weights, **trainer.optimizer.state()}
    return {name: tensor.detach().numpy().tobytes() for name, tensor in tensors.items()}


def test_without_an_average_there_is_no_averaged_point(workplace):
    """`last` is off: the road has no observer and no averaged reading, and quantizes the raw weights."""
    corpus, store = workplace
    road = lay(corpus, 'average={kind = "last"}')
    assert set(road.points) == {"raw", "quantized"}
    run_jobs(road.jobs, store, Execution())
    assert {job.call.stage for job in road.jobs} == {"train", "average", "quantize", "pack", "evaluate"}


def configs_in(config):
    yield config
    for value in dict(config).values():
        for item in value if isinstance(value, tuple) else [value]:
            if hasattr(item, "canonical"):
                yield from configs_in(item)


@pytest.mark.parametrize("name", shipped_recipes())
def test_off_is_identity(name):
    """A field at its off value is left out of every key, and canonical data parses back to the same config."""
    recipe = load_recipe(name)
    for config in configs_in(recipe):
        for field, info in type(config).model_fields.items():
            extra = info.json_schema_extra
            if isinstance(extra, dict) and "off" in extra:
                default = info.default.canonical() if hasattr(info.default, "canonical") else to_json(info.default)
                assert default == extra["off"], f"{type(config).__name__}.{field}: the default must be the off value"
                if getattr(config, field) == info.default:
                    assert field not in config.canonical()
        if config is not recipe:
            assert type(config).model_validate(config.canonical()) == config


def test_the_keys_of_shipped_configs_are_pinned():
    """A new lever moves no old key; a change on purpose raises the stage's version and these lines."""
    pinned = json.loads((Path(__file__).parent / "pinned_keys.json").read_text())
    assert pinned_keys() == pinned


def pinned_keys():
    corpus = Outside(Path("nowhere"), OutsideInput("corpus", "0" * 64))
    found = {}
    for name in shipped_recipes():
        changes = [] if load_recipe(name).data.kind == "prepared" else ['data={kind = "prepared"}']
        road = lay_road(load_recipe(name, changes), 0, corpus=corpus)
        found[name] = {job.name: job.call.key for job in road.jobs}
    return found


def test_every_lever_file_has_a_whole_card_and_the_page_is_up_to_date():
    cards = find_cards()
    assert {card.name for card in cards} >= {"swa", "ema", "lawa", "tight_swa", "last", "muon", "positions", "sliding"}
    for card in cards:
        assert set(card.headings) - {PUBLISHED, RECIPE} == set(HEADINGS)
        assert card.headings["Touches"].split(":")[0] == card.stage, f"{card.name} says it touches another stage"
    assert (ROOT / "docs" / "levers.md").read_text() == cards_as_markdown(cards)


def test_a_card_without_a_heading_is_refused():
    with pytest.raises(ValueError, match="'Cost'"):
        read_card("x", "train", "X.\n\nWhat it does  a\nWhy it may help  b\nTouches  train: c\nSource  d\n")


def test_every_kind_in_a_union_is_tried_by_a_contract():
    """A kind that no contract switches on would be a lever that nobody has seen act.

    Tested elsewhere: `last`, `constant`, `as-trained` and `off` are off, `seconds` gives no equal bits (tests/engine,
    tests/train), `embedded` is a corpus of its own (tests/data), `untied` needs a learning rate besides (tests/train);
    `number` and `choice` turn the knobs of other levers and act on no stage themselves (tests/fit).
    """
    tried = (
        " ".join(change.change for change in CHANGES)
        + json.dumps(recipe_data())
        + " last constant off as-trained seconds embedded untied number choice"
    )
    for kind in kinds_of(Recipe):
        assert re.search(rf"\b{kind}\b", tried), kind


def kinds_of(config):
    """Yield every `kind` that a field of a config, or of a config below it, allows."""
    for info in config.model_fields.values():
        for member in members(info.annotation):
            if isinstance(member, type) and issubclass(member, FrozenConfig):
                yield from get_args(member.model_fields["kind"].annotation) if "kind" in member.model_fields else ()
                yield from kinds_of(member)


def members(annotation):
    arguments = get_args(annotation)
    return [inner for argument in arguments for inner in members(argument)] if arguments else [annotation]


def test_planning_imports_no_torch():
    modules = "mulligan.flow, mulligan.reading, mulligan.engine.plan"
    code = f"import sys; import {modules}; print('torch' in sys.modules, 'pyarrow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"


if __name__ == "__main__":
    (Path(__file__).parent / "pinned_keys.json").write_text(json.dumps(pinned_keys(), indent=1) + "\n")
