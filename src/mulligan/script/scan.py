"""What a text costs before it is parsed: how many tokens, how deep its brackets. Strings and comments are passed over."""

import re

from mulligan.script.source import UnreadError

MOST_TEXT = 8_000_000
"""Bytes of one Python text."""
MOST_TOKENS = 300_000
"""Tokens of one text; a syntax tree takes up to 1 kB a token, a script of 5,000 lines has 60,000."""
MOST_BRACKETS = 100
"""Brackets open at once; Python's own parser stops at 200."""
MOST_FIELDS = 5_000
"""Opening braces of one f-string; the parser of Python 3.11 takes time with their square."""

_BODIES = "|".join(
    (
        r'"""[^"\\]*+(?:(?:\\.|"(?!""))[^"\\]*+)*+(?:"""|\\?\Z)',
        r"'''[^'\\]*+(?:(?:\\.|'(?!''))[^'\\]*+)*+(?:'''|\\?\Z)",
        r'"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+(?:"|(?=\n)|\\?\Z)',
        r"'[^'\\\n]*+(?:\\.[^'\\\n]*+)*+(?:'|(?=\n)|\\?\Z)",
    )
)
STRING = rf"(?:\b(?:[bBuU][rR]?|[rR][bB]?))?(?:{_BODIES})"
"""A string that holds no expressions. One that is not closed ends with its line or, of three quotes, with the text."""
_SKIPPED = re.compile(rf"{_BODIES}|#[^\n]*+", re.DOTALL)
_FIELDED = re.compile(r"(?:[fFtT][rR]?|[rR][fFtT])\Z")
_TOKEN = re.compile(r"\w+|[^\w\s]|\n\s*")
_BRACKETS = b"()[]{}"
_NO_BRACKETS = bytes(set(range(256)) - set(_BRACKETS))


def tokens(text: str) -> int:
    """Count the tokens of a text; UnreadError where it is too much for a parser."""
    if len(text) > MOST_TEXT:
        raise UnreadError(f"more than {MOST_TEXT:,} characters; it was not parsed")
    if "\0" in text:
        raise UnreadError("holds a null byte; Python does not read it", 1 + text.count("\n", 0, text.index("\0")))
    code = _SKIPPED.sub(_code, text)
    count = len(_TOKEN.findall(code))
    if count > MOST_TOKENS:
        raise UnreadError(f"more than {MOST_TOKENS:,} tokens; it was not parsed")
    if _depth(code) > MOST_BRACKETS:
        raise UnreadError(f"brackets nested more than {MOST_BRACKETS} deep; it was not parsed")
    return count


def _code(skipped: re.Match[str]) -> str:
    """Return what stays of a string or a comment: of an f-string all, for it holds expressions."""
    at, text = skipped.start(), skipped.string
    if text[at] == "#" or not _FIELDED.search(text[max(at - 2, 0) : at]):
        return ""
    if (fields := skipped[0].count("{")) > MOST_FIELDS:
        raise UnreadError(f"an f-string with {fields:,} braces; it was not parsed", 1 + text.count("\n", 0, at))
    return skipped[0]


def _depth(code: str) -> int:
    deep = most = 0
    for byte in code.encode("utf-8", "replace").translate(None, _NO_BRACKETS):
        if byte in b"([{":
            deep += 1
            most = max(most, deep)
        elif deep:
            deep -= 1
    return most
