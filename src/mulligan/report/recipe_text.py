"""Recipes as lines `path = value`, and what a study holds equal, in words."""

import json
from collections.abc import Iterator, Mapping
from typing import Any


def recipe_lines(recipe: Mapping[str, Any]) -> list[str]:
    """Return every value of a recipe as one line."""
    return [f"{path} = {value_text(value)}" for path, value in _flat(recipe, "")]


def _flat(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        path = f"{prefix}.{name}" if prefix else name
        if isinstance(value, Mapping):
            yield from _flat(value, path)
        elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
            yield from _flat({str(i): item for i, item in enumerate(value)}, path)
        else:
            yield path, value


def value_text(value: Any) -> str:
    """Return a value as JSON; what is not there is a dash."""
    return "–" if value is None else json.dumps(value, ensure_ascii=False)


def held_equal(result: Mapping[str, Any]) -> str:
    """Return what all arms have in common."""
    budget = result["study"]["budget"]
    if budget["kind"] == "seconds":
        costs = ", ".join(f"{name} {ms:g} ms" for name, ms in budget["step_ms"].items())
        return f"training time: {budget['seconds']:g} s, turned into steps at the cost of a step ({costs})"
    if result["study"].get("weights"):
        return "the trained weights: files that were given, one for each seed"
    recipes = [arm["recipe"] for arm in result["arms"]]
    if not all("train" in recipe for recipe in recipes):
        return f"training {budget['kind']}, by the script's own settings"
    spent = [recipe["train"]["budget"] for recipe in recipes]
    if all(one == spent[0] for one in spent):
        return f"training {budget['kind']} ({spent[0][spent[0]['kind']]:,} {spent[0]['kind']} in every arm)"
    return f"training {budget['kind']}"
