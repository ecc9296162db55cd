"""What a rule is given: the folder, its Python in every layer, and what was seen to flow where."""

import ast
from dataclasses import dataclass

from mulligan.submit.submitted import Submitted


@dataclass(frozen=True)
class Source:
    """One Python text. `file`: relative to the folder; `layer`: 0 as it lies there, from 1 what was packed in it."""

    file: str
    layer: int
    text: str
    tree: ast.Module


@dataclass(frozen=True)
class Subject:
    """`sources`: the entry script's layers, then those of the modules of the folder that it reaches."""

    folder: Submitted
    sources: tuple[Source, ...]
