"""From the arguments of a command to what a road is laid of: the recipe, and what is handed in from outside."""

from collections.abc import Sequence
from pathlib import Path

from mulligan.engine.job import Job, Outside, corpus_at, weights_at
from mulligan.flow import Road
from mulligan.recipe import Recipe, load_recipe
from mulligan.store.store import Store


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


def corpus_of(road: Road, name: str, data: Path | None, store: Store) -> Outside:
    """Return the corpus that a finished run was scored on: the stored one, or `data`. ValueError where it is another."""
    source = next(job for job in road.jobs if job.call.stage == "evaluate").sources["corpus"]
    if isinstance(source, Job):
        return Outside(store.open(source.call).folder, corpus_at(store.open(source.call).folder).call)
    if data is None:
        raise ValueError("This run was scored on a prepared corpus. Give the same one: --data DIR.")
    corpus = corpus_at(data)
    if corpus.call.key != source.call.key:
        raise ValueError(f"--data {data}: another corpus than that of the run {name}. Give the run's own.")
    return corpus
