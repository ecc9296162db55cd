"""The values of small pure expressions, worked out from their syntax: nothing of a submission is executed.

Only what is listed here is known: numbers, text, lists, tables, a tokenizer. Anything else is `OPAQUE`, and where an answer
hangs on it `CannotTellError` is raised. Steps, numbers and lengths are bounded.
"""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

from mulligan.review.pieces import PIECES, Tokenizer
from mulligan.review.syntax import Function, last_name

MOST_STEPS = 400_000
MOST_ENTRIES = 1 << 18
MOST_TEXT = 64
MOST_NUMBER = 1 << 62


class CannotTellError(Exception):
    """What a value is hangs on something that is not known here."""


class Opaque:
    """A value of which nothing is known: a device, a dtype, a setting."""


OPAQUE = Opaque()


class Table(list[Any]):
    """An array of one dimension."""


OPERATORS: Mapping[type[ast.AST], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
    ast.In: lambda one, several: one in several,
    ast.NotIn: lambda one, several: one not in several,
}
FILLED: Mapping[str, Any] = {"zeros": 0, "ones": 1, "empty": 0, "full": None}
COPIES = frozenset({"tensor", "as_tensor", "asarray", "array", "from_numpy", "ascontiguousarray", "LongTensor", "IntTensor"})
CASTS = frozenset({"to", "cpu", "cuda", "numpy", "astype", "int", "long", "float", "bool", "half", "double"})
SAME = CASTS | {"copy", "clone", "contiguous", "detach", "tolist", "item"}
"""Methods that leave the values of an array as they are."""
PURE: Mapping[str, Callable[..., Any]] = {
    **{kind.__name__: kind for kind in (int, float, bool, str, bytes, list, tuple, dict, set, range, enumerate, zip)},
    **{function.__name__: function for function in (len, max, min, ord, sum, any, all, sorted, abs)},
    "isinstance": lambda *_: True,
    "print": lambda *_: None,
}
TEXT = frozenset({"startswith", "endswith", "replace"})
METHODS: Mapping[type[Any], frozenset[str]] = {
    str: TEXT
    | {"encode", "strip", "lstrip", "rstrip", "removeprefix", "removesuffix", "lower", "isspace", "count", "find", "split"},
    bytes: TEXT | {"decode"},
    list: frozenset({"append", "extend", "index", "count"}),
    dict: frozenset({"get", "items", "keys", "values"}),
    set: frozenset({"add"}),
}


class Expressions:
    """`functions`: those that may be called by name. `names`: constants of the modules. `here`: the names of the function."""

    def __init__(self, functions: Mapping[str, Function], names: Mapping[str, Any]) -> None:
        self.functions, self.names = functions, names
        self.here: dict[str, Any] = {}
        self.left = MOST_STEPS

    def call(self, node: Function, given: Mapping[str, Any]) -> Any:
        """Return what a function returns."""
        raise NotImplementedError

    def count(self) -> None:
        """Count one step."""
        self.left -= 1
        if self.left < 0:
            raise CannotTellError("it takes too many steps")

    def value(self, node: ast.expr) -> Any:
        """Return an expression's value; `OPAQUE` where nothing is known of it."""
        self.count()
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return self.here.get(name, self.names.get(name, OPAQUE))
            case ast.Attribute():
                return self.here.get(ast.unparse(node), OPAQUE)
            case ast.Tuple(elts=parts) | ast.List(elts=parts) | ast.Set(elts=parts):
                values = [one for part in parts for one in self._parts(part)]
                return {ast.Tuple: tuple, ast.List: list, ast.Set: set}[type(node)](values)
            case ast.Dict(keys=keys, values=values):
                return {self.value(key): self.value(one) for key, one in zip(keys, values, strict=True) if key is not None}
            case ast.Subscript(value=held, slice=index):
                return self.entry(self.value(held), self.value(index))
            case ast.Slice(lower=lower, upper=upper, step=step):
                return slice(*(None if part is None else self.number(self.value(part)) for part in (lower, upper, step)))
            case ast.Call():
                return self._called(node)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self.value(body if self.truth(self.value(test)) else orelse)
            case ast.NamedExpr(target=target, value=value):
                self.here[target.id] = found = self.value(value)
                return found
            case ast.GeneratorExp() | ast.ListComp():
                return self._gone_through(node.generators, node.elt)
            case ast.SetComp():
                return set(self._gone_through(node.generators, node.elt))
            case ast.DictComp(key=key, value=value):
                return dict(self._gone_through(node.generators, ast.Tuple([key, value], ast.Load())))
            case _:
                return self._operation(node)

    def _parts(self, part: ast.expr) -> list[Any]:
        return self.several(self.value(part.value)) if isinstance(part, ast.Starred) else [self.value(part)]

    def _operation(self, node: ast.expr) -> Any:
        match node:
            case ast.BinOp(left=left, op=op, right=right):
                return self.combined(op, self.value(left), self.value(right))
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return self.combined(op, self.value(left), self.value(right))
            case ast.Compare(left=left, ops=ops, comparators=several):
                values = [self.value(one) for one in (left, *several)]
                return all(self.truth(self.combined(op, *values[i : i + 2])) for i, op in enumerate(ops))
            case ast.BoolOp(op=op, values=several):
                for one in several:
                    found = self.value(one)
                    if self.truth(found) == isinstance(op, ast.Or):
                        break
                return found
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                found = self.value(operand)
                return OPAQUE if isinstance(found, Opaque) else not self.truth(found)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                found = self.value(operand)
                return -found if isinstance(found, (int, float)) else OPAQUE
            case _:
                return OPAQUE

    def _gone_through(self, generators: list[ast.comprehension], element: ast.expr) -> list[Any]:
        found: list[Any] = []
        for one in self.several(self.value(generators[0].iter)):
            self.assign(generators[0].target, one)
            if all(self.truth(self.value(test)) for test in generators[0].ifs):
                found += self._gone_through(generators[1:], element) if generators[1:] else [self.value(element)]
        return found

    def assign(self, target: ast.expr, value: Any) -> None:
        """Bind a name, an entry, or several of them."""
        match target:
            case ast.Name(id=name):
                self.here[name] = value
            case ast.Tuple(elts=targets) | ast.List(elts=targets):
                values = [OPAQUE] * len(targets) if isinstance(value, Opaque) else self.several(value)
                for one, other in zip(targets, values, strict=False):
                    self.assign(one, other)
            case ast.Subscript(value=held, slice=index):
                store(self.value(held), self.value(index), value)
            case ast.Attribute():
                self.here[ast.unparse(target)] = value
            case _:
                raise CannotTellError(f"an assignment to {type(target).__name__}")

    def several(self, value: Any) -> list[Any]:
        """Return the items of what can be gone through."""
        if isinstance(value, (list, tuple, range, str, bytes, set, dict, enumerate, zip, type({}.items()))):
            return list(sized(value))
        raise CannotTellError("what a loop goes through is not known")

    def truth(self, value: Any) -> bool:
        """Return whether a condition holds."""
        if isinstance(value, (Opaque, Table)):
            raise CannotTellError("a condition hangs on a setting")
        return bool(value)

    def number(self, value: Any) -> Any:
        """Return a value where a number is asked for: a setting is taken for the size of the vocabulary."""
        return len(PIECES) if isinstance(value, Opaque) else value

    def entry(self, held: Any, index: Any) -> Any:
        """Return `held[index]`."""
        if isinstance(held, Opaque) or isinstance(index, Opaque):
            return OPAQUE
        try:
            found = held[index]
        except (TypeError, IndexError, KeyError) as error:
            raise CannotTellError(str(error)) from error
        return Table(found) if isinstance(held, Table) and isinstance(index, slice) else found

    def combined(self, op: ast.AST, left: Any, right: Any) -> Any:
        """Return `left op right`."""
        known = OPERATORS.get(type(op))
        settings = [isinstance(one, Opaque) for one in (left, right)]
        if known is None or all(settings) or (any(settings) and isinstance(op, (ast.In, ast.NotIn))):
            return OPAQUE
        if not isinstance(op, (ast.Is, ast.IsNot)):
            left, right = self.number(left), self.number(right)
        _bounded(left, right, isinstance(op, ast.Mult))
        try:
            if isinstance(left, Table) or isinstance(right, Table):
                length = len(left if isinstance(left, Table) else right)
                spread = [one if isinstance(one, Table) else [one] * length for one in (left, right)]
                return Table(sized(known(one, other)) for one, other in zip(*spread, strict=True))
            return sized(known(left, right))
        except (TypeError, ValueError, ZeroDivisionError) as error:
            raise CannotTellError(str(error)) from error

    def _called(self, node: ast.Call) -> Any:
        name = last_name(node.func)
        if name in ("SentencePieceProcessor", "Tokenizer"):
            return Tokenizer()
        arguments = [self.value(one) for one in node.args if not isinstance(one, ast.Starred)]
        keywords = {one.arg: self.value(one.value) for one in node.keywords if one.arg}
        if isinstance(node.func, ast.Attribute):
            owner = self.value(node.func.value)
            if not isinstance(owner, Opaque):
                return self._method(owner, name, arguments, keywords)
        elif name in PURE and name not in self.functions:
            return self._pure(PURE[name], [self.number(one) for one in arguments], keywords)
        if name in FILLED or name in COPIES or name.endswith("_like"):
            return self._array(name.removesuffix("_like"), arguments, keywords)
        function = self.functions.get(name)
        if function is None:
            return OPAQUE
        names = [one.arg for one in (*function.args.posonlyargs, *function.args.args)]
        names = names[1:] if names[:1] == ["self"] else names
        return self.call(function, dict(zip(names, arguments, strict=False)) | keywords)

    def _method(self, owner: Any, name: str, arguments: list[Any], keywords: Mapping[str, Any]) -> Any:
        if isinstance(owner, Tokenizer):
            method = owner.method(name)
            if method is None or any(isinstance(one, Opaque) for one in arguments):
                raise CannotTellError(f"the tokenizer's answer to {name} is not known")
            return self._pure(method, arguments, {})
        if name in SAME and isinstance(owner, (Table, int, float)):
            return owner
        kind = next((kind for kind in METHODS if isinstance(owner, kind)), None)
        if kind is None or name not in METHODS[kind] or isinstance(owner, Table):
            return OPAQUE
        return self._pure(getattr(owner, name), arguments, keywords)

    def _pure(self, function: Callable[..., Any], arguments: list[Any], keywords: Mapping[str, Any]) -> Any:
        for one in (*arguments, getattr(function, "__self__", None)):
            self.left -= len(sized(one)) if hasattr(one, "__len__") else 1
        self.count()
        if function is bytes and arguments and isinstance(arguments[0], int):
            raise CannotTellError("bytes of a number")
        if getattr(function, "__name__", "") == "replace" and any(len(one) > MOST_TEXT for one in arguments[:2]):
            raise CannotTellError("a text is too long")
        try:
            return sized(function(*arguments, **keywords))
        except Exception as error:  # of the arguments, which are another's
            raise CannotTellError(str(error)) from error

    def _array(self, name: str, arguments: list[Any], keywords: Mapping[str, Any]) -> Any:
        if not arguments:
            return OPAQUE
        first = arguments[0]
        if name in COPIES:
            return Table(first) if isinstance(first, (list, tuple)) else OPAQUE
        if isinstance(first, (tuple, list)) and not isinstance(first, Table):
            first = first[0] if len(first) == 1 else None
        length = len(first) if isinstance(first, Table) else self.number(first)
        if not isinstance(length, int) or not 0 <= length <= MOST_ENTRIES:
            return OPAQUE
        fill = FILLED.get(name)
        if fill is None:
            fill = arguments[1] if len(arguments) > 1 else keywords.get("fill_value", OPAQUE)
        return Table([fill] * length)


def store(held: Any, index: Any, value: Any) -> None:
    """Write `held[index] = value`."""
    if isinstance(held, Opaque):
        return
    if isinstance(held, dict) and isinstance(index, (str, int)):
        held[index] = value
    elif isinstance(held, list) and isinstance(index, slice):
        for i, place in enumerate(range(*index.indices(len(held)))):
            held[place] = value[i] if isinstance(value, list) and i < len(value) else value
    elif isinstance(held, list) and isinstance(index, int) and -len(held) <= index < len(held):
        held[index] = value
    else:
        raise CannotTellError("an entry that cannot be found is written")


def sized(value: Any) -> Any:
    """Return a value; CannotTellError where it is too large to go on with."""
    try:
        if isinstance(value, (int, float)) and abs(value) > MOST_NUMBER:
            raise CannotTellError("a number is too large")
        if hasattr(value, "__len__") and len(value) > MOST_ENTRIES:
            raise CannotTellError("a text or a list is too long")
    except OverflowError as error:  # of a range that is longer than a length can be
        raise CannotTellError(str(error)) from error
    return value


def _bounded(left: Any, right: Any, product: bool) -> None:
    sizes = [len(one) if hasattr(one, "__len__") else abs(one) if isinstance(one, (int, float)) else 1 for one in (left, right)]
    if product and any(hasattr(one, "__len__") for one in (left, right)) and sizes[0] * sizes[1] > MOST_ENTRIES:
        raise CannotTellError("a text or a list is too long")
