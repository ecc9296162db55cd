"""Where a lever stands in a recipe, and one change that switches it on: read from the configs, tried on shipped recipes.

A card's heading `Recipe` names its places, as `path` or `path=kind`; without one they are those called as its file is.
"""

import difflib
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from mulligan.core.config import FrozenConfig, configs_of, kind_of, members_of
from mulligan.core.example import examples_of
from mulligan.core.toml import inline_toml
from mulligan.lever_card import HEADINGS, PUBLISHED, RECIPE, STAGES, Card
from mulligan.recipe import Recipe, load_recipe, shipped_recipes

EXAMPLE = "Example"
NUMBER = "a number"


@dataclass(frozen=True)
class Place:
    """A dotted path of the recipe, the lever's kinds or words there, and what stands there until it is set (None: required).

    `change`: a `path=value` that the shipped recipe `recipe` takes; both None where none was found.
    """

    path: str
    values: tuple[str, ...]
    off: str | None
    change: str | None
    recipe: str | None

    @property
    def text(self) -> str:
        """The path and what can be written there."""
        return f"{self.path}: {', '.join(self.values)}" + (f"; at first {self.off}" if self.off is not None else "")


def card_lines(card: Card) -> list[tuple[str, str]]:
    """Return what a card says, heading by heading: last where a recipe says it, and a line that switches it on."""
    lines = [(heading, text) for heading, text in card.headings.items() if heading != RECIPE]
    for place in find_places(card):
        lines.append((RECIPE, place.text))
        if place.change is not None:
            lines.append((EXAMPLE, f"mulligan run {place.recipe} --set {shlex.quote(place.change)}"))
    return lines


def cards_as_markdown(cards: list[Card]) -> str:
    """Return docs/levers.md."""
    lines = ["# Levers", "", "Generated from the lever files by `docs/generate_levers.py`; do not edit.", ""]
    for stage in STAGES:
        of_stage = [card for card in cards if card.stage == stage]
        lines += [f"## {stage}", ""] if of_stage else []
        for card in of_stage:
            lines += [f"### {card.name}", "", card.title, ""]
            for heading, text in card_lines(card):
                lines.append(f"- **{heading}**: " + (text if heading in (*HEADINGS, PUBLISHED) else f"`{text}`"))
            lines += [""]
    return "\n".join(lines).rstrip() + "\n"


def find_places(card: Card) -> list[Place]:
    """Return the places of a lever, one for each path; ValueError when its card names one that no recipe has."""
    fields = dict(_fields(Recipe))
    given = card.headings.get(RECIPE)
    named = _given(given) if given else _called(card.name.replace("-", "_"), fields)
    words: dict[str, list[str]] = {}
    for path, kind in named:
        if path not in fields:
            near = difflib.get_close_matches(path, fields, n=1)
            meant = f" Did you mean {near[0]}?" if near else ""
            raise ValueError(f"{card.stage}/{card.name}: {RECIPE} names {path}, which no recipe has.{meant}")
        there = _words(fields[path])
        if kind is not None and kind not in there:
            may = ", ".join(there)
            raise ValueError(f"{card.stage}/{card.name}: {RECIPE} names {path}={kind}; a recipe may have there: {may}.")
        words.setdefault(path, []).extend([kind] if kind else there)
    return [_place(path, fields[path], tuple(there)) for path, there in words.items()]


def _given(text: str) -> Iterator[tuple[str, str | None]]:
    for place in text.split(","):
        path, _, kind = place.strip().partition("=")
        yield path, kind or None


def _called(name: str, fields: dict[str, FieldInfo]) -> Iterator[tuple[str, str | None]]:
    """Yield the choices that are called `name`, and the kinds called so at the outermost path that has one."""
    for path, info in fields.items():
        is_choice = _off(info) is not None or bool(configs_of(info.annotation))
        if path.split(".")[-1] == name and is_choice:
            yield path, None
    for path, info in fields.items():
        kind = next((kind_of(member) for member in configs_of(info.annotation) if _file_name(member) == name), None)
        if kind is not None:
            yield path, kind
            return


def _file_name(config: type[FrozenConfig]) -> str:
    return (kind_of(config) or "").replace("-", "_")


def _fields(config: type[FrozenConfig], path: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yield every field of a config and of the configs below it by its path; below a list, that of its first item."""
    for name, info in config.model_fields.items():
        here = f"{path}.{name}" if path else name
        yield here, info
        below = f"{here}.0" if get_origin(info.annotation) is tuple else here
        for member in configs_of(info.annotation):
            yield from _fields(member, below)


def _off(info: FieldInfo) -> str | None:
    """Return in words what a field holds until it is set; None where it is required."""
    extra = info.json_schema_extra
    if not isinstance(extra, dict) or "off" not in extra:
        return None
    off = extra["off"]
    if isinstance(off, dict):
        return str(off["kind"])
    return "not set" if off is None else off if isinstance(off, str) else inline_toml(off)


def _words(info: FieldInfo) -> list[str]:
    """Return the kinds or words of a field but the one that is off; NUMBER where there are none."""
    words: list[str | None] = [kind_of(config) for config in configs_of(info.annotation)]
    for member in members_of(info.annotation):
        words += get_args(member) if get_origin(member) is Literal else ["true", "false"] if member is bool else []
    return [word for word in words if word is not None and word != _off(info)] or [NUMBER]


def _place(path: str, info: FieldInfo, words: tuple[str, ...]) -> Place:
    values = [value for value in examples_of(info) if _word(value) in words or words == (NUMBER,)]
    change, recipe = _tried([f"{path}={value if isinstance(value, str) else inline_toml(value)}" for value in values])
    return Place(path, words, _off(info), change, recipe)


def _word(value: Any) -> Any:
    table = value[0] if isinstance(value, list) else value
    return table.get("kind") if isinstance(table, dict) else table if isinstance(table, str) else inline_toml(table)


def _tried(changes: list[str]) -> tuple[str | None, str | None]:
    """Return the first change and recipe that go together, best a change that alters something."""
    taken: tuple[str | None, str | None] = (None, None)
    for name, recipe in _recipes().items():
        for change in changes:
            try:
                changed = load_recipe(name, [change])
            except ValueError:
                continue
            if changed != recipe:
                return change, name
            taken = (change, name) if taken[0] is None else taken
    return taken


@cache
def _recipes() -> dict[str, Recipe]:
    """The recipes that need no data from elsewhere, the demo first."""
    loaded = {name: load_recipe(name) for name in sorted(shipped_recipes(), key=lambda name: name != "tiny")}
    return {name: recipe for name, recipe in loaded.items() if recipe.data.kind == "embedded"}
