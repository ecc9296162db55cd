"""`mulligan import-checkpoint`: a checkpoint of a challenge script becomes a weights file."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from mulligan.cli.setting import AsJson, Set


def import_checkpoint(
    file: Path,
    /,
    *,
    recipe: Annotated[str, Parameter(help="The recipe whose network the checkpoint is of.")],
    out: Annotated[Path, Parameter(help="The weights file to write (.safetensors).")],
    changes: Set | None = None,
    json: AsJson = False,
) -> int:
    """Read FILE, a state dict with the parameter names of the challenge's scripts, into a weights file.

    A .pt is read with weights_only=True: nothing in it is executed.
    """
    from mulligan.cli.terminal import out as console
    from mulligan.cli.terminal import print_json
    from mulligan.model.checkpoint import read_checkpoint
    from mulligan.recipe import load_recipe, shipped_recipes

    if out.exists():
        raise ValueError(f"{out} exists already. Give a file that does not, or delete it first.")
    shipped = {name: load_recipe(name).model for name in shipped_recipes()}
    weights = read_checkpoint(file, load_recipe(recipe, changes or []).model, shipped)
    out.parent.mkdir(parents=True, exist_ok=True)
    building = out.with_name(f".{out.name}.building")
    weights.to_file(building)
    building.replace(out)
    num_parameters = sum(tensor.numel() for tensor in weights.tensors.values())
    if json:
        print_json({"path": str(out.resolve()), "num_parameters": num_parameters, "model": weights.model})
    else:
        console.print(f"{out}: {num_parameters:,} parameters")
        console.print(f"next       mulligan evaluate {out} --data DIR")
    return 0
