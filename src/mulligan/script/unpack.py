"""The Python text that packed bytes hold, found without running what would unpack them, in bounded time and memory."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mulligan.script.codec import Codec, Filters, codecs_for, from_text
from mulligan.script.scan import MOST_TEXT, MOST_TOKENS
from mulligan.script.source import UnreadError

MOST_WRAPS = 6
"""Codecs one around the other in one literal."""
MOST_UNPACKED = 64_000_000
"""Bytes that come out of all literals and layers of one script."""
MOST_TRIED = 20_000
"""Literals and texts within them of one script that are tried."""
_PROBE = 512
_SAYS = re.compile(
    rb"(?m)(?:^|[;:])[ \t]*(?:import[ \t]+\w|from[ \t]+[\w.]+[ \t]+import\b|def[ \t]+\w+[ \t]*[\[(]|class[ \t]+\w+[ \t]*[:(\[])"
    rb"|\bexec[ \t]*\(|\b__import__\b"
)


@dataclass
class Budget:
    """What reading one script may still cost."""

    unpacked: int = MOST_UNPACKED
    tried: int = MOST_TRIED
    tokens: int = MOST_TOKENS * 4 // 3
    texts: int = 100

    def pay(self, name: str, cost: int) -> None:
        """Take `cost` from what is left; UnreadError where that was not enough."""
        left = getattr(self, name) - cost
        setattr(self, name, max(left, 0))
        if left < 0:
            raise UnreadError(f"this and what was read before take more than the bound on {name}; it was not read further")


def says_python(data: bytes | str) -> bool:
    """Say whether text may be Python that does something: it imports, defines or executes."""
    return _SAYS.search(data if isinstance(data, bytes) else data.encode("utf-8", "replace")) is not None


def unpacked(data: bytes, budget: Budget, filters: Sequence[Filters] = ()) -> str | None:
    """Return the Python text that bytes hold under at least one codec, None where they hold none; UnreadError of a bomb."""
    todo = [(data, 0)]
    while todo:
        data, wraps = todo.pop(0)
        budget.pay("tried", 1)
        for inner in (*_decompressed(data, budget, filters), *from_text(data)):
            if says_python(inner) and (text := _text(inner)) is not None:
                return text
            if wraps + 1 < MOST_WRAPS and len(inner) > 32:
                todo.append((inner, wraps + 1))
    return None


def _decompressed(data: bytes, budget: Budget, filters: Sequence[Filters]) -> list[bytes]:
    found = []
    for codec in codecs_for(data, filters):
        head = _decoded(codec, data, _PROBE)
        if not head or not (codec.magic or _likely(head)):
            continue
        whole = _decoded(codec, data, MOST_TEXT + 1)
        budget.pay("unpacked", len(whole))
        if len(whole) > MOST_TEXT:
            raise UnreadError(f"unpacks ({codec.name}) to more than {MOST_TEXT:,} bytes; it was not read")
        found.append(whole)
    return found


def _decoded(codec: Codec, data: bytes, most: int) -> bytes:
    try:
        return codec.decode(data, most)
    except Exception:  # each library has errors of its own; what cannot be decoded is not of this codec
        return b""


def _likely(head: bytes) -> bool:
    """Say whether what came out of a codec that takes anything is text, or the bytes of a codec that marks its own."""
    if any(codec.magic for codec in codecs_for(head)) and len(head) > 32:
        return True
    return _text(head, whole=False) is not None and b"\0" not in head


def _text(data: bytes, whole: bool = True) -> str | None:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        cut = not whole and error.start >= len(data) - 3 and error.start > 0
        return data[: error.start].decode("utf-8") if cut else None
