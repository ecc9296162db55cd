"""Configs of the pack stage, torch-free: which codec, at which level."""

from typing import Annotated, Literal

from pydantic import Field

from mulligan.core.config import FrozenConfig, lever_field

VERSION = 2


class Zlib(FrozenConfig):
    """DEFLATE (RFC 1950)."""

    kind: Literal["zlib"]
    level: int = Field(default=9, ge=0, le=9)


class Lzma(FrozenConfig):
    """LZMA2 in an .xz stream."""

    kind: Literal["lzma"]
    preset: int = Field(default=6, ge=0, le=9)
    extreme: bool = lever_field(False, off=False)
    """Try harder: preset 9 becomes 9e."""


class Zstd(FrozenConfig):
    """Zstandard (RFC 8878)."""

    kind: Literal["zstd"]
    level: int = Field(default=22, ge=1, le=22)


class Brotli(FrozenConfig):
    """Brotli (RFC 7932)."""

    kind: Literal["brotli"]
    quality: int = Field(default=11, ge=0, le=11)


class Auto(FrozenConfig):
    """The smallest of all of them for each group of tensors, and of a range coder that models them (`pack/auto.py`)."""

    kind: Literal["auto"]


CodecConfig = Annotated[Zlib | Lzma | Zstd | Brotli | Auto, Field(discriminator="kind")]


class PackConfig(FrozenConfig):
    """How the artifact's bytes are compressed."""

    codec: CodecConfig
