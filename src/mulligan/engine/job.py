"""A job: one stage call together with what carrying it out takes. Torch-free: planning lays out jobs and runs none."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mulligan.core.config import FrozenConfig
from mulligan.engine.trajectory import Trajectory
from mulligan.store.stage_call import OutsideInput, StageCall
from mulligan.store.store import Store


@dataclass(frozen=True)
class Outside:
    """A file or folder that the user hands in, with the digest under which it enters keys."""

    path: Path
    call: OutsideInput


@dataclass(frozen=True)
class Job:
    """`sources`: what it reads, by role. `config`: the stage's own. `wanted`: run even when nothing else needs it."""

    name: str
    call: StageCall
    sources: Mapping[str, "Job | Outside"] = field(default_factory=dict)
    config: FrozenConfig | None = None
    trajectory: Trajectory | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    wanted: bool = True


def folder_of(source: Job | Outside, store: Store) -> Path:
    """Return where the value of `source` lies; its bytes are verified if it is in the store."""
    return source.path if isinstance(source, Outside) else store.open(source.call).folder


def corpus_at(folder: Path) -> Outside:
    """Return a prepared corpus as an input; it enters keys by the digest of its manifest. ValueError where there is none."""
    return Outside(folder, OutsideInput("corpus", _sha256(folder / "corpus.json", " Make one with `mulligan data prepare`.")))


def weights_at(file: Path) -> Outside:
    """Return a file of weights, or an artifact, as an input. ValueError where there is none."""
    return Outside(file, OutsideInput("weights", _sha256(file)))


def script_at(file: Path) -> Outside:
    """Return somebody's training script as an input. What it imports from beside it is not seen by keys."""
    return Outside(file, OutsideInput("script", _sha256(file)))


def _sha256(path: Path, hint: str = "") -> str:
    if not path.is_file():
        raise ValueError(f"{path}: no such file.{hint}")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
