"""Text is parsed in its own grammar, whatever Python reads it, and its lines keep their numbers."""

import ast
import sys

import pytest

from mulligan.script.grammar import decoded, parsed
from mulligan.script.scan import tokens
from mulligan.script.source import UnreadError

NEWER = r'''
row = {"a": 1, "b": [1, 2]}
def first[T: (int, str), *Rest, **Args](one: T, more: list[T]) -> T:
    text = f"{row["a"]} then {row['b'][0]:>{row["a"]}} {"in " + f"{row["a"]!r:^{10}}"} {{kept}} {row=}"
    return text
type Pairs[K: int] = dict[K,
    list[K]]
type Plain = int
class Box[
    T,
](object):
    type Inner = int
    def shown(self): return f"{'\n'.join(str(v) for v in self)}"
long = f"""{
    row["a"]  # a brace } and a "quote
    + 2
} end {row["b"]!s}
"""
both = "one" f"{row["a"]}" 'two'
wide = f"{
    row['b']
}"
raw = rf"\d{row["a"]}\{row["b"]}" + f"\N{BULLET}{row["a"]}" if row["a"] != 1 else f"{(lambda q: q["a"])(row)}"
async def later():
    try:
        pass
    except* ValueError as error:
        return f'{await later():,.2f} {'a' if row else "b"} {row["a"] == 1} {row["a"]<=2} {row["b"][0:1]=:%H}'
type = 3
type = type + 1
match type:
    case {"a": found}: pass
last = t"{row["a"]}"
'''


def test_a_newer_grammar_is_parsed_line_for_line():
    tree = parsed(NEWER)
    lines = NEWER.split("\n")
    fields = [node.value for node in ast.walk(tree) if isinstance(node, ast.Subscript) and ast.unparse(node) == "row['a']"]
    assert sorted(node.lineno for node in fields) == [
        number + 1 for number, line in enumerate(lines) for _ in range(line.count('row["a"]'))
    ]
    assert [node.id for node in fields] == ["row"] * len(fields)
    places = {target.id: node.lineno for node in tree.body if isinstance(node, ast.Assign) for target in node.targets}
    assert {name: lines[line - 1].split(" =")[0] for name, line in places.items() if name not in ("Pairs", "Plain")} == {
        name: name for name in ("row", "long", "both", "wide", "raw", "type", "last")
    }
    assert "field_of" not in ast.unparse(tree)
    function = next(node for node in tree.body if isinstance(node, ast.FunctionDef))
    texts = [node.value for node in ast.walk(function) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    assert " {kept} " in texts
    assert ast.unparse(function.returns) == "T"


def test_what_this_python_parses_is_left_as_it_is():
    text = "x = f'{a!r:>{b}}'\nclass A(list[int]):\n    pass\n"
    assert ast.dump(parsed(text), include_attributes=True) == ast.dump(ast.parse(text), include_attributes=True)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("x = 1\ndef f(:\n", 2),
        ('y = f"{x["a"]}"\nx = 1\nprint "old"\n', 3),
        ('y = f"{x["a"]}"\n\nz = f"{x["a" b]}"\n', 3),
        ('y = f"{x["a"]}"\nz = f"{x["a"]"\n', 2),
        ('y = f"{x["a"]}"\nz = f"{}"\n', 2),
        ("def f[T(a):\n    pass\n", 1),
        ("type X[T = int\n", 1),
    ],
)
def test_what_no_python_parses_is_told_with_its_line(text, line):
    with pytest.raises(UnreadError) as caught:
        parsed(text)
    assert caught.value.line == line


@pytest.mark.parametrize(
    ("data", "line", "reason"),
    [
        (b"x = 1\ny = '\xff'\n", 2, "not utf-8"),
        (b"# coding: latin-1\ny = '\xe9'\n", None, ""),
        (b"# coding: utf-7\nx = 1\n", 1, "declares the encoding 'utf-7'"),
        (b"# coding: punycode\nx = 1\n", 1, "declares the encoding 'punycode'"),
        (b"# coding: nonsense\nx = 1\n", 1, "cannot be decoded"),
        ("x = 1\n".encode("utf-16"), 1, "cannot be decoded"),
        (b"\xef\xbb\xbfx = 1\r\ny = 2\r", None, ""),
    ],
)
def test_bytes_are_decoded_as_python_would_or_told(data, line, reason):
    if line is None:
        assert parsed(decoded(data)).body
        assert "\r" not in decoded(data)
        assert "\ufeff" not in decoded(data)
        return
    with pytest.raises(UnreadError, match=reason) as caught:
        decoded(data)
    assert caught.value.line == line


HOSTILE = {
    "null byte": ("x = 1\n\0\n", 2, "null byte"),
    "brackets": ("x = " + "(" * 50_000, None, "brackets nested"),
    "signs": ("x = " + "-" * 100_000 + "1", None, "nested too deeply"),
    "sums": ("x = " + "1 + " * 50_000 + "1", None, "nested too deeply"),
    "branches": ("if a: pass\n" + "elif a: pass\n" * 9_000, None, "nested too deeply"),
    "calls": ("x = a" + "()" * 40_000, None, "nested too deeply"),
    "dotted name": ("import a" + ".a" * 50_000, None, "more than 150 parts"),
    "tokens": ("x = [" + "a," * 160_000 + "]", None, "tokens"),
    "strings": ("x = (" + "'a' " * 310_000 + ")", None, "tokens"),
    "f-string": ("y = 1\nx = f'" + "{a}" * 6_000 + "'", 2, "braces"),
    "f-strings in newer grammar": ("type X = int\n" + ("x = f'" + "{a}" * 4_000 + "'\n") * 6, 7, "expressions in f-strings"),
    "nested f-strings": ('x = f"{"x"}' + "f'{" * 90 + "1" + "}'" * 90 + '"', None, "nested"),
    "indents": ("".join(" " * depth + "if a:\n" for depth in range(300)), 101, "indentation"),
    "digits": ("x = " + "9" * 100_000, 1, "does not parse"),
    "half a character": ("x = '\ud800'", None, "does not parse"),
    "size": ("#" * 8_000_001, None, "characters"),
}


def bounded(text):
    tokens(text)
    return parsed(text)


BOUNDS_OF_OUR_OWN = {"f-strings in newer grammar", "nested f-strings"} if sys.version_info >= (3, 12) else set()
"""What a Python with that grammar parses itself."""


@pytest.mark.parametrize("kind", sorted(HOSTILE.keys() - BOUNDS_OF_OUR_OWN))
def test_hostile_text_is_a_message(kind):
    text, line, reason = HOSTILE[kind]
    with pytest.raises(UnreadError, match=reason) as caught:
        bounded(text)
    assert caught.value.line == line


def test_brackets_in_strings_and_comments_do_not_count():
    text = "x = '" + "(" * 500 + "' # " + "[" * 500 + '\ny = """' + "{" * 500 + "\n" + "({[" * 99 + '"""\n'
    assert tokens(text) < 20
    assert len(parsed(text).body) == 2
