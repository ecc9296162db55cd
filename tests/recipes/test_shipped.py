"""The shipped recipes: published numbers of parameters, and tiny twins that keep every lever of the recipe they stand for."""

import math

import pytest

from mulligan.core.config import FrozenConfig
from mulligan.flow import resolved_average
from mulligan.model.gpt import parameter_shapes
from mulligan.numerics.grid import assign
from mulligan.recipe import load_recipe, shipped_recipes
from mulligan.train.schedule import Schedule

PUBLISHED = {"baseline": 17_059_912, "pr-96": 17_059_912, "pr-180": 25_517_137, "pr-374": 26_993_756, "pr-1716": 36_486_278}
TWINS = sorted(name.removesuffix("-tiny") for name in shipped_recipes() if name.endswith("-tiny"))


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_stack_has_its_published_number_of_parameters(name):
    shapes = parameter_shapes(load_recipe(name).model)
    assert sum(math.prod(shape) for shape in shapes.values()) == PUBLISHED[name]


def test_every_published_stack_has_a_twin():
    assert {*PUBLISHED, "pr-1394", "fork-989"} == set(TWINS)


def levers_of(config):
    """Return {path: kind} of a config's choices, and True for each number that is not at its off value."""
    found = {}
    for name, info in type(config).model_fields.items():
        value, extra = getattr(config, name), info.json_schema_extra
        if isinstance(value, FrozenConfig):
            found[name] = getattr(value, "kind", None)
            found |= {f"{name}.{key}": kind for key, kind in levers_of(value).items()}
        elif isinstance(extra, dict) and "off" in extra and value != extra["off"]:
            found[name] = value if isinstance(value, str) else True
    return found


@pytest.mark.parametrize("name", TWINS)
def test_a_twin_keeps_every_lever(name):
    full, twin = load_recipe(name), load_recipe(f"{name}-tiny")
    for stage in ("model", "train", "average", "quantize", "pack"):
        left, right = (levers_of(getattr(recipe, stage)) for recipe in (full, twin))
        left.pop("accumulation_steps", None)
        assert left == right, stage
    assert [family.format for family in full.grid.families] == [family.format for family in twin.grid.families]
    assert [w.kind for w in full.evaluate.windows] == [w.kind for w in twin.evaluate.windows]
    for one, other in zip(full.evaluate.windows, twin.evaluate.windows, strict=True):
        assert one.stride / one.context_len == other.stride / other.context_len
    assert full.model.qk_gain_init == twin.model.qk_gain_init
    optimizers = [recipe.train.optimizer.model_dump(exclude={"momentum_warmup_steps"}) for recipe in (full, twin)]
    assert optimizers[0] == optimizers[1]


@pytest.mark.parametrize("name", TWINS)
def test_a_twin_keeps_the_shape_of_the_run(name):
    """When things begin, as a share of the run; how many snapshots are averaged; how far an EMA looks back."""
    full, twin = load_recipe(name), load_recipe(f"{name}-tiny")
    shapes = [shape_of(recipe) for recipe in (full, twin)]
    assert shapes[0].keys() == shapes[1].keys()
    for what, value in shapes[0].items():
        assert shapes[1][what] == pytest.approx(value, rel=0.05, abs=0.012), what


def shape_of(recipe):
    steps, schedule = recipe.train.num_steps, Schedule(recipe.train)
    found = {"momentum warm-up": recipe.train.optimizer.momentum_warmup_steps / steps}
    found["warmdown"] = schedule.warmdown.first_step / steps
    found["floor"] = schedule.warmdown.floor
    if recipe.train.fake_quantize.kind != "off":
        found["fake quantization"] = schedule.first_step(recipe.train.fake_quantize.start) / steps
    if recipe.train.recurrence_start is not None:
        found["recurrence"] = schedule.first_step(recipe.train.recurrence_start) / steps
    average = resolved_average(recipe)
    if average.kind == "ema":
        found["look back"] = 1 / (1 - average.decay) / steps
    elif average.kind != "last":
        found["first snapshot"] = average.start.step / steps
        found["snapshots"] = sum(step % average.every_steps == 0 for step in range(average.start.step, steps + 1))
    return found


def test_pr_1716_stores_small_tensors_as_published():
    """Path A v3 by its counts of elements: one scale per control tensor, rows of int8 for small matrices, fp16 for the rest."""
    recipe = load_recipe("pr-1716")
    shapes = parameter_shapes(recipe.model)
    counts = {}
    for name, format in assign(recipe.grid, shapes).items():
        if math.prod(shapes[name]) <= 65_536:
            stored = (format.kind, getattr(format, "bits", 16), getattr(format, "scale_per", ""))
            counts[stored] = counts.get(stored, 0) + math.prod(shapes[name])
    assert counts == {("int", 8, "tensor"): 30_720, ("int", 8, "row"): 16_384 + 1_056 + 12, ("fp16", 16, ""): 11 * 8 + 2}
