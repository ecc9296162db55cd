"""What reading a script gives: Python texts, and what could not be read."""

import ast
from dataclasses import dataclass


@dataclass(frozen=True)
class Source:
    """One Python text. `file`: relative to the folder; `layer`: 0 as it lies there, from 1 what was packed in it, numbered in
    the order found, so that (`file`, `layer`) names one text. `text` has lines that end in a line feed; the lines of `tree`
    are its lines.
    """

    file: str
    layer: int
    text: str
    tree: ast.Module


@dataclass(frozen=True, order=True)
class Problem:
    """What was not read, and why. `line`: from 1, in the unpacked text where the message names a layer; None: not known."""

    file: str
    line: int | None
    message: str


class UnreadError(ValueError):
    """Something cannot be read; `line`: from 1, None if no line shows it."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line
