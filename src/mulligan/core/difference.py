"""Where two pieces of nested JSON data differ, leaf by leaf; lists of tables are compared by what the tables say.

A table that is inserted among others shifts them, and is the only difference that is told.
"""

from collections.abc import Callable, Iterator
from difflib import SequenceMatcher
from typing import Any

from mulligan.core.canonical import Json

Pair = tuple[Json, Json]


def difference(one: Json, other: Json) -> dict[str, Pair]:
    """Return {dotted path: (here, there)} for the leaves in which two nested JSON values differ; None where absent.

    Of a list of tables: `list.2` was removed, `list.+2` was added (its number there), `list.2.place` moved, and
    `list.2.name` is a change of the table that has the number 2 here.
    """
    return dict(_differences(one, other, ""))


def flatten(data: Json, prefix: str = "") -> dict[str, Json]:
    """Return the leaves of nested JSON data by dotted path; list items by number."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else None
    if items is None:
        return {prefix: data}
    leaves: dict[str, Json] = {}
    for name, item in items:
        leaves.update(flatten(item, f"{prefix}.{name}" if prefix else str(name)))
    return leaves


def _differences(here: Json, there: Json, path: str) -> Iterator[tuple[str, Pair]]:
    if isinstance(here, dict) and isinstance(there, dict):
        for name in [*here, *(name for name in there if name not in here)]:
            yield from _differences(here.get(name), there.get(name), f"{path}.{name}" if path else name)
    elif _is_tables(here) and _is_tables(there):
        yield from _of_tables(here, there, path)
    elif here != there:
        left, right = flatten(here, path), flatten(there, path)
        for name in [*left, *(name for name in right if name not in left)]:
            if left.get(name) != right.get(name):
                yield name, (left.get(name), right.get(name))


def _is_tables(data: Json) -> bool:
    return isinstance(data, list) and all(isinstance(item, dict) for item in data)


def _of_tables(here: Any, there: Any, path: str) -> Iterator[tuple[str, Pair]]:
    pairs = _pairs(here, there)
    by_place_there = sorted(pairs, key=pairs.__getitem__)
    blocks = SequenceMatcher(None, sorted(pairs), by_place_there, autojunk=False).get_matching_blocks()
    in_order = {i for block in blocks for i in sorted(pairs)[block.a : block.a + block.size]}
    for i, table in enumerate(here):
        if i not in pairs:
            yield f"{path}.{i}", (table, None)
            continue
        if i not in in_order:
            yield f"{path}.{i}.place", (i, pairs[i])
        yield from _differences(table, there[pairs[i]], f"{path}.{i}")
    for j, table in enumerate(there):
        if j not in pairs.values():
            yield f"{path}.+{j}", (None, table)


def _pairs(here: list[Any], there: list[Any]) -> dict[int, int]:
    """Return {place here: place there} of the tables that are one: equal, else of one name, else of one content."""
    pairs: dict[int, int] = {}
    nearest = sorted(((i, j) for i in range(len(here)) for j in range(len(there))), key=lambda pair: abs(pair[0] - pair[1]))
    alike: list[Callable[[int, int], bool]] = [
        lambda i, j: here[i] == there[j],
        lambda i, j: _name(here[i]) is not None and _name(here[i]) == _name(there[j]),
        lambda i, j: _content(here[i]) == _content(there[j]),
    ]
    for is_one in alike:
        for i, j in nearest:
            if i not in pairs and j not in pairs.values() and is_one(i, j):
                pairs[i] = j
    return pairs


def _name(table: dict[str, Json]) -> Json:
    """Return what a table is about: the tensors that it matches, else its kind."""
    return table.get("match", table.get("kind"))


def _content(table: dict[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in table.items() if name != ("match" if "match" in table else "kind")}
