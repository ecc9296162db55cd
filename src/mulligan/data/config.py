"""Configs of the data stage, torch-free: where a corpus comes from. Paths bear no identity, so none stands here."""

from typing import Annotated, Literal

from pydantic import Field

from mulligan.core.config import FrozenConfig, lever_field

VERSION = 1


class EmbeddedData(FrozenConfig):
    """The documentation that ships with this Python, tokenized by a SentencePiece model of `vocab_size` trained on it.

    `validation_documents`: score the first N validation documents only (part of every score's address, of no training).
    """

    kind: Literal["embedded"]
    vocab_size: int = Field(default=1024, ge=300, le=65_536)
    validation_documents: int | None = lever_field(None, off=None, ge=1)


class PreparedData(FrozenConfig):
    """A corpus folder that the command is given (`--data DIR`); it enters keys by the digest of its manifest."""

    kind: Literal["prepared"]
    validation_documents: int | None = lever_field(None, off=None, ge=1)


DataConfig = Annotated[EmbeddedData | PreparedData, Field(discriminator="kind")]
