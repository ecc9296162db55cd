"""Bytes counted wrongly

What it finds
    The table of bytes per token, worked out on a tokenizer of ten pieces: the space in front of a word counted in the table
    and again when a token is scored, the mark of a space counted as three bytes, a piece that is one byte counted by its
    name, tokens that print nothing counted. The table is followed from where it is made to where it is added, by what it
    holds and not by its name. A table in a file of the folder in which single bytes count three. A constant in place of the
    bytes of a token.
Why it matters
    Bits per byte divide by the bytes of the text. The space counted twice made the published numbers 1.167 to 1.175 times
    too good.
Example
    `sizes[i] = len(piece[1:].encode()) + 1` where the table is made, and `n = sizes[y] + (starts_word[y] & ~silent[x])`
    where a token is scored.
What it cannot see
    Whether the tokens are those of the text, and counts that are read from a file beside the shards: these are not checked.
Source
    Issue #1719 and Issue #897 of the challenge; rule R10.
"""

import ast
from collections.abc import Iterator

from mulligan.review.byte_file import bytes_counted_as_three, integer_tables
from mulligan.review.constants import by_constant
from mulligan.review.finding import Finding, NotChecked, Severity
from mulligan.review.piece_table import Made, tables
from mulligan.review.roles import BOUNDARY, SPACE, Roles, sums
from mulligan.review.subject import Subject
from mulligan.review.syntax import Scope, reached

CODE = "R10"


def check(subject: Subject) -> Iterator[Finding | NotChecked]:
    """Yield what is wrong with the bytes that the score divides by."""
    scopes = reached(subject)
    found = list(tables(scopes))
    made = [one for one in found if isinstance(one, Made)]
    roles = Roles(scopes, made)
    if not roles.counts:
        yield NotChecked(CODE, _why_none(found))
    yield from _twice(roles)
    yield from _alone(roles)
    yield from _from_a_file(subject)
    severity: Severity = "warning" if roles.counts else "violation"
    for one in by_constant(subject):
        message = (
            f"nats become bits per byte with a constant, {one.bytes_per_token:.4g} bytes per token: the bytes are not counted"
        )
        yield Finding(CODE, "byte_count", severity, one.file, one.line, message)


def _why_none(found: list[Made | tuple[Scope, str]]) -> str:
    reasons = [
        f"{scope.source.file}, {scope.name or 'outside of functions'}: its use of the pieces cannot be worked out: {reason}"
        for scope, reason in (one for one in found if not isinstance(one, Made))
    ]
    return "; ".join(reasons[:3]) or "no table of bytes per token is made from a tokenizer's pieces"


def _twice(roles: Roles) -> Iterator[Finding]:
    """Yield the additions of a space that the table holds already, and of one that no rule of boundaries limits."""
    for scope, node, there, added in sums(roles):
        for one, other in ((there, added), (added, there)):
            if SPACE not in other.labels or other.tables or SPACE in one.labels:
                continue
            for number in one.tables:
                count, made = roles.counts[number]
                line = getattr(node, "lineno", None)
                if count.space:
                    where = f"{made.scope.source.file}:{made.line}"
                    yield finding(
                        scope.source.file, line, f"the space in front of a word is added, and the table has it ({where})"
                    )
                elif BOUNDARY not in other.labels:
                    yield finding(
                        scope.source.file, line, "the space in front of a word is added also after a token that prints nothing"
                    )


def _alone(roles: Roles) -> Iterator[Finding]:
    """Yield what is wrong with a table whatever is added to it."""
    for number in sorted(used(roles)):
        count, made = roles.counts[number]
        file = made.scope.source.file
        if count.byte > 1:
            yield finding(file, made.line, f"a piece that is one byte counts {count.byte} bytes")
        if count.space > 1:
            yield finding(file, made.line, f"the mark of a space counts {count.space} bytes")
        if count.accent == 1:
            yield finding(file, made.line, "characters are counted, not bytes: a letter of two bytes counts one")


def _from_a_file(subject: Subject) -> Iterator[Finding]:
    """Yield what is wrong with tables in .npz files of the folder that the script reads entry by entry."""
    folder = subject.folder
    for path in folder.files:
        for key, entries in integer_tables(path) if path.suffix == ".npz" else ():
            reading = [source for source in subject.sources if f'"{key}"' in source.text or f"'{key}'" in source.text]
            wrong = bytes_counted_as_three(entries)
            if reading and wrong:
                name = path.relative_to(folder.folder).as_posix()
                message = f"{key}: tokens {wrong[0]} to {wrong[1]} are single bytes and count 3 bytes each, those of U+FFFD"
                yield finding(name, None, message)


def used(roles: Roles) -> set[int]:
    """Return the tables that a scope looks tokens up in, other than the one that made them."""
    found: set[int] = set()
    for scope in roles.scopes:
        for node in scope.nodes:
            if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
                found |= {number for number in roles.of(scope, node.value).tables if roles.counts[number][1].scope is not scope}
    return found


def finding(file: str, line: int | None, message: str) -> Finding:
    """Return a violation of the rule."""
    return Finding(CODE, "byte_count", "violation", file, line, message)
