"""A stage call: which stage, with which config, on which inputs, with which seed. Its digest is the key of its value.

Every key is known before anything runs: an input that another stage makes enters by that stage's key, a file or
folder from outside by the sha256 of its bytes. Device, threads, paths and times never enter.
"""

from dataclasses import dataclass, field
from functools import cached_property

from mulligan.core.canonical import Json, digest


@dataclass(frozen=True)
class OutsideInput:
    """Something that no stage made: a corpus folder, a weights file. `sha256` is the digest of its bytes."""

    name: str
    sha256: str

    @property
    def key(self) -> str:
        """The digest under which it enters other keys."""
        return self.sha256


@dataclass(frozen=True)
class StageCall:
    """One pure function application; `config` is canonical JSON data, `seed` None where the stage reads none."""

    stage: str
    version: int
    config: dict[str, Json]
    inputs: tuple["StageCall | OutsideInput", ...] = ()
    seed: int | None = None
    hashed_on_read: bool = field(default=True, compare=False)

    @cached_property
    def header(self) -> dict[str, Json]:
        """What the key is the digest of."""
        header: dict[str, Json] = {
            "stage": self.stage,
            "version": self.version,
            "config": self.config,
            "inputs": [given.key for given in self.inputs],
        }
        if self.seed is not None:
            header["seed"] = self.seed
        return header

    @cached_property
    def key(self) -> str:
        """sha256 of the header's canonical JSON, 64 hex digits."""
        return digest(self.header)
