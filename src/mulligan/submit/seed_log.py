"""The log of one seed: what the script that we build writes, and as much as other people's logs say. Torch-free.

A line of ours names the recipe and the code that ran, and the artifact's digest; who has no such lines, whose log says
nothing of these. Names, scores and sizes are read by `engine/challenge_log.py`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mulligan.engine.challenge_log import read_log

FINAL = "final_exact"
RECIPE = re.compile(r"^recipe sha256:([0-9a-f]{64}) seed:(\d+)", re.M)
CODE = re.compile(r"^code form:(\S+) bytes:(\d+)(?: sha256:([0-9a-f]{64}))?", re.M)
ARTIFACT = re.compile(r"^artifact bytes:(\d+) sha256:([0-9a-f]{64})", re.M)
TRAINED = re.compile(r"^train_seconds:(\d+(?:\.\d+)?) steps:(\d+)", re.M)
CALIBRATED = re.compile(r"^calibrate_seconds:(\d+(?:\.\d+)?)", re.M)
PACKED = re.compile(r"^pack_seconds:(\d+(?:\.\d+)?)", re.M)
TRAIN_TIME = re.compile(r"train_time:\s*(\d+(?:\.\d+)?)\s*ms")
EVAL_TIME = re.compile(r"^(.*?)\s*val_loss:.*eval_time:\s*(\d+(?:\.\d+)?)\s*ms", re.M)
TOTAL_EVAL = re.compile(r"^total_eval_time:\s*(\d+(?:\.\d+)?)\s*s", re.M)
SEED = re.compile(r"^\s*seed:\s*(\d+)\s*$", re.M)
SEED_OF_NAME = re.compile(r"seed[_-]?(\d+)|(\d+)$")
OTHER_WEIGHTS = re.compile(r"diagnostic|pre-?quant|^raw|^averaged", re.I)
"""Readings of something else than the packed artifact: the evaluation that is timed does without them."""


@dataclass(frozen=True, eq=False)
class SeedLog:
    """What one log says; None where it does not. `readings`: {name: (nats per token, bits per byte)} in order of the log."""

    path: Path
    seed: int | None
    recipe_sha256: str | None
    code_form: str | None
    code_bytes: int | None
    code_sha256: str | None
    artifact_bytes: int | None
    artifact_sha256: str | None
    train_seconds: float | None
    step_seconds: float | None
    eval_seconds: float | None
    steps: int | None
    readings: Mapping[str, tuple[float, float]]

    @property
    def final(self) -> tuple[float, float] | None:
        """The score that is claimed, where a line of ours says which."""
        return self.readings.get(FINAL)

    @classmethod
    def parse(cls, path: Path, text: str) -> "SeedLog":
        """Read the text of a log; `path` gives the seed where the text does not."""
        said = read_log(text)
        recipe, code, artifact, trained = (pattern.search(text) for pattern in (RECIPE, CODE, ARTIFACT, TRAINED))
        calibrated = CALIBRATED.search(text)  # it reads training text, so it belongs to the training's time
        clocks = [float(found) / 1000 for found in TRAIN_TIME.findall(text)]
        return cls(
            path,
            int(recipe[2]) if recipe else _seed(path, text),
            recipe[1] if recipe else None,
            code[1] if code else None,
            int(code[2]) if code else said.get("code_bytes"),
            code[3] if code else None,
            int(artifact[1]) if artifact else said.get("payload_bytes"),
            artifact[2] if artifact else None,
            max([*clocks, *([float(trained[1]) + float(calibrated[1] if calibrated else 0)] if trained else [])], default=None),
            None if said["milliseconds_per_step"] is None else said["milliseconds_per_step"] / 1000,
            _eval_seconds(text),
            int(trained[2]) if trained else said["steps"],
            _readings(said),
        )


def _readings(said: Mapping[str, Any]) -> dict[str, tuple[float, float]]:
    both = {name: (found["nats_per_token"], found["bits_per_byte"]) for name, found in said["readings"].items()}
    return {name: pair for name, pair in both.items() if None not in pair}


def _eval_seconds(text: str) -> float | None:
    """Return the seconds of packing and of all readings of the artifact, or what the log gives as their sum if more."""
    of_artifact = [float(ms) / 1000 for name, ms in EVAL_TIME.findall(text) if not OTHER_WEIGHTS.search(name)]
    totals = [float(seconds) for seconds in TOTAL_EVAL.findall(text)]
    packed = PACKED.search(text)  # no third phase: who makes the artifact after training does so before it is scored
    own = [sum(of_artifact) + float(packed[1] if packed else 0)] if of_artifact else []
    return max([*own, *totals], default=None)


def _seed(path: Path, text: str) -> int | None:
    found = SEED.search(text) or SEED_OF_NAME.search(path.stem)
    return int(found[found.lastindex or 1]) if found else None


def is_log(path: Path, text: str) -> bool:
    """Say whether a file is the log of a training: it has a reading or a loss, and is neither a table nor code."""
    if path.suffix not in (".log", ".txt") or path.name == "requirements.txt":
        return False
    said = read_log(text)
    return bool(said["readings"] or said["curve"] or "train_loss:" in text)
