"""What a script may change: cells, with a journal by which a branch is taken back and two branches are joined."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, Literal

from mulligan.review.flow.value import NONE, Place, Tags, Val, join

Kind = Literal["frame", "object", "module", "tensor", "list", "dict", "class", "library", "optimizer"]
GONE = ("return", "raise")
"""How a branch ends whose variables nobody sees afterwards."""
_numbers = itertools.count()


class Cell:
    """`tags`: of its content; `names`: attributes or variables; `element`: what its elements have in
    common; `loops`: running when it was made; `owners`: whose parameters an optimizer changes."""

    __slots__ = ("cls", "element", "kind", "loops", "names", "number", "owners", "parent", "place", "tags")

    def __init__(self, kind: Kind, place: Place = ("", 0), cls: Any = None, parent: Cell | None = None) -> None:
        self.kind, self.place, self.cls, self.parent = kind, place, cls, parent
        self.tags: Tags = NONE
        self.names: dict[Any, Val] = {}
        self.element: Val | None = None
        self.owners: frozenset[Cell] = frozenset()
        self.loops: tuple[int, ...] = ()
        self.number = next(_numbers)

    def __repr__(self) -> str:
        return f"<{self.kind} {self.number}>"


class Heap:
    """All changes go through here."""

    def __init__(self) -> None:
        self.journal: list[tuple[Cell, Any, Any]] = []
        self.branches = 0

    def _note(self, change: tuple[Cell, Any, Any]) -> None:
        """Keep what a change replaces, where a branch may have to be taken back."""
        if self.branches:
            self.journal.append(change)

    def set_tags(self, cell: Cell, tags: Tags) -> None:
        """Replace what is known of a cell's content."""
        if tags != cell.tags:
            self._note((cell, "tags", cell.tags))
            cell.tags = tags

    def add_tags(self, cell: Cell, tags: Tags) -> None:
        """Add to what is known of a cell's content."""
        if not tags <= cell.tags:
            self.set_tags(cell, cell.tags | tags)

    def set_element(self, cell: Cell, value: Val | None) -> None:
        """Replace what a cell's elements have in common."""
        self._note((cell, "element", cell.element))
        cell.element = value

    def add_element(self, cell: Cell, value: Val) -> None:
        """Put an element into a cell."""
        self.set_element(cell, value if cell.element is None else join([cell.element, value]))

    def set_owners(self, cell: Cell, owners: frozenset[Cell]) -> None:
        """Say whose parameters an optimizer changes."""
        self._note((cell, "owners", cell.owners))
        cell.owners = owners

    def set_name(self, cell: Cell, name: Any, value: Val) -> None:
        """Bind a variable or an attribute."""
        self._note((cell, ("name", name), cell.names.get(name)))
        cell.names[name] = value

    def branch(self, first: Callable[[], str], second: Callable[[], str], frame: Cell) -> tuple[str, str]:
        """Run two branches from the same state and join what they leave; of one that does not go on, `frame` is forgotten."""
        self.branches += 1
        try:
            return self._branch(first, second, frame)
        finally:
            self.branches -= 1
            if not self.branches:
                self.journal.clear()

    def _branch(self, first: Callable[[], str], second: Callable[[], str], frame: Cell) -> tuple[str, str]:
        mark = len(self.journal)
        status = first()
        left = self._take_back(mark)
        other = second()
        for (cell, field), value in left.items():
            if cell is frame and status in GONE:
                continue
            now = _get(cell, field)
            if other in GONE and status not in GONE and cell is frame:
                self._put(cell, field, value)
            else:
                self._put(cell, field, _joined(field, value, now))
        if other in GONE and status not in GONE:
            self._forget(mark, frame, set(left))
        return status, other

    def _forget(self, mark: int, frame: Cell, kept: set[tuple[Cell, Any]]) -> None:
        """Undo what a branch that did not go on did to variables of `frame` alone."""
        seen: set[Any] = set()
        for cell, field, old in self.journal[mark:]:
            if cell is frame and field not in seen and (cell, field) not in kept:
                seen.add(field)
                self._put(cell, field, old)

    def _take_back(self, mark: int) -> dict[tuple[Cell, Any], Any]:
        left: dict[tuple[Cell, Any], Any] = {}
        while len(self.journal) > mark:
            cell, field, old = self.journal.pop()
            left.setdefault((cell, field), _get(cell, field))
            _set(cell, field, old)
        return left

    def _put(self, cell: Cell, field: Any, value: Any) -> None:
        self._note((cell, field, _get(cell, field)))
        _set(cell, field, value)


def _get(cell: Cell, field: Any) -> Any:
    return cell.names.get(field[1]) if isinstance(field, tuple) else getattr(cell, field)


def _set(cell: Cell, field: Any, value: Any) -> None:
    if not isinstance(field, tuple):
        setattr(cell, field, value)
    elif value is None:
        cell.names.pop(field[1], None)
    else:
        cell.names[field[1]] = value


def _joined(field: Any, one: Any, other: Any) -> Any:
    if field in ("tags", "owners"):
        return one | other
    known = [value for value in (one, other) if value is not None]
    return join(known) if known else None
