"""The texts that are packed in a text: its literals tried with every codec, again and again, each text once."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from mulligan.script.anatomy import Anatomy, Literal
from mulligan.script.grammar import parsed
from mulligan.script.literal import Folder
from mulligan.script.scan import tokens
from mulligan.script.source import Problem, Source, UnreadError
from mulligan.script.unpack import Budget, says_python, unpacked

MOST_LAYERS = 8
"""Texts packed one in the other."""
FEWEST_PACKED = 64
"""Literals that are shorter hold no script."""
FEWEST_OPAQUE = 400
"""Literals of one word that are shorter are passed over where they hold no script."""
_UNPACKS = re.compile(r"exec|eval\(|builtins|decompress|b64|b85|a85|fromhex|marshal")
_OPAQUE = re.compile(r"[!-~]+")


@dataclass(frozen=True)
class Layer:
    """A text and what was gathered from its tree."""

    source: Source
    anatomy: Anatomy


def layers_of(file: str, text: str, budget: Budget, first: int = 0) -> tuple[list[Layer], list[Problem]]:
    """Return a text and every text packed in it, an outer before its inner ones, and what could not be read.

    `file`: what messages call it; `first`: the number of the text itself.
    """
    found: list[Layer] = []
    problems: list[Problem] = []
    known = {text}
    todo = [(text, 0)]
    while todo:
        text, depth = todo.pop(0)
        number = first + len(found)
        where = f" (layer {number}, unpacked)" if number else ""
        try:
            layer = _read(file, number, text, budget)
        except UnreadError as error:
            problems.append(Problem(file, error.line, f"{error}{where}"))
            continue
        found.append(layer)
        for line, inner in _inner(layer, budget, problems, where):
            if inner in known:
                continue
            known.add(inner)
            if depth == MOST_LAYERS:
                problems.append(Problem(file, line, f"packed more than {MOST_LAYERS} times over; not read further{where}"))
            else:
                todo.append((inner, depth + 1))
    return found, problems


def _read(file: str, number: int, text: str, budget: Budget) -> Layer:
    budget.pay("texts", 1)
    budget.pay("tokens", tokens(text))
    tree = parsed(text)
    return Layer(Source(file, number, text, tree), Anatomy.of(tree))


def _inner(layer: Layer, budget: Budget, problems: list[Problem], where: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of what is packed in a layer."""
    source, anatomy = layer.source, layer.anatomy
    literals, filters = list(anatomy.literals), []
    if _UNPACKS.search(source.text):
        folder = Folder(anatomy)
        filters = folder.filters()
        literals += [Literal(line, value, False) for line, value in folder.texts()]
    opened, opaque = 0, 0
    for line, value, stated in literals:
        if len(value) < FEWEST_PACKED:
            continue
        data = value.encode("utf-8", "replace") if isinstance(value, str) else value
        try:
            text = (
                value if isinstance(value, str) and not stated and _is_code(value, budget) else unpacked(data, budget, filters)
            )
        except UnreadError as error:
            problems.append(Problem(source.file, line, f"{error}{where}"))
            continue
        if text is not None:
            opened += 1
            yield line, text.replace("\r\n", "\n").replace("\r", "\n")
        elif len(value) >= FEWEST_OPAQUE and (isinstance(value, bytes) or _OPAQUE.fullmatch(value)):
            opaque = opaque or line
    runs = [call.lineno for call in anatomy.calls if isinstance(call.func, ast.Name) and call.func.id in ("exec", "eval")]
    if runs and opaque and not opened:
        message = f"packed in a way that is not known, and line {runs[0]} executes; it was not read{where}"
        problems.append(Problem(source.file, opaque, message))


def _is_code(text: str, budget: Budget) -> bool:
    """Say whether a literal is Python that stands there unpacked."""
    if "\n" not in text or not says_python(text):
        return False
    try:
        budget.pay("tokens", tokens(text))
        return bool(parsed(text).body)
    except UnreadError:
        return False
