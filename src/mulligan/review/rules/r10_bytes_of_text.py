"""More bytes than the text has

What it finds
    A score whose nats per token and bits per byte, read from a log or from submission.json, imply more bytes than the
    validation text has: tokens x nats / (ln 2 x bits per byte), tokens as the log counts them. Where no log counts them:
    more bytes per token than the published tokenization that the folder names has.
Why it matters
    Bits per byte divide by the bytes of the text, which do not depend on the tokenizer. Whatever counts more of them, by a
    wrong table, by a constant or by counting a transformed text, reports too low a number.
Example
    61,022,075 tokens, `val_loss:1.9270 val_bpb:0.9485`: 178,900,000 bytes, and the text has 151,080,891.
What it cannot see
    A count that is too low, a part of the text that is reported as the whole, and logs that were edited.
Source
    Rule R10; the text of 50,000 documents has 151,080,891 bytes.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mulligan.review.finding import Finding, NotChecked
from mulligan.review.subject import Subject

CODE = "R10"
TEXT_BYTES = 151_080_891
MORE = 1.01
"""How many times the bytes may be exceeded by rounding and by tokens that are left out."""
PUBLISHED = {1024: 2.4359, 4096: 3.3198, 8192: 3.7267}
"""Bytes per token of the published tokenizations, by their number of pieces."""
NEAR = 0.01
MORE_BY_NAME = 1.1
"""The same where the tokens are not counted: the first documents alone have up to 6 percent more bytes per token."""
FEWEST_TOKENS = 1_000_000
MOST_LOG_BYTES = 8 << 20
PAIR = re.compile(r"val_loss\s*[:=]\s*(\d+\.\d{3,})\D.*?val_bpb\s*[:=]\s*(\d+\.\d{3,})")
TOKENS = re.compile(r"\bval\w*(?:[^\n]*?\s|_)tokens\s*[:=]\s*(\d[\d,]*)")
NAMED = re.compile(r"fineweb(?:10B_sp|_)(\d+)(?:_bpe)?")


@dataclass(frozen=True)
class Reading:
    """One score. `ratio`: the fewest bytes per token that its digits allow."""

    ratio: float
    file: str
    line: int | None


def check(subject: Subject) -> Iterator[Finding | NotChecked]:
    """Yield the score that implies the fewest bytes, where those are too many still."""
    folder = subject.folder.folder
    texts = {path.relative_to(folder).as_posix(): text for path in subject.folder.files if (text := _log(path))}
    readings = [reading for file, text in texts.items() for reading in _readings(file, text)]
    readings = readings or _stated(folder / "submission.json")
    if not readings:
        yield NotChecked(
            CODE, "neither a log nor submission.json gives nats per token beside bits per byte: the bytes they imply"
        )
        return
    lowest = min(readings, key=lambda reading: reading.ratio)  # a line may pair a mixture's bits with the network's nats
    counts = {file: tokens for file, text in texts.items() if (tokens := _tokens(text))}
    tokens = counts.get(lowest.file) or max(counts.values(), default=None)
    yield from _counted(lowest, tokens) if tokens else _by_name(subject, lowest, list(texts.values()))


def _counted(reading: Reading, tokens: int) -> Iterator[Finding]:
    implied = tokens * reading.ratio
    if implied > MORE * TEXT_BYTES:
        message = (
            f"{tokens:,} tokens with this loss and score have {implied:,.0f} bytes, {implied / TEXT_BYTES:.3f} times the "
            f"validation text's {TEXT_BYTES:,}: bytes are counted that it does not have, or only a part of it was scored"
        )
        yield Finding(CODE, "byte_count", "violation", reading.file, reading.line, message)


def _by_name(subject: Subject, reading: Reading, texts: list[str]) -> Iterator[Finding]:
    named = {int(size) for text in [*(source.text for source in subject.sources), *texts] for size in NAMED.findall(text)}
    most = max((PUBLISHED[size] for size in named if size in PUBLISHED), default=None)
    known = any(abs(reading.ratio / ratio - 1) < NEAR for ratio in PUBLISHED.values())  # another one, which the settings name
    if most is not None and named <= PUBLISHED.keys() and reading.ratio > MORE_BY_NAME * most and not known:
        message = (
            f"this loss and score imply {reading.ratio:.3f} bytes per token; of the tokenizations that are named here, the one "
            f"with the most has {most:.3f}"
        )
        yield Finding(CODE, "byte_count", "violation", reading.file, reading.line, message)


def _readings(file: str, text: str) -> Iterator[Reading]:
    for number, line in enumerate(text.splitlines(), 1):
        found = PAIR.search(line) if "val_bpb" in line else None
        if found and (ratio := _ratio(found[1], found[2])):
            yield Reading(ratio, file, number)


def _ratio(nats: str, bits: str) -> float | None:
    """Return the fewest bytes per token that two printed numbers allow; None where they have too few digits to tell."""
    loss, score = float(nats), float(bits)
    halves = [0.5 * 10.0 ** -len(number.partition(".")[2]) for number in (nats, bits)]
    if score < 100 * halves[1] or loss < 100 * halves[0]:
        return None
    return (loss - halves[0]) / math.log(2) / (score + halves[1])


def _stated(path: Path) -> list[Reading]:
    try:
        about = json.loads(path.read_text("utf-8"))
        pair = about["val_loss"], about["val_bpb"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []
    if not all(isinstance(one, (int, float)) for one in pair):
        return []
    ratio = _ratio(*(repr(float(one)) for one in pair))
    return [Reading(ratio, path.name, None)] if ratio else []


def _tokens(text: str) -> int | None:
    counts = [int(found.replace(",", "")) for found in TOKENS.findall(text)]
    return max((count for count in counts if count >= FEWEST_TOKENS), default=None)


def _log(path: Path) -> str:
    if path.suffix not in (".log", ".txt") or path.name == "requirements.txt" or path.stat().st_size > MOST_LOG_BYTES:
        return ""
    return path.read_text("utf-8", errors="replace")
