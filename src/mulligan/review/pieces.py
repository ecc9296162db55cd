"""A tokenizer of ten pieces, on which a script's table of bytes per token can be worked out without the script being run."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

MARK = "\u2581"
"""What stands for a space in a piece."""
UNKNOWN, BEGIN, END, UNUSED, BYTE, HIGH_BYTE, SPACE, WORD, PART, ACCENT = range(10)
PIECES = ("<unk>", "<s>", "</s>", "<unused>", "<0x0A>", "<0xE2>", MARK, MARK + "the", "ing", "\u00e9")
RIGHT = {BYTE: 1, HIGH_BYTE: 1, PART: 3, ACCENT: 2}
"""Bytes of the pieces that have one right answer, whoever adds the space."""


@dataclass(frozen=True)
class Tokenizer:
    """Answers what a SentencePiece processor is asked, under both of the library's spellings."""

    def method(self, name: str) -> Callable[..., Any] | None:
        """Return a method by its name; None where there is none."""
        return METHODS.get(name.replace("_", "").lower())


def _decode(ids: Any) -> str:
    ids = [ids] if isinstance(ids, int) else list(ids)
    data = b"".join(_raw(i) for i in ids if BYTE <= i < len(PIECES))
    text = data.decode("utf-8", errors="replace")
    return text.removeprefix(" ")


def _raw(i: int) -> bytes:
    i = i if i < len(PIECES) else UNUSED
    if i in (BYTE, HIGH_BYTE):
        return bytes([int(PIECES[i][3:5], 16)])
    return PIECES[i].replace(MARK, " ").encode("utf-8")


def _piece(i: Any) -> Any:
    return [_piece(one) for one in i] if isinstance(i, (list, tuple, range)) else PIECES[i if i < len(PIECES) else UNUSED]


METHODS: dict[str, Callable[..., Any]] = {
    "idtopiece": _piece,
    "piecetoid": lambda piece: PIECES.index(piece) if piece in PIECES else UNKNOWN,
    "vocabsize": lambda: len(PIECES),
    "getpiecesize": lambda: len(PIECES),
    "piecesize": lambda: len(PIECES),
    "iscontrol": lambda i: i in (BEGIN, END),
    "isunknown": lambda i: i == UNKNOWN,
    "isunused": lambda i: i == UNUSED or i >= len(PIECES),
    "isbyte": lambda i: i in (BYTE, HIGH_BYTE),
    "bosid": lambda: BEGIN,
    "eosid": lambda: END,
    "unkid": lambda: UNKNOWN,
    "padid": lambda: -1,
    "getscore": lambda i: -float(i),
    "decode": _decode,
    "decodeids": _decode,
}


def asks_for_pieces(name: str) -> bool:
    """Say whether a method's name is one by which pieces are read one by one."""
    return name.replace("_", "").lower() == "idtopiece"
