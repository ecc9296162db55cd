"""From the arguments of a command to what a road is laid of: the recipe, and what is handed in from outside."""

from collections.abc import Sequence
from pathlib import Path

from mulligan.engine.job import Outside, corpus_at, weights_at
from mulligan.recipe import Recipe, load_recipe


def handed_in(data: Path | None, weights: Path | None) -> dict[str, Outside | None]:
    """Return what takes the place of the recipe's own data and training, as the arguments of `lay_road`."""
    return {"corpus": corpus_at(data) if data else None, "weights": weights_at(weights) if weights else None}


def recipe_from(recipe_name: str, changes: Sequence[str], data: Path | None) -> Recipe:
    """Return the recipe; with a prepared corpus its data kind becomes "prepared", the number of documents stays."""
    recipe = load_recipe(recipe_name, changes)
    if data is None or recipe.data.kind == "prepared":
        return recipe
    from mulligan.data.config import PreparedData

    return recipe.replace(data=PreparedData(kind="prepared", validation_documents=recipe.data.validation_documents))
