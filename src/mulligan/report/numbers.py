"""Every number of a result as a tidy table: arm, seed, metric, value, unit, in full precision."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mulligan.reading import windows_text

Row = tuple[str, str, str, float | int, str]
COLUMNS = ("arm", "seed", "metric", "value", "unit")
_CONTRAST = ("estimate", "low", "high", "inner_low", "inner_high", "sd")
_READING = {
    "bits_per_byte": "bits per byte",
    "nats_per_token": "nats per token",
    "scored_tokens": "tokens",
    "total_bytes": "bytes",
}
_PLAIN = ("t", "df", "p", "n")


def study_rows(result: Mapping[str, Any]) -> list[Row]:
    """Return the rows of a study: values per cell, then contrasts and effects (no seed; an effect's name as arm)."""
    rows: list[Row] = []
    for metric in (result["primary"], *result["secondary"]):
        name = metric["name"] if metric is not result["primary"] else f"primary: {metric['name']}"
        for arm, values in metric["values"].items():
            rows += [(arm, seed, name, value, metric["unit"]) for seed, value in values.items()]
    for cell in result["cells"]:
        if cell["status"] == "done":
            rows += _cell_rows(cell["arm"], str(cell["seed"]), cell)
    for metric in (result["primary"], *result["secondary"]):
        name = metric["name"] if metric is not result["primary"] else f"primary: {metric['name']}"
        rows += _contrast_rows(metric, name)
    steps = result["steps"]
    rows += [("", "", f"steps {name}", value, "steps") for name, value in steps.items()]
    return rows


def _contrast_rows(metric: Mapping[str, Any], name: str) -> Iterator[Row]:
    effects = [effect for found in metric["effects"].values() for effect in found]
    for arm, found in [*metric["contrasts"].items(), *((effect["name"], effect) for effect in effects)]:
        for field in _CONTRAST:
            if found[field] is not None:
                yield arm, "", f"{name}: difference, {field}", found[field], metric["unit"]
        for field in _PLAIN:
            if found[field] is not None:
                yield arm, "", f"{name}: difference, {field}", found[field], ""
        for seed, value in zip(found["seeds"], found["differences"], strict=True):
            yield arm, str(seed), f"{name}: difference", value, metric["unit"]
    if metric["noise"] is not None:
        yield "", "", f"{name}: noise floor, sd", metric["noise"]["sd"], metric["unit"]


def run_rows(run: Mapping[str, Any]) -> list[Row]:
    """Return the rows of a single run."""
    return list(_cell_rows(run["recipe"], str(run["seed"]), run))


def _cell_rows(arm: str, seed: str, cell: Mapping[str, Any]) -> Iterator[Row]:
    for reading in cell["readings"]:
        address = reading["point"]
        if "windows" in reading:  # what a script logs has a name only
            address += f", {windows_text(reading)}, {reading['context_len']}, stride {reading['stride']}"
        for name, unit in _READING.items():
            if reading.get(name) is not None:
                yield arm, seed, f"reading: {address}: {name}", reading[name], unit
    for name in ("payload_bytes", "code_bytes", "total_bytes", "budget_bytes"):
        if cell["artifact"][name] is not None:
            yield arm, seed, f"artifact: {name}", cell["artifact"][name], "bytes"


def to_csv(rows: Sequence[Row]) -> str:
    """Return the rows as CSV text; Python's shortest decimals, which read back as the same float64."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((*row[:3], repr(row[3]), row[4]) for row in rows)
    return buffer.getvalue()
