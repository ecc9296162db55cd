"""From the arguments of a command to a road: recipe, changes, seed, and what is handed in from outside."""

from collections.abc import Sequence
from pathlib import Path

from mulligan.engine.job import corpus_at, weights_at
from mulligan.flow import Road, lay_road
from mulligan.recipe import Recipe, load_recipe


def road_from(recipe_name: str, changes: Sequence[str], seed: int, data: Path | None, weights: Path | None) -> Road:
    """Return the road of a recipe; a corpus that is handed in takes the place of the recipe's own data."""
    return lay_road(
        recipe_from(recipe_name, changes, data),
        seed,
        corpus=corpus_at(data) if data else None,
        weights=weights_at(weights) if weights else None,
    )


def recipe_from(recipe_name: str, changes: Sequence[str], data: Path | None) -> Recipe:
    """Return the recipe; with a prepared corpus its data kind becomes "prepared", the number of documents stays."""
    recipe = load_recipe(recipe_name, changes)
    if data is None or recipe.data.kind == "prepared":
        return recipe
    from mulligan.data.config import PreparedData

    return recipe.replace(data=PreparedData(kind="prepared", validation_documents=recipe.data.validation_documents))
