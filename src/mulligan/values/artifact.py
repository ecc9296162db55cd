"""The artifact: the packed bytes that are scored and counted, and how many of them each tensor costs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mulligan.core.canonical import Json, canonical_json
from mulligan.core.units import format_bytes
from mulligan.values.container import MAGIC as MAGIC
from mulligan.values.container_reader import Reading, read_container, read_header
from mulligan.values.quantized import Quantized, describe
from mulligan.values.tensor_entry import groups_of
from mulligan.values.tensor_parts import Key, codes_of, float_parts
from mulligan.values.tensor_table import RANGE_CODER

MAX_FILE_BYTES = 1 << 30
ATTRIBUTION = (
    "each stream's stored bytes are shared among its tensors: codes of the range coder by their length in it, other codes in "
    "proportion to their order-0 entropy, scales and floats in proportion to their number; container_bytes (header, table, "
    "sha256) is the rest"
)


@dataclass(frozen=True)
class Artifact:
    """A whole container as bytes (docs/container-format.md). ValueError on construction if it is none or damaged."""

    payload: bytes

    def __post_init__(self) -> None:
        read_header(self.payload)

    @property
    def payload_bytes(self) -> int:
        """The size that counts against the budget, without code."""
        return len(self.payload)

    def unpack(self) -> Quantized:
        """Return what was packed, bit for bit, with an empty record; ValueError where the contents are malformed."""
        return read_container(self.payload).quantized

    def summary(self) -> dict[str, Json]:
        """Return payload_bytes, codec, model, the streams, and per group and per tensor how it is coded and its share.

        The tensors' `bytes` and `container_bytes` sum to payload_bytes; `attribution` says how they were shared.
        """
        reading = read_container(self.payload)
        table, shares = reading.table, _shared_bytes(reading)
        per_tensor = dict.fromkeys(reading.quantized.tensors, 0)
        for (name, _), _, share in shares:
            per_tensor[name] += share
        tensors: dict[str, Json] = {
            name: {**describe(tensor), "bytes": per_tensor[name]} for name, tensor in reading.quantized.tensors.items()
        }
        code_bytes = {key: share for key, section, share in shares if section == "codes"}
        groups: dict[str, Json] = {
            group: {
                "codec": coding.codec,
                "layout": "transposed" if coding.transposed else "row-major",
                "bytes": sum(code_bytes[key] for key in keys),
            }
            for (group, keys), coding in zip(groups_of(table.entries).items(), table.groups, strict=True)
        }
        streams: list[Json] = [
            {"section": stream.section, "codec": stream.codec, "bytes": stream.stored_bytes} for stream in table.streams
        ]
        codecs = dict.fromkeys([*(stream.codec for stream in table.streams), read_header(self.payload)[0]])
        return {
            "payload_bytes": self.payload_bytes,
            "container_bytes": self.payload_bytes - sum(per_tensor.values()),
            "codec": " + ".join(codecs),
            "streams": streams,
            "groups": groups,
            "model": table.model,
            "tensors": tensors,
            "attribution": ATTRIBUTION,
        }

    def save(self, folder: Path) -> None:
        """Write artifact.bin and summary.json."""
        summary = canonical_json(self.summary())
        (folder / "artifact.bin").write_bytes(self.payload)
        (folder / "summary.json").write_text(summary, "utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what `save` wrote."""
        return cls.from_file(folder / "artifact.bin")

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read an artifact that anybody may have made; ValueError names the file and what is wrong with it."""
        if path.stat().st_size > MAX_FILE_BYTES:
            raise ValueError(f"{path}: larger than {format_bytes(MAX_FILE_BYTES)}, the most that is read as an artifact.")
        with path.open("rb") as file:
            payload = file.read(len(MAGIC))
            payload += file.read() if payload == MAGIC else b""
        try:
            return cls(payload)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None


def _shared_bytes(reading: Reading) -> list[tuple[Key, str, int]]:
    """Return (key, section, bytes): each part's share of its stream, in whole bytes that sum to the streams'."""
    table, tensors = reading.table, reading.quantized.tensors
    claims: dict[tuple[str, str], dict[Key, float]] = {(stream.section, stream.codec): {} for stream in table.streams}
    codec_of = {stream.section: stream.codec for stream in table.streams}
    floats = list(float_parts(table.entries))
    for part in floats:
        claims.setdefault((part.section, codec_of.get(part.section, "")), {})[part.key] = math.prod(part.shape)
    for keys, coding in zip(groups_of(table.entries).values(), table.groups, strict=True):
        claim = claims.setdefault(("codes", coding.codec), {})
        for key in keys:
            codes = codes_of(key, tensors[key[0]])
            # The least claim of all, so that bytes of nothing but constant tensors find an owner too.
            bits = reading.bits[key] if coding.codec == RANGE_CODER else entropy_bits(codes)
            claim[key] = bits + 1e-6 * codes.size
    stored = {(stream.section, stream.codec): stream.stored_bytes for stream in table.streams}
    return [
        (key, section, share)
        for (section, codec), claim in claims.items()
        for key, share in zip(claim, _split(stored.get((section, codec), 0), list(claim.values())), strict=True)
    ]


def entropy_bits(codes: NDArray[np.int8]) -> float:
    """Return the order-0 entropy of int8 codes, in bits for the whole tensor: what a good coder needs, near enough."""
    counts = np.bincount(codes.view(np.uint8).ravel(), minlength=256)
    present = counts[counts > 0]
    return float(-(present * np.log2(present / max(counts.sum(), 1))).sum())


def _split(total: int, claims: Sequence[float]) -> list[int]:
    """Return whole shares of `total` in proportion to `claims`, summing to it exactly (rounded running sums)."""
    if not claims or not sum(claims):
        return [0] * len(claims)
    ends = np.rint(total * (np.cumsum(claims) / np.sum(claims))).astype(np.int64)
    ends[-1] = total
    return [int(share) for share in np.diff(ends, prepend=0)]
