"""What is known of a value: marks (which data it comes from, what it was fitted on), the cells it refers to, a constant.

Data is named by where it comes from and by the iterations of loops that it depends on: two slices that depend on different
iterations of one loop are different data.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from mulligan.review.flow.heap import Cell

Split = Literal["val", "train"]
Place = tuple[str, int]
"""File and line."""
How = Literal["gradient", "tensor", "counts"]
"""What was fitted: a network's parameters, a tensor made for it, a table of counts."""


@dataclass(frozen=True)
class Turn:
    """An iteration of a loop: `loop` is one execution of it, `number` counts from 1."""

    loop: int
    number: int


@dataclass(frozen=True)
class Cut:
    """One side of a position: what comes before it, or from it on."""

    name: str
    before: bool


@dataclass(frozen=True)
class Data:
    """Tokens of a split, as far as `turns` and `cuts` say which."""

    split: Split
    turns: frozenset[Turn] = frozenset()
    cuts: frozenset[Cut] = frozenset()


@dataclass(frozen=True)
class Fitted:
    """State that depends on data which was learned from, at a place. `loops`: those that were running then;
    `packed`: whether it was written into an artifact since; `guard`: the conditions under which it happened."""

    data: Data
    how: How
    place: Place
    loops: frozenset[int] = frozenset()
    packed: bool = False
    guard: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Fault:
    """A number that breaks a rule: `place` is the line that shows it. `cuts`: the part of a window for which it holds not."""

    rule: str
    category: str
    place: Place
    message: str
    cuts: frozenset[Cut] = frozenset()


@dataclass(frozen=True)
class Mixed:
    """Tokens were put together into one number at a line and column."""

    line: int
    column: int


@dataclass(frozen=True)
class Gated:
    """What a table says was taken or left by the kind of the target, at a place."""

    place: Place


@dataclass(frozen=True)
class Looked:
    """Read from an adaptive table at an index that holds the target; with `steps`, at one that was put together by these
    steps, of which it is not known whether it holds the target."""

    place: Place
    steps: frozenset[Mixed] | None = None


class Mark(enum.Enum):
    """What a value is, beside where it comes from."""

    GOLD = "targets"
    NEXT = "an index one further"
    PREDICTION = "a network's output"
    SCORE = "a loss against targets"
    BYTES = "text or bytes of tokens"
    MASK = "a comparison"
    EARLIER = "an index less something"
    NATIVE = "compiled code"
    STORED = "read from a file that is no token file"
    ANSWER = "whether a stored value is the target"
    BETTER = "which of two scores of a token is the better"
    BUDGET = "the limit of training's clock"
    RESERVED = "that limit, less a reserve"
    LENGTH = "a count of bytes per token"
    SPREAD = "a score divided among bytes"


Tag = Turn | Cut | Data | Fitted | Fault | Looked | Mixed | Gated | Mark
Tags = frozenset[Tag]
NONE: Tags = frozenset()
PER_TOKEN = (Mark.GOLD, Mark.NEXT, Mark.EARLIER, Mark.BYTES, Mark.MASK, Mark.LENGTH)


def learned(tags: Tags) -> Tags:
    """Return of what is known of weights only what they were fitted on."""
    return frozenset(tag for tag in tags if isinstance(tag, Fitted))


class Unknown:
    """No constant."""

    def __repr__(self) -> str:
        return "?"


UNKNOWN: Any = Unknown()


class Val:
    """Immutable. `items`: of a tuple; `calls`: functions and classes of the script; `library`: a dotted name outside of it;
    `text`: the literal parts of a string; `part`: a tensor inside of the cell that is referred to; `view`: which part of the
    content of a tensor is meant."""

    __slots__ = ("calls", "const", "items", "library", "part", "refs", "tags", "text", "view")

    def __init__(
        self,
        tags: Tags = NONE,
        refs: frozenset[Cell] = frozenset(),
        const: Any = UNKNOWN,
        items: tuple[Val, ...] | None = None,
        calls: tuple[Any, ...] = (),
        library: str = "",
        text: str = "",
        part: bool = False,
        view: frozenset[Turn | Cut] = frozenset(),
    ) -> None:
        self.tags, self.refs, self.const, self.items = tags, refs, const, items
        self.calls, self.library, self.text, self.part, self.view = calls, library, text, part, view

    def __repr__(self) -> str:
        return f"Val({set(self.tags) or ''} {self.const} {self.refs or ''} {self.library}{self.calls or ''})"

    @property
    def known(self) -> bool:
        """Whether it is a constant."""
        return self.const is not UNKNOWN

    def but(self, **changes: Any) -> Val:
        """Return a copy with changes."""
        found = {name: getattr(self, name) for name in self.__slots__}
        return Val(**{**found, **changes})

    def string(self) -> str:
        """Return what is known of it as text."""
        return self.const if isinstance(self.const, str) else self.text


MOST_TEXT = 2000
MOST_TAGS = 48


def join(values: Iterable[Val]) -> Val:
    """Return what holds of each of several values."""
    given = list(values)
    if not given:
        return Val()
    first = given[0]
    if all(value is first for value in given):
        return first
    tags, refs = frozenset[Tag]().union(*(v.tags for v in given)), frozenset["Cell"]().union(*(v.refs for v in given))
    same = all(v.known and type(v.const) is type(first.const) and v.const == first.const for v in given)
    there = [v for v in given if not (v.known and v.const is None)] or given
    widths = {len(v.items) if v.items is not None else None for v in there}
    items = None
    if len(widths) == 1 and there[0].items is not None:
        items = tuple(join(v.items[i] for v in there if v.items is not None) for i in range(len(there[0].items)))
    else:
        for value in given:
            if value.items:
                inner = join(value.items)
                tags, refs = tags | inner.tags, refs | inner.refs
    calls = tuple(dict.fromkeys(call for v in given for call in v.calls))
    text = "|".join(dict.fromkeys(v.string() for v in given if v.string()))[:MOST_TEXT]
    library = first.library if len({v.library for v in given}) == 1 else ""
    view = frozenset.intersection(*(v.view for v in given))
    return Val(tags, refs, first.const if same else UNKNOWN, items, calls, library, text, any(v.part for v in given), view)


def dated(tags: Tags, turns: Iterable[Turn]) -> Tags:
    """Return tags whose data also depends on iterations."""
    more = frozenset(turns)
    if not more:
        return tags
    return frozenset(Data(t.split, t.turns | more, t.cuts) if isinstance(t, Data) else t for t in tags)


def cut(tags: Tags, cuts: frozenset[Cut]) -> Tags:
    """Return what lies on one side of positions: of a fault that stems from the other side nothing is left."""
    if not cuts:
        return tags
    other = frozenset(Cut(one.name, not one.before) for one in cuts)
    kept = (t for t in tags if not (isinstance(t, Fault) and t.cuts & other))
    return frozenset(Data(t.split, t.turns, t.cuts | cuts) if isinstance(t, Data) else t for t in kept)


def viewed(tags: Tags, view: frozenset[Turn | Cut]) -> Tags:
    """Return what is known of a part of a tensor."""
    if not view:
        return tags
    cuts = frozenset(one for one in view if isinstance(one, Cut))
    return cut(dated(tags, (one for one in view if isinstance(one, Turn))), cuts)


def turns_of(tags: Tags) -> frozenset[Turn]:
    """Return the iterations that an index depends on."""
    return frozenset(t for t in tags if isinstance(t, Turn))


def settled(tags: Tags, running: frozenset[int]) -> Tags:
    """Return tags without the iterations of loops that have ended."""

    def settle(tag: Tag) -> Tag | None:
        if isinstance(tag, Turn):
            return tag if tag.loop in running else None
        if isinstance(tag, Data) and tag.turns:
            return Data(tag.split, frozenset(turn for turn in tag.turns if turn.loop in running), tag.cuts)
        return tag

    return frozenset(kept for tag in tags if (kept := settle(tag)) is not None)


def overlap(one: Data, other: Data, running: frozenset[int]) -> bool:
    """Say whether two may be the same tokens: not where they depend on different iterations of a loop that is running."""
    if one.split != other.split:
        return False
    for loop in running:
        here = {turn.number for turn in one.turns if turn.loop == loop}
        there = {turn.number for turn in other.turns if turn.loop == loop}
        if here and there and not here & there:
            return False
    return not any(Cut(mark.name, not mark.before) in other.cuts for mark in one.cuts)


SHARD = re.compile(r"[*]|\.bin|\.npy|\.parquet|\.jsonl|\.pt\b|fineweb|shard", re.I)
VALIDATION = re.compile(r"(?<![a-z])val(id(ation)?)?(?![a-z])", re.I)
TRAINING = re.compile(r"(?<![a-z])train(ing)?(?![a-z])", re.I)


def split_named(text: str) -> Tags:
    """Return the data whose files a text names."""
    if len(text) > 400 or "\n" in text or not SHARD.search(text):
        return NONE
    found: set[Tag] = set()
    if VALIDATION.search(text):
        found.add(Data("val"))
    elif TRAINING.search(text) and not text.endswith(".py"):
        found.add(Data("train"))
    return frozenset(found)
