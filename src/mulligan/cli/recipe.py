"""`mulligan recipe`: what is shipped, what a recipe says in full, and where two differ."""

from cyclopts import App

from mulligan.cli.setting import AsJson, Set

app = App(name="recipe")


@app.command(name="list")
def list_recipes(*, json: AsJson = False) -> int:
    """List the shipped recipes with their first comment."""
    from mulligan.cli.terminal import print_json, print_table
    from mulligan.recipe import shipped_recipes

    recipes = {name: text.splitlines()[0].lstrip("# ") for name, text in shipped_recipes().items()}
    if json:
        print_json({"recipes": recipes})
    else:
        print_table("Shipped recipes", ["name", "what it is"], [[name, text] for name, text in recipes.items()])
    return 0


@app.command
def show(recipe: str, /, *, changes: Set | None = None, json: AsJson = False) -> int:
    """Print RECIPE fully resolved, as TOML (or JSON): the comment at its head, the number of its parameters, and every value,
    those that are off too."""
    import math

    from mulligan.cli.terminal import print_json
    from mulligan.model.gpt import parameter_shapes
    from mulligan.recipe import load_recipe, recipe_comment, to_toml

    loaded = load_recipe(recipe, changes or [])
    num_parameters = sum(math.prod(shape) for shape in parameter_shapes(loaded.model).values())
    if json:
        comment = {"comment": recipe_comment(recipe), "num_parameters": num_parameters}
        print_json({**loaded.model_dump(mode="json"), **comment})
    else:
        lines = [*recipe_comment(recipe).splitlines(), "", f"{num_parameters:,} parameters"]
        print("\n".join(f"# {line}".rstrip() for line in lines) + f"\n\n{to_toml(loaded)}", end="")
    return 0


@app.command
def diff(recipe: str, other: str, /, *, changes: Set | None = None, json: AsJson = False) -> int:
    """Print every value in which two recipes differ; `--set` changes the second.

    Families and windows are compared by what they say: `grid.families.2` was removed, `+2` added (its number in OTHER),
    `2.place` moved, and `2.format.bits` is a change of family 2 of RECIPE.
    """
    from mulligan.cli.terminal import out, print_json, print_table, said
    from mulligan.recipe import load_recipe

    found = load_recipe(recipe).diff(load_recipe(other, changes or []))
    if json:
        print_json({"recipe": recipe, "other": other, "differences": {path: list(pair) for path, pair in found.items()}})
    elif not found:
        out.print("no difference")
    else:
        rows = [[path, said(here), said(there)] for path, (here, there) in found.items()]
        print_table(f"{recipe} against {other}", ["path", recipe, other], rows)
    return 0
