"""The artifact: the packed bytes that are scored and counted, and how many of them each tensor costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch

from mulligan.core.canonical import Json, canonical_json
from mulligan.core.units import format_bytes
from mulligan.values.container import MAGIC as MAGIC
from mulligan.values.container import read_container, read_header
from mulligan.values.quantized import FLOAT_KINDS, Quantized, QuantizedTensor, describe

MAX_FILE_BYTES = 1 << 30
ATTRIBUTION = (
    "each section's compressed bytes are shared among its tensors: codes in proportion to the order-0 entropy of each "
    "tensor's codes, scales and floats in proportion to their raw bytes; container_bytes (header, table, sha256) is "
    "the rest"
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
        return read_container(self.payload)

    def summary(self) -> dict[str, Json]:
        """Return payload_bytes, codec, model, and per tensor kind, bits, shape and its share of the bytes.

        The tensors' `bytes` and `container_bytes` sum to payload_bytes; `attribution` says how they were shared.
        """
        header, quantized = read_header(self.payload), self.unpack()
        shares = _shared_bytes(quantized, header.stored_bytes)
        tensors: dict[str, Json] = {
            name: {**describe(tensor), "bytes": shares[name]} for name, tensor in quantized.tensors.items()
        }
        return {
            "payload_bytes": self.payload_bytes,
            "container_bytes": self.payload_bytes - sum(shares.values()),
            "codec": header.codec,
            "sections": dict(header.stored_bytes),
            "model": quantized.model,
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


def _shared_bytes(quantized: Quantized, stored_bytes: dict[str, int]) -> dict[str, int]:
    """Return each tensor's share of the data sections, in whole bytes that sum to the sections'."""
    shares = dict.fromkeys(quantized.tensors, 0)
    claims: dict[str, dict[str, float]] = {section: {} for section in stored_bytes}
    for name, tensor in quantized.tensors.items():
        if isinstance(tensor, QuantizedTensor):
            # The least claim of all, so that bytes of nothing but constant tensors find an owner too.
            claims["codes"][name] = entropy_bits(tensor.codes) + 1e-6 * tensor.codes.numel()
            claims["scale"][name] = tensor.scale.numel()
        else:
            claims[FLOAT_KINDS[tensor.dtype]][name] = tensor.numel()
    for section, claim in claims.items():
        for name, share in zip(claim, _split(stored_bytes[section], list(claim.values())), strict=True):
            shares[name] += share
    return shares


def entropy_bits(codes: torch.Tensor) -> float:
    """Return the order-0 entropy of int8 codes, in bits for the whole tensor: what a good coder needs, near enough."""
    counts = np.bincount(codes.numpy().view(np.uint8).ravel(), minlength=256)
    present = counts[counts > 0]
    return float(-(present * np.log2(present / max(counts.sum(), 1))).sum())


def _split(total: int, claims: Sequence[float]) -> list[int]:
    """Return whole shares of `total` in proportion to `claims`, summing to it exactly (rounded running sums)."""
    if not claims or not sum(claims):
        return [0] * len(claims)
    ends = np.rint(total * (np.cumsum(claims) / np.sum(claims))).astype(np.int64)
    ends[-1] = total
    return [int(share) for share in np.diff(ends, prepend=0)]
