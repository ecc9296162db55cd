"""Strings and bytes that a script writes in pieces, put together without running it; and the raw LZMA filters that it names."""

import ast
import lzma
from collections.abc import Callable, Iterator
from typing import Any

from mulligan.script.anatomy import MOST_DEPTH, Anatomy
from mulligan.script.codec import Filters
from mulligan.script.scan import MOST_TEXT

Value = str | bytes | int
MOST_STEPS = MOST_DEPTH
"""Operations one within the other."""
MOST_FOLDED = 32_000_000
"""Characters of all that is put together, in-between results too."""
_WORDS = {name: value for name, value in vars(lzma).items() if name.startswith(("FILTER_", "PRESET_", "MODE_", "MF_"))}


class Folder:
    """What expressions of literals come to. A name stands for what is assigned to it once, or once and then added to."""

    def __init__(self, anatomy: Anatomy) -> None:
        self.anatomy = anatomy
        self.named: dict[str, list[tuple[bool, ast.expr]]] = {}
        self.known: dict[str, Value | None] = {}
        self.left = MOST_FOLDED
        for node in anatomy.assigned:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if isinstance(target, ast.Name) and node.value is not None:
                    self.named.setdefault(target.id, []).append((isinstance(node, ast.AugAssign), node.value))

    def texts(self) -> Iterator[tuple[int, str | bytes]]:
        """Yield line and value of what is no literal but comes to one, the whole of a sum and not its parts."""
        calls = [call for call in self.anatomy.calls if _last(call.func) in _METHODS.keys() | _BYTES]
        inside: set[int] = set()
        for node in [*self.anatomy.sums, *calls]:
            if id(node) not in inside and isinstance(value := self.value(node), str | bytes):
                inside.update(id(part) for part in ast.walk(node))
                yield node.lineno, value
        for name, given in self.named.items():
            if given[-1][0] and isinstance(value := self.name(name), str | bytes):
                yield given[0][1].lineno, value

    def filters(self) -> list[Filters]:
        """Return the chains of LZMA filters that a call is given as literals."""
        nodes = [word.value for call in self.anatomy.calls for word in call.keywords if word.arg == "filters"]
        chains = [chain for node in nodes if (chain := self._chain(node))]
        return [chain for at, chain in enumerate(chains) if chain not in chains[:at]]

    def value(self, node: ast.expr, steps: int = 0) -> Value | None:
        """Return what an expression comes to, None where that is not plain from literals, or is too long."""
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, Value) else None
        fold = _FOLDS.get(node.__class__)
        if fold is None or steps > MOST_STEPS or self.left < 0:
            return None
        value = fold(self, node, steps + 1)
        if isinstance(value, str | bytes):
            self.left -= len(value)
        return value

    def name(self, name: str, steps: int = 0) -> Value | None:
        """Return what a name was given; None of one that is given something else later."""
        if name not in self.known:
            self.known[name] = None  # so that a name that is made of itself comes to an end
            given = self.named.get(name, [])
            whole = self.value(given[0][1], steps) if given and not given[0][0] else None
            for added, more in given[1:]:
                whole = _added(whole, self.value(more, steps)) if added and whole is not None else None
            self.known[name] = whole
        return self.known[name]

    def sum(self, node: ast.BinOp, steps: int) -> Value | None:
        """Return a sum of strings or bytes, or numbers or-ed together."""
        if not isinstance(node.op, ast.Add | ast.BitOr) or (left := self.value(node.left, steps)) is None:
            return None
        right = self.value(node.right, steps)
        if isinstance(node.op, ast.BitOr):
            return left | right if isinstance(left, int) and isinstance(right, int) else None
        return _added(left, right)

    def joined(self, node: ast.JoinedStr, steps: int) -> Value | None:
        """Return an f-string whose fields are plain."""
        values = [part.value if isinstance(part, ast.FormattedValue) else part for part in node.values]
        parts = [self.value(value, steps) for value in values]
        texts = [part for part in parts if isinstance(part, str)]
        return "".join(texts) if len(texts) == len(parts) and sum(map(len, texts)) <= MOST_TEXT else None

    def part(self, node: ast.Subscript, steps: int) -> Value | None:
        """Return a slice with plain bounds, such as one that turns a text around."""
        if not isinstance(node.slice, ast.Slice):
            return None
        whole = self.value(node.value, steps)
        bounds = [_number(bound) for bound in (node.slice.lower, node.slice.upper, node.slice.step)]
        return whole[slice(*bounds)] if isinstance(whole, str | bytes) and bounds[2] != 0 else None

    def call(self, node: ast.Call, steps: int) -> Value | None:
        """Return what a method of a string, or bytes of numbers, gives."""
        if isinstance(node.func, ast.Name) and node.func.id in _BYTES and len(node.args) == 1:
            return _of_numbers(node.args[0]) or self.value(node.args[0], steps)
        if _last(node.func) == "fromhex" and len(node.args) == 1:
            return self.value(node.args[0], steps)  # hexadecimal text is tried as such
        if not isinstance(node.func, ast.Attribute) or node.func.attr not in _METHODS:
            return None
        whole = self.value(node.func.value, steps)
        if not isinstance(whole, str | bytes):
            return None
        if node.func.attr == "join":
            items = node.args[0].elts if node.args and isinstance(node.args[0], ast.List | ast.Tuple) else []
            given = [self.value(item, steps) for item in items]
        else:
            given = [self.value(argument, steps) for argument in node.args]
        try:
            return _METHODS[node.func.attr](whole, given)
        except (TypeError, ValueError, IndexError, LookupError):
            return None

    def _chain(self, node: ast.expr) -> Filters | None:
        if isinstance(node, ast.Name) and len(given := self.named.get(node.id, [])) == 1:
            node = given[0][1]
        if not isinstance(node, ast.List | ast.Tuple):
            return None
        chain: list[dict[str, Any]] = []
        for item in node.elts:
            if not isinstance(item, ast.Dict):
                return None
            keys = [self.value(key) if key else None for key in item.keys]
            pairs = list(zip(keys, map(self.value, item.values), strict=True))
            if not all(isinstance(key, str) and isinstance(value, int) for key, value in pairs):
                return None
            chain.append({str(key): value for key, value in pairs})
        return chain or None


def _last(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _added(left: Value | None, right: Value | None) -> Value | None:
    for kind in (str, bytes):
        if isinstance(left, kind) and isinstance(right, kind) and len(left) + len(right) <= MOST_TEXT:
            return left + right  # type: ignore[operator]
    return None


def _number(node: ast.expr | None) -> int | None:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = _number(node.operand)
        return None if number is None else -number
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, int) else None


def _of_numbers(node: ast.expr) -> bytes | None:
    if not isinstance(node, ast.List | ast.Tuple):
        return None
    numbers = [item.value for item in node.elts if isinstance(item, ast.Constant) and isinstance(item.value, int)]
    fit = len(numbers) == len(node.elts) and all(0 <= number < 256 for number in numbers)
    return bytes(numbers) if fit else None


def _join(whole: Any, given: list[Any]) -> Value | None:
    return whole.join(given) if sum(map(len, given)) + len(whole) * len(given) <= MOST_TEXT else None


def _replace(whole: Any, given: list[Any]) -> Value | None:
    old, new = given
    return whole.replace(old, new) if len(whole) + whole.count(old) * len(new) <= MOST_TEXT else None


_BYTES = frozenset({"bytes", "bytearray", "fromhex"})
_METHODS: dict[str, Callable[[Any, list[Any]], Value | None]] = {
    "join": _join,
    "replace": _replace,
    "encode": lambda whole, given: whole.encode("utf-8" if not given else "latin-1" if "latin" in given[0] else "utf-8"),
    "decode": lambda whole, given: whole.decode("latin-1" if given and "latin" in given[0] else "utf-8"),
    "strip": lambda whole, given: whole.strip(*given),
    "removeprefix": lambda whole, given: whole.removeprefix(*given),
    "removesuffix": lambda whole, given: whole.removesuffix(*given),
}
_FOLDS: dict[type, Callable[[Folder, Any, int], Value | None]] = {
    ast.Name: lambda folder, node, steps: folder.name(node.id, steps),
    ast.BinOp: Folder.sum,
    ast.JoinedStr: Folder.joined,
    ast.Subscript: Folder.part,
    ast.Call: Folder.call,
    ast.Attribute: lambda _folder, node, _steps: _WORDS.get(node.attr),
}
