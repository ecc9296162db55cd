"""The texts that are packed in a text: its literals tried with every codec, again and again, each text once."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from mulligan.script.anatomy import Anatomy, Literal
from mulligan.script.codec import Filters
from mulligan.script.grammar import parsed
from mulligan.script.literal import Folder
from mulligan.script.scan import tokens
from mulligan.script.source import Problem, Source, SpentError, UnreadError
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
            found.append(_read(file, number, text, budget))
            for line, inner in _inner(found[-1], budget):
                if isinstance(inner, UnreadError):
                    problems.append(Problem(file, line, f"{inner}{where}"))
                elif inner not in known and depth == MOST_LAYERS:
                    problems.append(Problem(file, line, f"packed more than {MOST_LAYERS} times over; not read further{where}"))
                elif inner not in known:
                    todo.append((inner, depth + 1))
                    known.add(inner)
        except UnreadError as error:
            problems.append(Problem(file, error.line, f"{error}{where}"))
            if isinstance(error, SpentError):
                break
    return found, problems


def _read(file: str, number: int, text: str, budget: Budget) -> Layer:
    budget.pay("texts", 1)
    budget.pay("tokens", tokens(text))
    tree = parsed(text)
    return Layer(Source(file, number, text, tree), Anatomy.of(tree))


def _inner(layer: Layer, budget: Budget) -> Iterator[tuple[int, str | UnreadError]]:
    """Yield line and text of what is packed in a layer, or why that cannot be read; SpentError where the budget is."""
    opened, opaque = False, 0
    literals, filters = _literals(layer, budget)
    for line, value, stated in literals:
        if len(value) < FEWEST_PACKED:
            continue
        try:
            text = _opened(value, stated, budget, filters)
        except SpentError as error:
            error.line = error.line or line
            raise
        except UnreadError as error:
            opened = True
            yield line, error
            continue
        if text is not None:
            opened = True
            yield line, text
        elif len(value) >= FEWEST_OPAQUE and (isinstance(value, bytes) or _OPAQUE.fullmatch(value)):
            opaque = opaque or line
    runs = [call.lineno for call in layer.anatomy.calls if isinstance(call.func, ast.Name) and call.func.id in ("exec", "eval")]
    if runs and opaque and not opened:
        yield opaque, UnreadError(f"packed in a way that is not known, and line {runs[0]} executes; it was not read")


def _literals(layer: Layer, budget: Budget) -> tuple[list[Literal], list[Filters]]:
    """Return the literals of a layer, also those in pieces, and the raw LZMA filters that it names."""
    literals = list(layer.anatomy.literals)
    if not _UNPACKS.search(layer.source.text):
        return literals, []
    folder = Folder(layer.anatomy, budget)
    return [*literals, *(Literal(line, value, False) for line, value in folder.texts())], folder.filters()


def _opened(value: str | bytes, stated: bool, budget: Budget, filters: list[Filters]) -> str | None:
    """Return the Python text that a literal is or holds, None where it is none."""
    if isinstance(value, bytes):
        text = unpacked(value, budget, filters)
    elif not stated and _is_code(value, budget):
        text = value
    else:
        text = unpacked(value.encode("utf-8", "replace"), budget, filters)
    return None if text is None else text.replace("\r\n", "\n").replace("\r", "\n")


def _is_code(text: str, budget: Budget) -> bool:
    """Say whether a literal is Python that stands there unpacked."""
    if "\n" not in text or not says_python(text):
        return False
    try:
        budget.pay("tokens", tokens(text))
        return bool(parsed(text).body)
    except SpentError:
        raise
    except UnreadError:
        return False
