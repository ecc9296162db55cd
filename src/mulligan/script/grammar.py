"""A syntax tree of Python text, also of text in a newer grammar than that of the Python that reads it."""

import ast
import io
import re
import tokenize
import warnings

from mulligan.script.newer_grammar import older
from mulligan.script.source import UnreadError

_ENCODINGS = re.compile(r"(utf-8|utf-8-sig|ascii|us-ascii|iso-8859-\d+|iso8859-\d+|latin-1|cp\d+|windows-\d+)")
"""Declared encodings that are read; others may take any time to decode, or hide what Python would see."""


def decoded(data: bytes) -> str:
    """Return the text of a Python file, its lines ending in line feeds; UnreadError where Python itself would refuse it."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        if not _ENCODINGS.fullmatch(encoding):
            raise UnreadError(
                f"declares the encoding {encoding!r}, which is not read; allowed: UTF-8, ASCII, ISO 8859, cp...", 1
            )
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise UnreadError(f"not {error.encoding}: {error.reason}", 1 + data.count(b"\n", 0, error.start)) from error
    except (SyntaxError, LookupError) as error:
        raise UnreadError(f"cannot be decoded: {error}", 1) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parsed(text: str) -> ast.Module:
    """Return the tree of a text that `scan.tokens` let pass, line for line; UnreadError where no Python up to 3.14 has one."""
    try:
        return _tree(text)
    except SyntaxError as error:
        first = error
    try:
        return older(text, _tree)
    except SyntaxError as error:
        raise UnreadError(f"does not parse: {error.msg}", error.lineno or first.lineno) from first
    except RecursionError as error:
        raise UnreadError("nested too deeply to be parsed", first.lineno) from error


def _tree(text: str) -> ast.Module:
    """Parse with the grammar of this Python; SyntaxError where it has other words, UnreadError where it gives up."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd escapes in other people's strings
            return ast.parse(text)
    except (RecursionError, MemoryError) as error:
        raise UnreadError("nested too deeply to be parsed") from error
    except ValueError as error:  # half of a surrogate pair
        raise UnreadError(f"does not parse: {error}") from error
