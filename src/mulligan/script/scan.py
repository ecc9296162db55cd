"""What a text costs before it is parsed: how many tokens, how deep its brackets. Strings and comments are passed over."""

import re

from mulligan.script.source import UnreadError

MOST_TEXT = 8_000_000
"""Bytes of one Python text."""
MOST_TOKENS = 300_000
"""Tokens of one text; a syntax tree takes up to 1 kB a token, a script of 5,000 lines has 60,000."""
MOST_BRACKETS = 100
"""Brackets open at once; Python's own parser stops at 200."""
MOST_FIELDS = 20_000
"""Characters of one f-string; the parser of Python 3.11 takes time with its square."""

_BODIES = "|".join(
    (
        r'"""[^"\\]*+(?:(?:\\.|"(?!""))[^"\\]*+)*+(?:"""|\\?\Z)',
        r"'''[^'\\]*+(?:(?:\\.|'(?!''))[^'\\]*+)*+(?:'''|\\?\Z)",
        r'"[^"\\\n]*+(?:\\.[^"\\\n]*+)*+(?:"|(?=\n)|\\?\Z)',
        r"'[^'\\\n]*+(?:\\.[^'\\\n]*+)*+(?:'|(?=\n)|\\?\Z)",
    )
)
FIELDED = rf"\b(?:[fFtT][rR]?|[rR][fFtT])(?:{_BODIES})"
"""A string whose text holds expressions."""
STRING = rf"(?:\b(?:[bBuU][rR]?|[rR][bB]?))?(?:{_BODIES})"
"""Any other string. A string that is not closed ends with its line or, of three quotes, with the text."""
_SKIPPED = re.compile(rf"({FIELDED})|{STRING}|#[^\n]*+", re.DOTALL)
_FIELDED = re.compile(FIELDED, re.DOTALL)
_TOKEN = re.compile(r"\w+|[^\w\s]|\n\s*")
_BRACKETS = b"()[]{}"
_NO_BRACKETS = bytes(set(range(256)) - set(_BRACKETS))


def tokens(text: str) -> int:
    """Count the tokens of a text; UnreadError where it is too much for a parser."""
    if len(text) > MOST_TEXT:
        raise UnreadError(f"more than {MOST_TEXT:,} characters; it was not parsed")
    if "\0" in text:
        raise UnreadError("holds a null byte; Python does not read it", 1 + text.count("\n", 0, text.index("\0")))
    long = next((found for found in _FIELDED.finditer(text) if len(found[0]) > MOST_FIELDS), None)
    if long:
        raise UnreadError(f"an f-string of more than {MOST_FIELDS:,} characters", 1 + text.count("\n", 0, long.start()))
    code = _SKIPPED.sub(r"\1", text)
    count = len(_TOKEN.findall(code))
    if count > MOST_TOKENS:
        raise UnreadError(f"more than {MOST_TOKENS:,} tokens; it was not parsed")
    if _depth(code) > MOST_BRACKETS:
        raise UnreadError(f"brackets nested more than {MOST_BRACKETS} deep; it was not parsed")
    return count


def _depth(code: str) -> int:
    deep = most = 0
    for byte in code.encode("utf-8", "replace").translate(None, _NO_BRACKETS):
        if byte in b"([{":
            deep += 1
            most = max(most, deep)
        elif deep:
            deep -= 1
    return most
