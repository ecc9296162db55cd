"""How many bytes a recipe's code takes, in the form that the recipe chooses: the real file, made once and remembered.

Nothing heavy is imported where the size is known. What is remembered lies in the user's cache folder and may be deleted.
"""

import functools
import hashlib
import json
import os
import tempfile
from pathlib import Path

from mulligan.core.canonical import canonical_json, digest
from mulligan.core.user_lever import lever_file_of
from mulligan.recipe import Recipe

PACKAGE = Path(__file__).parents[1]
FOLDER = Path.home() / ".cache" / "mulligan" / "code-bytes"


def code_bytes(recipe: Recipe) -> int:
    """Return the size of train_gpt.py in the form `recipe.code_form`; ValueError where no such file can be made."""
    return sizes(recipe)[recipe.code_form]


@functools.lru_cache(maxsize=256)
def sizes(recipe: Recipe) -> dict[str, int]:
    """Return the size of each form."""
    files = sorted({file for config in recipe.parts() if (file := lever_file_of(type(config))) is not None})
    path = FOLDER / f"{digest([recipe.canonical(), _source(), [_digest(file) for file in files]])}.json"
    try:
        known: dict[str, int] = json.loads(path.read_text("utf-8"))
        return known
    except (OSError, ValueError):
        pass
    from mulligan.one_file.form import build

    found: dict[str, int] = {str(form): len(code) for form, code in build(recipe).items()}
    _remember(path, found)
    return found


def _remember(path: Path, found: dict[str, int]) -> None:
    """Write the sizes whole or not at all; where the folder cannot be written, they are made again next time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
            file.write(canonical_json(found))
        os.replace(file.name, path)
    except OSError:
        pass


@functools.cache
def _source() -> str:
    """Return the digest of all source of this package."""
    return hashlib.sha256("".join(_digest(path) for path in sorted(PACKAGE.rglob("*.py"))).encode()).hexdigest()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
