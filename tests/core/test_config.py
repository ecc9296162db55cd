"""Configs omit exactly what is off, and a wrong key is answered with the key that was meant."""

from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError

from mulligan.core.config import FrozenConfig, lever_field, parse_config
from mulligan.recipe import load_recipe


class Plain(FrozenConfig):
    kind: Literal["plain"]
    rate: float = 0.5


class Fancy(FrozenConfig):
    kind: Literal["fancy"]
    smear_steps: int = lever_field(0, off=0, ge=0)
    depth: int = 3


class Outer(FrozenConfig):
    choice: Annotated[Plain | Fancy, Field(discriminator="kind")]
    many: tuple[Annotated[Plain | Fancy, Field(discriminator="kind")], ...] = ()
    num_layers: int = 2


def parse(data):
    return parse_config(Outer, data, "")


def test_only_a_field_at_its_off_value_is_omitted():
    assert Fancy(kind="fancy").canonical() == {"kind": "fancy", "depth": 3}
    assert Fancy(kind="fancy", smear_steps=1).canonical() == {"kind": "fancy", "smear_steps": 1, "depth": 3}


def test_canonical_data_parses_back_to_the_same_config():
    config = parse({"choice": {"kind": "fancy", "smear_steps": 4}, "many": [{"kind": "plain"}]})
    assert parse(config.canonical()) == config


def test_configs_are_frozen_and_checked_when_replaced():
    config = Plain(kind="plain")
    with pytest.raises(ValidationError):
        config.rate = 1.0
    with pytest.raises(ValidationError):
        config.replace(rate="fast")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"choice": {"kind": "plain"}, "num_layer": 3}, ["num_layer", "unknown key", "'num_layers'"]),
        ({"choice": {"kind": "fancy", "smear_step": 3}}, ["choice.smear_step", "'smear_steps'", "depth"]),
        ({"choice": {"kind": "fancyy"}}, ["choice", "'fancyy'", "plain, fancy", "'fancy'"]),
        ({"choice": {"rate": 1.0}}, ["choice", "no kind"]),
        ({"choice": {"kind": "fancy", "smear_steps": -1}}, ["choice.smear_steps = -1", "greater than or equal to 0"]),
        ({"choice": {"kind": "plain"}, "many": [{"kind": "plain", "rat": 1}]}, ["many.0.rat", "'rate'"]),
        ({}, ["choice", "required"]),
        ({"choice": "fancy"}, ["choice = 'fancy': a table is needed", 'choice={kind = "fancy"}', "kinds: plain, fancy"]),
        ({"choice": 3}, ["choice = 3: a table is needed", 'choice={kind = "plain"}']),
        ({"choice": {"kind": "plain"}, "many": "fanc"}, ["a list is needed", 'many=[{kind = "fancy"}]']),
        ({"choice": {"kind": "plain"}, "many": [1]}, ["many.0 = 1: a table is needed", 'many.0={kind = "plain"}']),
    ],
)
def test_an_error_says_what_was_given_and_what_is_allowed(data, words):
    with pytest.raises(ValueError, match=r".") as caught:
        parse(data)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("given", [True, "12", 2.0])
def test_a_number_is_given_as_a_number(given):
    with pytest.raises(ValueError, match=r"num_layers = .* integer"):
        parse({"choice": {"kind": "plain"}, "num_layers": given})


def test_an_item_that_is_refused_does_not_make_its_list_too_short_as_well():
    class Listed(FrozenConfig):
        many: tuple[Annotated[Plain | Fancy, Field(discriminator="kind")], ...] = Field(min_length=1)

    with pytest.raises(ValueError, match="unknown kind 'plan'") as caught:
        parse_config(Listed, {"many": [{"kind": "plan"}]}, "")
    assert "at least 1" not in str(caught.value)
    with pytest.raises(ValueError, match="at least 1"):
        parse_config(Listed, {"many": []}, "")


@pytest.mark.parametrize(
    ("change", "is_open"),
    [
        ('model.feed_forward={kind = "mine", mult = 2}', True),
        ('evaluate.windows.0={kind = "mine", context_len = 8}', True),
        ('average={kind = "mine"}', True),
        ('evaluate.mixture={kind = "mine"}', False),
        ('grid.families.1.format={kind = "mine"}', False),
    ],
)
def test_a_lever_of_ones_own_is_spoken_of_only_where_one_may_join(change, is_open):
    with pytest.raises(ValueError, match="unknown kind 'mine'") as caught:
        load_recipe("tiny", [change])
    assert ("--lever FILE.py" in str(caught.value)) == is_open
