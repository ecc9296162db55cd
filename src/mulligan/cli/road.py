"""From the arguments of a command to a road: recipe, changes, seed, and what is handed in from outside."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from mulligan.engine.job import Outside
from mulligan.flow import Road, lay_road
from mulligan.recipe import Recipe, load_recipe
from mulligan.store.stage_call import OutsideInput


def road_from(recipe_name: str, changes: Sequence[str], seed: int, data: Path | None, weights: Path | None) -> Road:
    """Return the road of a recipe; a corpus that is handed in takes the place of the recipe's own data."""
    return lay_road(
        recipe_from(recipe_name, changes, data),
        seed,
        corpus=Outside(data, OutsideInput("corpus", sha256_of(data / "corpus.json"))) if data else None,
        weights=Outside(weights, OutsideInput("weights", sha256_of(weights))) if weights else None,
    )


def recipe_from(recipe_name: str, changes: Sequence[str], data: Path | None) -> Recipe:
    """Return the recipe; with a prepared corpus its data kind becomes "prepared", the number of documents stays."""
    recipe = load_recipe(recipe_name, changes)
    if data is None or recipe.data.kind == "prepared":
        return recipe
    from mulligan.data.config import PreparedData

    return recipe.replace(data=PreparedData(kind="prepared", validation_documents=recipe.data.validation_documents))


def sha256_of(path: Path) -> str:
    """Return the sha256 of a file's bytes; ValueError when there is none."""
    if not path.is_file():
        hint = " Make one with `mulligan data prepare`." if path.name == "corpus.json" else ""
        raise ValueError(f"{path}: no such file.{hint}")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
