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
FEWEST_MARK, MOST_FILES = 4, 100
"""Characters of a separator between files that are packed together; how many files."""
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
                    known.add(inner)
                    todo.append((inner, depth + 1))
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
    named = [(call.func.id, call) for call in layer.anatomy.calls if isinstance(call.func, ast.Name)]
    runs = [(name, call) for name, call in named if name in ("exec", "eval")]
    folder = Folder(layer.anatomy, budget)
    for name, call in runs:
        text = folder.value(call.args[0]) if call.args else None
        if isinstance(text, str) and (name == "exec" or says_python(text)) and _parses(text, budget):
            yield call.lineno, text
    literals, filters = _literals(layer, folder)
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
            yield from ((line, part) for part in _parts(text, layer, budget))
        elif len(value) >= FEWEST_OPAQUE and (isinstance(value, bytes) or _OPAQUE.fullmatch(value)):
            opaque = opaque or line
    if runs and opaque and not opened:
        yield opaque, UnreadError(f"packed in a way that is not known, and line {runs[0][1].lineno} executes; it was not read")


def _literals(layer: Layer, folder: Folder) -> tuple[list[Literal], list[Filters]]:
    """Return the literals of a layer, also those in pieces, and the raw LZMA filters that it names."""
    literals = list(layer.anatomy.literals)
    if not _UNPACKS.search(layer.source.text):
        return literals, []
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


def _parts(text: str, layer: Layer, budget: Budget) -> list[str]:
    """Return the Python texts in one that holds several files, between separators at which the outer text splits."""
    given = [call.args[0] for call in layer.anatomy.calls if getattr(call.func, "attr", "") == "split" and len(call.args) == 1]
    for mark in given:
        if (
            isinstance(mark, ast.Constant)
            and isinstance(mark.value, str)
            and len(mark.value) >= FEWEST_MARK
            and mark.value in text
        ):
            files = text.split(mark.value, MOST_FILES)
            return [file for file in files if _is_code(file, budget)] or [text]
    return [text]


def _is_code(text: str, budget: Budget) -> bool:
    """Say whether a literal is Python that stands there unpacked."""
    return "\n" in text and says_python(text) and _parses(text, budget)


def _parses(text: str, budget: Budget) -> bool:
    try:
        budget.pay("tokens", tokens(text))
        return bool(parsed(text).body)
    except SpentError:
        raise
    except UnreadError:
        return False
