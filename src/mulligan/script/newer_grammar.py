"""Text in the grammar of Python 3.12 and later, parsed by an earlier one: nested f-strings (PEP 701), types (PEP 695).

The expressions of an f-string are taken out, parsed alone, and put back into the tree; in the text a name stands for each. What
is taken out leaves its line feeds behind, escaped, so that every line keeps its number (columns do not).
"""

import ast
import re
from collections.abc import Callable, Iterator

from mulligan.script.scan import STRING
from mulligan.script.source import UnreadError

Parse = Callable[[str], ast.Module]
MOST_NESTED = 20
"""f-strings within f-strings."""
_NAME = "_field_of_an_f_string_"
_START = re.compile(rf"(?P<prefix>\b(?:[fFtT][rR]?|[rR][fFtT]))(?P<quote>\"\"\"|'''|\"|')|{STRING}|#[^\n]*+", re.DOTALL)
_INSIDE = re.compile(r"[\[\](){}!:=\n\"'#]|\b[a-zA-Z]{1,2}[\"']")
_PARAMETERS = re.compile(r"\b(?:def|class)[ \t]+\w+[ \t]*(?=\[)")
_TYPE = re.compile(r"(?m)(?:^|[;:])[ \t]*(type[ \t]+)(?=[^\W\d]\w*[ \t]*(?:\[|=(?!=)))")


def older(text: str, parse: Parse, nested: int = 0) -> ast.Module:
    """Return the tree of a text in a newer grammar than that of `parse`; SyntaxError where it is none."""
    if nested > MOST_NESTED:
        raise UnreadError(f"f-strings nested more than {MOST_NESTED} deep")
    reader = _Reader(text)
    tree = parse(_without_types(reader.rewritten()) + "\n")
    for node in ast.walk(tree):
        if isinstance(node, ast.FormattedValue) and isinstance(node.value, ast.Name) and node.value.id.startswith(_NAME):
            line, expression = reader.fields[int(node.value.id.removeprefix(_NAME))]
            node.value = _expression(expression, line, parse, nested)
    return tree


def _expression(text: str, line: int, parse: Parse, nested: int) -> ast.expr:
    """Return the tree of one expression that begins at `line`."""
    inner = f"({text}\n)"
    try:
        try:
            tree = parse(inner)
        except SyntaxError:
            tree = older(inner, parse, nested + 1)
    except SyntaxError as error:
        raise SyntaxError(error.msg, (None, line - 1 + (error.lineno or 1), None, None)) from error
    statement = tree.body[0] if len(tree.body) == 1 else None
    if not isinstance(statement, ast.Expr):
        raise SyntaxError("f-string: no expression", (None, line, None, None))
    ast.increment_lineno(statement, line - 1)
    return statement.value


class _Reader:
    """One pass over a text. `fields`: line and text of each expression taken out, by number."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.fields: list[tuple[int, str]] = []
        self.lost = 0
        self._counted = (0, 1)

    def rewritten(self) -> str:
        """Return the text with a name in place of each expression of an f-string."""
        return "".join(self._pieces())

    def _pieces(self) -> Iterator[str]:
        at = 0
        while found := _START.search(self.text, at):
            if not found["quote"]:
                yield self.text[at : found.end()]
                at = found.end()
                continue
            yield self.text[at : found.start()]
            yield found["prefix"].replace("t", "f").replace("T", "f") + found["quote"]
            pieces: list[str] = []
            self.lost = 0
            at = self._body(found.end(), found["quote"], "r" in found["prefix"].lower(), pieces)
            yield "".join(pieces) + "\\\n" * self.lost
        yield self.text[at:]

    def _fail(self, at: int, message: str) -> SyntaxError:
        return SyntaxError(message, (None, self._line(at), None, None))

    def _line(self, at: int) -> int:
        """Return the line of a place; places come in order but for a few, so each stretch is counted once."""
        before, line = self._counted if self._counted[0] <= at else (0, 1)
        self._counted = (at, line + self.text.count("\n", before, at))
        return self._counted[1]

    def _body(self, at: int, quote: str, raw: bool, out: list[str]) -> int:
        """Read an f-string from behind its opening quote, write it to `out`, return where it ends."""
        text, start = self.text, at
        stop = re.compile(rf"{quote}|[{{}}\\]|\n")
        while found := stop.search(text, at):
            here = found.start()
            if found[0] == quote:
                out.append(text[start : found.end()])
                return found.end()
            if found[0] == "\n" and len(quote) == 1:
                break
            if found[0] == "\\":
                named = not raw and text.startswith("N{", here + 1)
                escaped = text[here + 1 : here + 2] in ('"', "'", "\\", "\n")
                at = (text.find("}", here) + 1 or len(text)) if named else here + 1 + escaped
            elif found[0] == "{" and not text.startswith("{{", here):
                out.append(text[start:here])
                at = start = self._field(here, quote, out)
            else:
                at = found.end() + (text[here : here + 2] == "{{")
        raise self._fail(start, "f-string: unterminated")

    def _field(self, at: int, quote: str, out: list[str]) -> int:
        """Read one field from its opening brace, write it with a name for its expression, return where it ends."""
        text, start = self.text, at + 1
        end, debug = self._expression_end(start)
        number = len(self.fields)
        self.fields.append((self._line(start), text[start:end]))
        self.lost += text.count("\n", start, end)
        at = end
        if debug:
            at = start_of_rest = end + 1
            while text[at : at + 1].isspace():
                at += 1
            self.lost += text.count("\n", start_of_rest, at)
        out.append(f"{{{_NAME}{number}")
        if text[at : at + 1] == "!":
            out.append(text[at : at + 2])
            at += 2
            while text[at : at + 1].isspace():
                at += 1
        if text[at : at + 1] == ":":
            at = self._format(at + 1, quote, out)
        if text[at : at + 1] != "}":
            raise self._fail(start, "f-string: expecting '}'")
        out.append("}")
        return at + 1

    def _format(self, at: int, quote: str, out: list[str]) -> int:
        """Read a format from behind its colon, fields in it too; return where the brace is that ends it."""
        text, start = self.text, at
        out.append(":")
        stop = re.compile(rf"{quote}|[{{}}]")
        while found := stop.search(text, at):
            out.append(text[start : found.start()].replace("\n", ""))
            self.lost += text.count("\n", start, found.start())
            if found[0] != "{":
                return found.start()
            at = start = self._field(found.start(), quote, out)
        raise self._fail(start, "f-string: unterminated")

    def _expression_end(self, at: int) -> tuple[int, bool]:
        """Return where the expression of a field ends, and whether an `=` follows that asks for its text."""
        text, deep, start = self.text, 0, at
        while found := _INSIDE.search(text, at):
            what, here = found[0], found.start()
            at = found.end()
            if what[-1] in "\"'#":
                at = self._skipped(here)
            elif what in "([{":
                deep += 1
            elif deep and what in ")]}":
                deep -= 1
            elif deep or what == "\n":
                continue
            elif what in "!=" and text.startswith("=", at):
                at += 1
            elif what == "=":
                if text[here - 1] not in "<>!=" and re.compile(r"\s*[!:}]").match(text, at):
                    return here, True
            else:
                return here, False
        raise self._fail(start, "f-string: unterminated")

    def _skipped(self, at: int) -> int:
        """Return where the string or comment ends that begins at `at`; of an f-string its fields are skipped too."""
        found = _START.match(self.text, at)
        if found is None:  # letters before a quote that are no prefix
            raise self._fail(at, "f-string: invalid syntax")
        if not found["quote"]:
            return found.end()
        kept, lost = len(self.fields), self.lost
        end = self._body(found.end(), found["quote"], "r" in found["prefix"].lower(), [])
        del self.fields[kept:]
        self.lost = lost
        return end


def _without_types(text: str) -> str:
    """Return a text without the parameters of PEP 695 and the word `type` of its statements."""
    hidden = re.sub(rf"{STRING}|#[^\n]*+", lambda found: re.sub(r"[^\n]", "_", found[0]), text, flags=re.DOTALL)
    cuts = [(found.start(1), found.end(1)) for found in _TYPE.finditer(hidden)]
    starts = [found.end() for found in _PARAMETERS.finditer(hidden)]
    starts += [hidden.index("[", end) for _, end in cuts if re.compile(r"\w+[ \t]*\[").match(hidden, end)]
    cuts += [(start, _closing(hidden, start)) for start in starts]
    for start, end in sorted(cuts, reverse=True):
        text = text[:start] + "\\\n" * text.count("\n", start, end) + text[end:]
    return text


def _closing(hidden: str, at: int) -> int:
    """Return where the bracket ends that opens at `at`."""
    deep = 0
    for found in re.compile(r"[\[\](){}]").finditer(hidden, at):
        deep += 1 if found[0] in "([{" else -1
        if deep == 0:
            return found.end()
    return at
