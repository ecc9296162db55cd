"""Windows that are laid out document by document run on past the document's end, and count the next ones' tokens again.

What it finds       A loop over documents (start and length) that collects window starts, and a scorer that ends each window
                    at the stream's end where the document's belongs: `end = min(start + seq_len, total)`, `total` being the
                    number of all tokens.
Why it matters      A document shorter than the window is scored on into the next ones, with little context: those targets and
                    their bytes count several times, and the score is over another text.
Example             `for start, length in documents: windows.append((start + w, s))`, then `end = min(start + seq_len, total)`.
What it cannot see  Windows whose end is worked out otherwise than by a minimum, or in another function than their list;
                    whether a setting turns them off.
Source              Rule R10, coverage: every position is scored once. parameter-golf PR 199, whose null result on isolated
                    documents came of it.
"""

import ast
from collections.abc import Iterator

from mulligan.review.finding import Finding, NotChecked
from mulligan.review.subject import Subject

CODE = "R10"
STREAM_SIZES = frozenset({"numel", "size", "len"})
"""Calls by which the tokens of a whole stream are counted."""
Function = ast.FunctionDef | ast.AsyncFunctionDef


def check(subject: Subject) -> Iterator[Finding | NotChecked]:
    """Look at every function that lays out windows by document."""
    for source in subject.sources:
        for function in (node for node in ast.walk(source.tree) if isinstance(node, Function)):
            for end in overruns(function):
                message = f"`{ast.unparse(end)}` ends a document's window at the end of the stream: later documents count again"
                yield Finding(CODE, "byte_count", "violation", source.file, end.lineno, message)


def overruns(function: Function) -> Iterator[ast.Call]:
    """Yield the minimum that ends a document's window at the stream's end."""
    laid = set(_laid_by_document(function))
    if not laid:
        return
    totals = {name for name, value in _assigned(function) if _counts_a_stream(value)}
    drawn = _drawn(function, laid)
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "min" and len(node.args) == 2:
            sides = [_names(argument) for argument in node.args]
            for start, bound in (sides, sides[::-1]):
                if start & drawn and len(bound) == 1 and bound <= totals:
                    yield node


def _laid_by_document(function: Function) -> Iterator[str]:
    """Yield the lists that a loop over (start, length) fills with pairs of a start in the stream and something else.

    A list whose entries tell more, such as the document's end, is none.
    """
    for loop in (node for node in ast.walk(function) if isinstance(node, ast.For) and isinstance(node.target, ast.Tuple)):
        assert isinstance(loop.target, ast.Tuple)
        start = loop.target.elts[0]
        if len(loop.target.elts) != 2 or not isinstance(start, ast.Name):
            continue
        for node in ast.walk(loop):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "append"):
                continue
            entry, owner = node.args[0] if node.args else None, node.func.value
            if isinstance(owner, ast.Name) and isinstance(entry, ast.Tuple) and len(entry.elts) == 2:
                first = entry.elts[0]
                if isinstance(first, ast.BinOp) and isinstance(first.op, ast.Add) and start.id in _names(first):
                    yield owner.id


def _drawn(function: Function, laid: set[str]) -> set[str]:
    """Return the names that hold a window's start, drawn from one of the lists, from a part of it, or counted with it."""
    lists = set(laid)
    for name, value in _assigned(function):  # a part of a list, one after another in the order of the text
        if isinstance(value, ast.Subscript) and isinstance(value.slice, ast.Slice) and _names(value.value) & lists:
            lists.add(name)
    starts = set()
    for loop in (node for node in ast.walk(function) if isinstance(node, ast.For | ast.comprehension)):
        if not _names(loop.iter) & lists:
            continue
        pairs = [node for node in ast.walk(loop.target) if isinstance(node, ast.Tuple)]
        innermost = pairs[-1].elts if pairs else []
        if len(innermost) == 2 and isinstance(innermost[0], ast.Name):
            starts.add(innermost[0].id)
    return starts


def _assigned(function: Function) -> list[tuple[str, ast.expr]]:
    """Return (name, value) of every plain assignment, in the order of the text."""
    found = [
        (node.lineno, target.id, node.value)
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    ]
    return [(name, value) for _, name, value in sorted(found, key=lambda item: item[0])]


def _counts_a_stream(value: ast.expr) -> bool:
    """Say whether a value is the size of something, less one or not: `tokens.numel() - 1`, `len(tokens)`."""
    inner = value.left if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Sub) else value
    if not isinstance(inner, ast.Call):
        return False
    called = inner.func.attr if isinstance(inner.func, ast.Attribute) else getattr(inner.func, "id", "")
    return called in STREAM_SIZES


def _names(node: ast.AST) -> set[str]:
    return {found.id for found in ast.walk(node) if isinstance(found, ast.Name)}
