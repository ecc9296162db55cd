"""Canonical JSON: one text per value, so that equal values have equal digests.

Anything whose text could differ between processes or machines (sets, paths, arrays, callables, NaN) is refused
rather than stringified: a key that silently contained `<object at 0x7f..>` would never be hit again.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def to_json(value: object, where: str = "value") -> Json:
    """Return `value` as plain JSON data (tuples become lists); raise TypeError or ValueError on anything else."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{where} is {value}; a key holds finite numbers only. Give a finite number.")
        return value
    if isinstance(value, Mapping):
        for name in value:
            if not isinstance(name, str):
                raise TypeError(f"{where} has the key {name!r} of type {type(name).__name__}; keys must be str.")
        return {name: to_json(item, f"{where}.{name}") for name, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [to_json(item, f"{where}[{i}]") for i, item in enumerate(value)]
    raise TypeError(
        f"{where} is a {type(value).__name__}, which has no canonical JSON. "
        "Allowed: None, bool, int, finite float, str, list, tuple, dict. Convert it first (a path or array: its sha256)."
    )


def canonical_json(value: object) -> str:
    """Return the one JSON text of `value`: keys sorted, no spaces, non-ASCII as is."""
    return json.dumps(to_json(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: object) -> str:
    """Return the sha256 (64 hex digits) of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value).encode("utf-8")).hexdigest()
