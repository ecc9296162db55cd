"""Reads what a record states of itself: the figures of its submission.json and of its README's tables, with their lines."""

import dataclasses
import json
import re
from collections.abc import Iterator
from typing import Any

from mulligan.records.table import Row

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"(\s*:)?|-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false|null|NaN|-?Infinity|[{}\[\],]')
SEED_KEY = re.compile(r"^(?:seed_?)?(\d+)$", re.IGNORECASE)
NOT_A_SCORE = re.compile(
    r"delta|std|gain|gap|diff|(?:^|_)base|compar|(?:^|_)vs|sota|p_value|reference|method|best", re.IGNORECASE
)
KEYS = {
    "bits_per_byte": r"^(?:mean_)?(?:val_)?bpb(?:_mean|_exact)?$",
    "nats_per_token": r"^(?:mean_)?val_loss(?:_nats|_mean|_exact)?$",
    "total_bytes": r"^(?:bytes_total|total_bytes|artifact_bytes|artifact_size_bytes|submission_bytes|artifact_size)$",
    "code_bytes": r"^(?:bytes_code|code_bytes)$",
    "payload_bytes": r"^(?:bytes_model\w*|model_bytes)$",
    "steps": r"^(?:steps|step_stop|train_steps)$",
    "milliseconds_per_step": r"^(?:step_avg_ms|ms_per_step)$",
    "train_seconds": r"^train_time_s(?:econds)?$",
}
ABOUT = {"author", "github_id", "date", "name", "run_name", "track", "blurb", "submission_type"}
HEADINGS = {  # first match
    "seed": r"^seed$",
    "": r"gain|delta|δ|diff|\bstd\b|gap|\bvs\b|\bvalid\b|time|p-?value",
    "milliseconds_per_step": r"ms ?/ ?step|step[_ ]avg|step time",
    "steps": r"^steps?$",
    "bits_per_byte": r"bpb|bpp|^sliding",
    "nats_per_token": r"loss|nats",
    "code_bytes": r"^code",
    "total_bytes": r"artifact|size|bytes|submission|^total",
}
CELL = re.compile(r"^(~?)\s*(\d[\d,]*(?:\.\d+)?)\s*(MB|KB|K|ms|B|bytes)?$")
PER_UNIT = {"MB": 1e6, "KB": 1e3, "K": 1e3}
HEADLINE = re.compile(r"(?:val_bpb|bpb)\W{1,12}(\d\.\d{3,8})\b|\b(\d\.\d{3,8})\**\s*(?:val_)?bpb\b", re.IGNORECASE)
HEADLINE_LINES = 20
LEAST_SCORE = 0.5
"""Bits per byte below it are differences."""


def read_submission(file: str, text: str) -> list[Row]:
    """Return the figures and facts of a submission.json; ValueError (with its place) where it is no JSON."""
    leaves = list(json_leaves(text))
    inside = {path[:-1]: value for path, value, _, _ in leaves if path[-1:] == ("seed",) and len(path) > 2}
    rows = []
    for path, value, written, line in leaves:
        label, key = ".".join(map(str, path)), str(path[-1]).lower() if path else ""
        row = Row("stated", "", text=written, reading=label, seed=_seed(path, inside), file=file, line=line)
        if len(path) == 2 and path[0] == "seeds" and isinstance(value, int):
            rows.append(dataclasses.replace(row, name="seed", value=value, seed=value))
        elif len(path) == 1 and key in ABOUT:
            rows.append(Row("about", key, file=file, line=line, text=str(value)))
        elif isinstance(value, int | float) and not isinstance(value, bool) and (name := _name(label, key, value)):
            rows.append(dataclasses.replace(row, name=name, value=float(value)))
    return rows


def _name(label: str, key: str, value: float) -> str:
    """Return what a number of a submission.json is; "" where it is none of ours."""
    if NOT_A_SCORE.search(label):
        return ""
    is_score = "bpb" in key or (SEED_KEY.match(key) and LEAST_SCORE < value < 5)
    return next((name for name, pattern in KEYS.items() if re.search(pattern, key)), "bits_per_byte" if is_score else "")


def json_leaves(text: str) -> Iterator[tuple[tuple[Any, ...], Any, str, int]]:
    """Yield (path, value, as written, line) of every number, string, true, false and null of a JSON text."""
    json.loads(text)
    path: list[Any] = []
    line, at = 1, 0
    for token in TOKEN.finditer(text):
        line, at = line + text.count("\n", at, token.start()), token.start()
        written = token[0]
        if written in "{[":
            path.append(None if written == "{" else 0)
        elif written in "}]":
            path.pop()
        elif written == ",":
            path[-1] = path[-1] + 1 if isinstance(path[-1], int) else path[-1]
        elif token[1]:
            path[-1] = json.loads(written[: -len(token[1])])
        else:
            yield tuple(path), json.loads(written), written, line


def read_readme(file: str, text: str) -> list[Row]:
    """Return the headline score of a README and the figures of its tables that have a column of seeds."""
    rows = []
    lines = text.splitlines()
    for number, line in enumerate(lines[:HEADLINE_LINES], 1):
        found = HEADLINE.search(line) if line.startswith(("#", "**")) else None
        if found and float(found[1] or found[2]) > LEAST_SCORE:
            written = found[1] or found[2]
            rows.append(Row("stated", "bits_per_byte", float(written), written, "headline", file=file, line=number))
            break
    names: list[str] = []
    headings: list[str] = []
    for number, line in enumerate(lines, 1):
        cells = [cell.strip().strip("*`").strip() for cell in line.strip().strip("|").split("|")]
        if not line.strip().startswith("|"):
            headings = []
        elif not headings:
            headings, names = cells, [_heading(cell) for cell in cells]
        elif "seed" in names and len(cells) > names.index("seed") and cells[names.index("seed")].isdigit():
            seed = int(cells[names.index("seed")])
            for cell, name, heading in zip(cells, names, headings, strict=False):
                if name not in ("", "seed") and (found := CELL.match(cell)):
                    value = float(found[2].replace(",", "")) * PER_UNIT.get(found[3] or "", 1)
                    rows.append(Row("stated", name, value, cell, heading, seed=seed, file=file, line=number))
    return rows


def resolution(written: str) -> float:
    """Return half a unit of the last digit of a number as it is written; 1 % of it where a ~ stands before it."""
    found = CELL.match(written)
    if not found:
        return 0.0
    number = found[2].replace(",", "")
    scale = PER_UNIT.get(found[3] or "", 1)
    return float(number) * scale / 100 if found[1] else 0.5 * scale * 10.0 ** -len(number.partition(".")[2])


def agrees(stated: Row, value: float | None, slack: float = 1.0) -> bool:
    """Say whether a value is the stated one at its digits; `slack`: how often half a unit, more where it was rounded before."""
    if stated.value is None or value is None:
        return False
    return abs(stated.value - value) <= slack * resolution(stated.text) * (1 + 1e-9) + 1e-12


def _heading(text: str) -> str:
    return next((name for name, pattern in HEADINGS.items() if re.search(pattern, text.lower())), "")


def _seed(path: tuple[Any, ...], inside: dict[tuple[Any, ...], Any]) -> int | None:
    for end in range(len(path), 0, -1):
        if isinstance(found := inside.get(path[:end]), int):
            return found
        if isinstance(path[end - 1], str) and (key := SEED_KEY.match(path[end - 1])):
            return int(key[1])
    return None
