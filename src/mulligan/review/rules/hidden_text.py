"""Characters that hide or reorder source

What it finds
    Characters that turn the direction of text, that have no width, or that are tags, anywhere in the submission's Python;
    names that mix Latin letters with letters of another script that look the same.
Why it matters
    What a reader sees is not what runs: a line may look like a comment and be code, two names may look alike and be two.
Example
    A comment in which U+202E turns round what follows it; a name `score` whose second letter is Cyrillic.
What it cannot see
    Files that are not read as source.
Source
    Unicode Technical Standard 39; the attack known as Trojan Source. A warning.
"""

import re
import unicodedata
from collections.abc import Iterator

from mulligan.review.finding import Finding, NotChecked
from mulligan.review.subject import Subject

CODE = "text"
MOST_FINDINGS = 10
DIRECTION = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
WIDTHLESS = "\u200b\u2060\u2061\u2062\u2063\u2064\u180e\u00ad\ufeff"
JOINERS = "\u200c\u200d"
HIDDEN = re.compile(f"[{DIRECTION}{WIDTHLESS}\U000e0000-\U000e007f]|(?<=[\x00-\x7f])[{JOINERS}]")
"""A joiner is in ordinary use between letters and pictures that are not ASCII."""
NAME = re.compile(r"[^\W\d]\w*")


def check(subject: Subject) -> Iterator[Finding | NotChecked]:
    """Yield hidden characters and names of mixed scripts, at most ten of each file."""
    for source in subject.sources:
        if source.text.isascii():
            continue
        found = 0
        for number, line in enumerate(source.text.split("\n"), 1):
            message = None if line.isascii() else _said(line[1:] if number == 1 and line.startswith("\ufeff") else line)
            if message and found < MOST_FINDINGS:
                found += 1
                yield Finding(CODE, "hidden_text", "warning", source.file, number, message)


def _said(line: str) -> str | None:
    hidden = HIDDEN.search(line)
    if hidden:
        character = hidden[0]
        known = unicodedata.name(character, "a tag")
        return f"U+{ord(character):04X} {known}: it is not seen, and what is seen may not be what runs"
    for name in NAME.findall(line):
        if not name.isascii() and (scripts := _scripts(name)) and len(scripts) > 1:
            return f"{name!a} mixes letters of {' and '.join(sorted(scripts))}"
    return None


def _scripts(name: str) -> set[str]:
    """Return the scripts of a name's letters, of those that have letters like Latin ones."""
    first = {unicodedata.name(character, "").split(" ")[0] for character in name if character.isalpha()}
    return first & {"LATIN", "CYRILLIC", "ARMENIAN", "CHEROKEE"}
