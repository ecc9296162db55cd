"""Where a lever stands in a recipe: every card says it, and every line that it prints can be pasted."""

import re
import shlex
from pathlib import Path

import pytest

from mulligan.core.config import FrozenConfig, configs_of, kind_of, parse_config
from mulligan.core.example import example_of
from mulligan.engine.job import Outside
from mulligan.flow import lay_road
from mulligan.lever_card import Card, find_cards
from mulligan.lever_place import card_lines, find_places
from mulligan.recipe import Recipe, load_recipe
from mulligan.store.stage_call import OutsideInput

PAGE = (Path(__file__).parents[1] / "docs" / "levers.md").read_text()
EXAMPLES = re.findall(r"^- \*\*Example\*\*: `(.*)`$", PAGE, flags=re.MULTILINE)


def keys(recipe):
    road = lay_road(recipe, 0, corpus=Outside(Path("nowhere"), OutsideInput("corpus", "0" * 64)))
    return [job.call.key for job in road.jobs]


@pytest.mark.parametrize("line", EXAMPLES)
def test_every_printed_example_is_taken_by_its_recipe_and_acts(line):
    mulligan, run, name, option, change = shlex.split(line)
    assert (mulligan, run, option) == ("mulligan", "run", "--set")
    assert keys(load_recipe(name, [change])) != keys(load_recipe(name))


def test_every_lever_has_a_place_and_every_place_an_example():
    """Where this fails, a required setting lacks `examples=[...]` in its field, or a card the heading Recipe."""
    for card in find_cards():
        places = find_places(card)
        assert places, card.name
        for place in places:
            assert place.change is not None, f"{card.name}: {place.path}"
        printed = [text for heading, text in card_lines(card) if heading == "Example"]
        assert len(printed) == len(places)
        assert {*printed} <= {*EXAMPLES}


def configs_below(config):
    yield config
    for info in config.model_fields.values():
        for member in configs_of(info.annotation):
            yield from configs_below(member)


KINDS_OF_RECIPE = {kind_of(config) for config in configs_below(Recipe)}
KINDS = {config for config in configs_below(Recipe) if kind_of(config) is not None}


@pytest.mark.parametrize("kind", sorted(KINDS, key=lambda kind: kind.__name__), ids=lambda kind: kind.__name__)
def test_every_kind_can_be_written_from_its_fields_alone(kind):
    """What an error message and a card show must be whole: each required setting has an example or is a kind."""
    assert parse_config(kind, example_of(kind), "").kind == kind_of(kind)


@pytest.mark.parametrize(
    "change",
    [
        "model.bigram_hash=xor",
        "model.positions.extension=yarn",
        "model.attention_gate=on",
        "average=ema",
        "average=0.98",
        "train.budget=300",
        "evaluate.windows=sliding",
        "evaluate.windows.1=document-isolated",
        "grid.families.1.format=fp16",
        "grid.families.1.format.scale=percentile",
    ],
)
def test_a_word_where_a_table_is_needed_is_answered_with_a_table_that_works(change):
    with pytest.raises(ValueError, match="is needed there, such as") as caught:
        load_recipe("tiny", [change])
    path, _, word = change.partition("=")
    (suggested,) = re.findall(r"such as (.*) \(quoted", str(caught.value))
    assert suggested.startswith(f"{path}=")
    assert load_recipe("tiny", [suggested]) != load_recipe("tiny")
    if word in KINDS_OF_RECIPE:
        assert f'kind = "{word}"' in suggested


def test_what_a_card_says_of_its_places_is_read_from_the_configs():
    (place,) = find_places(Card("bigram_hash", "model", "", {}))
    assert (place.path, place.values, place.off) == ("model.bigram_hash", ("xor", "linear"), "off")
    (flag,) = find_places(Card("row_normalize", "train", "", {}))
    assert (flag.text, flag.change) == (
        "train.optimizer.row_normalize: true; at first false",
        "train.optimizer.row_normalize=true",
    )
    two = find_places(Card("x", "model", "", {"Recipe": "model.positions=alibi, model.num_exclusive_layers"}))
    assert [place.text for place in two] == ["model.positions: alibi", "model.num_exclusive_layers: a number; at first 0"]
    assert find_places(Card("no_such_thing", "model", "", {})) == []


@pytest.mark.parametrize("wrong", ["model.bigram", "model.positions=xor", "model.positions, no.such"])
def test_a_card_that_names_what_no_recipe_has_is_refused(wrong):
    with pytest.raises(ValueError, match=re.escape(wrong.split(", ")[-1])):
        find_places(Card("x", "model", "", {"Recipe": wrong}))


def test_a_card_with_a_path_misspelt_is_told_the_path_that_was_meant():
    with pytest.raises(ValueError, match=r"evaluate\.mixtur, which no recipe has. Did you mean evaluate\.mixture\?"):
        find_places(Card("x", "evaluate", "", {"Recipe": "evaluate.mixtur=ngram"}))


def test_a_required_number_without_an_example_is_left_out():
    class Bare(FrozenConfig):
        size: int

    assert example_of(Bare) == {}
