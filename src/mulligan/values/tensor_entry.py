"""One tensor of the container's table, its limits, and the groups that tensors of one role form."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mulligan.numerics.grid import rows_of

KINDS = ("int", "fp16", "fp32")
BITS: dict[str, Sequence[int]] = {"int": range(2, 9), "fp16": (16,), "fp32": (32,)}
MAX_NAME_BYTES = 0xFFFF
MAX_DIMENSIONS = 8
MAX_ELEMENTS = 1 << 40
SHORT_GROUP = 4096
"""A group of a correction's codes may be so long, or as long as they are."""


@dataclass(frozen=True)
class FactorEntry:
    """One factor of a low-rank correction: bits of a code, codes to a scale."""

    bits: int
    group_size: int


@dataclass(frozen=True)
class CorrectionEntry:
    """A low-rank correction: left (rows, rank) and right (rank, cols)."""

    rank: int
    left: FactorEntry
    right: FactorEntry


@dataclass(frozen=True)
class TensorEntry:
    """One tensor of the table: `kind` is one of KINDS, `bits` one of its BITS. ValueError past a limit."""

    name: str
    kind: str
    bits: int
    shape: tuple[int, ...]
    one_scale: bool = False
    rotation_seed: int | None = None
    correction: CorrectionEntry | None = None

    def __post_init__(self) -> None:
        name = f"{self.name[:80]!r}"
        if len(self.name.encode("utf-8")) > MAX_NAME_BYTES or len(self.shape) > MAX_DIMENSIONS:
            raise ValueError(f"{name}: a name has {MAX_NAME_BYTES} bytes at most, a shape {MAX_DIMENSIONS} dimensions")
        if self.bits not in BITS[self.kind]:
            raise ValueError(f"{name} has {self.bits} bits, being of kind {self.kind}")
        # Zeros set aside: a dimension of 0 must not let the others be of any size.
        if math.prod(max(size, 1) for size in self.shape) > MAX_ELEMENTS:
            raise ValueError(f"{name} has shape {self.shape}: more than {MAX_ELEMENTS:,} elements")
        if self.correction and len(self.shape) != 2:
            raise ValueError(f"{name} has a correction and is no matrix")
        for factor, (rows, cols) in self.factors.values():
            num_codes = max(rows, 1) * max(cols, 1)
            # A group is spread over its codes when it is read: no longer than they are.
            if factor.bits not in BITS["int"] or not 1 <= factor.group_size <= max(num_codes, SHORT_GROUP):
                raise ValueError(f"{name} has a correction of {factor.bits} bits in groups of {factor.group_size:,}")
            if num_codes > MAX_ELEMENTS:
                raise ValueError(f"{name} has a correction of {rows} x {cols}: more than {MAX_ELEMENTS:,} elements")

    @property
    def num_elements(self) -> int:
        """Product of the shape."""
        return math.prod(self.shape)

    @property
    def num_scales(self) -> int:
        """float16 scales of an int tensor, not those of its correction: one per row of a matrix, else one.

        None where one float32 scale serves the whole tensor, and for the other kinds.
        """
        return rows_of(self.shape)[0] if self.kind == "int" and not self.one_scale else 0

    @property
    def factors(self) -> dict[str, tuple[FactorEntry, tuple[int, int]]]:
        """The factors of the correction with their shapes, by side; empty without one."""
        if self.correction is None:
            return {}
        rank = self.correction.rank
        return {
            "left": (self.correction.left, (self.shape[0], rank)),
            "right": (self.correction.right, (rank, self.shape[1])),
        }


def role(name: str) -> str:
    """Return the name with each run of digits folded to `*`: what tensors of all layers have in common."""
    return re.sub(r"[0-9]+", "*", name)


def grouped(names: Iterable[str]) -> list[str]:
    """Return names in the container's order: those of one role lie together, by their numbers."""
    return sorted(names, key=lambda name: (role(name), [int(digits) for digits in re.findall(r"[0-9]+", name)], name))


def groups_of(entries: Iterable[TensorEntry]) -> dict[str, list[tuple[str, str]]]:
    """Return (name, side) of all codes by group: a role, or the `left` or `right` factors of a role's corrections."""
    groups: dict[str, list[tuple[str, str]]] = {}
    ints = [entry for entry in entries if entry.kind == "int"]
    for side in ("", "left", "right"):
        for entry in ints:
            if not side or entry.correction:
                groups.setdefault(f"{role(entry.name)} {side}".rstrip(), []).append((entry.name, side))
    return groups
