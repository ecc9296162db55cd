"""Configs omit exactly what is off, and a wrong key is answered with the key that was meant."""

from typing import Annotated, Literal

import pytest
from pydantic import Field, ValidationError

from mulligan.core.config import FrozenConfig, lever_field, parse_config


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
