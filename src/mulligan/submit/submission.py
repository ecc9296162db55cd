"""submission.json: what it holds, as the models from which the published schema (`schema.json`) is made. Torch-free.

Required is what every merged record of the challenge gives; the rest is checked where it is there, and a field of somebody's
own is let through. A study adds `study`: its arms, and what was found of each, as numbers.
"""

import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

SCHEMA = "schema.json"
Track = Literal["record", "non-record"]
TRACKS: tuple[Track, ...] = ("record", "non-record")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False, extra="allow")


class SeedResult(_Part):
    """One seed's run: scores, bytes of artifact and code, training steps, seconds, and the file that is its log."""

    val_bpb: float | None = Field(default=None, gt=0)
    val_loss: float | None = Field(default=None, gt=0)
    artifact_bytes: int | None = Field(default=None, ge=1)
    bytes_total: int | None = Field(default=None, ge=1)
    steps: int | None = Field(default=None, ge=0)
    train_seconds: float | None = Field(default=None, ge=0)
    eval_seconds: float | None = Field(default=None, ge=0)
    log: str | None = None


class ArmResult(_Part):
    """One arm of a study: its levels, how its recipe differs from the baseline's, its logs by seed, its scores by seed.

    `recipe_sha256` is that of the recipe's canonical JSON (fields that are off left out), which each log names too.
    """

    name: str
    recipe_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    levels: dict[str, str]
    difference: dict[str, list[Any]]
    legal: bool
    fits: bool | None
    val_bpb: dict[str, float]
    logs: dict[str, str]


class StudyFinding(_Part):
    """A verdict: on an arm against the baseline, or on an effect; estimate and interval in bits per byte (lower is better)."""

    name: str
    verdict: str
    text: str
    estimate_bpb: float | None
    low_bpb: float | None
    high_bpb: float | None
    n: int
    p: float | None
    corrected_p: float | None


class Study(_Part):
    """A study's question, how it was asked, its arms, and what was found."""

    question: str
    hypothesis: str
    phase: str
    hash: str
    metric: str
    margin_bpb: float
    alpha: float
    correction: str
    baseline: str
    claimed_arm: str | None
    arms: list[ArmResult] = Field(min_length=1)
    findings: list[StudyFinding]


class Submission(_Part):
    """A submission.json. `val_bpb`, `val_loss`: means over seeds; `bytes_total`: artifact and code of the largest seed."""

    author: str
    github_id: str
    name: str = Field(min_length=1)
    blurb: str = ""
    date: str = Field(pattern=r"^\d{4}-\d{2}-\d{2}")
    track: str | None = None
    val_bpb: float = Field(gt=0)
    val_loss: float | None = Field(default=None, gt=0)
    val_bpb_std: float | None = Field(default=None, ge=0)
    bytes_total: int | None = Field(default=None, ge=1)
    bytes_code: int | None = Field(default=None, ge=1)
    seeds: list[int] | None = None
    seed_results: dict[str, SeedResult] | None = None
    recipe_sha256: str | None = None
    code_sha256: str | None = None
    study: Study | None = None


def read_submission(text: str) -> Submission:
    """Return what a submission.json says; ValueError with one sentence for everything that is wrong."""
    try:
        data = json.loads(text)
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(data, dict):
        raise ValueError(f"a table is needed, and it is a {type(data).__name__}")
    try:
        return Submission.model_validate(data)
    except ValidationError as error:
        raise ValueError("; ".join(_said(item) for item in error.errors()[:8])) from None


def _said(item: Any) -> str:
    path = ".".join(map(str, item["loc"]))
    given = "" if item["type"] == "missing" else f" = {str(item['input'])[:60]!r}"
    return f"{path}{given}: {item['msg'][0].lower()}{item['msg'][1:]}"


def schema_text() -> str:
    """Return the published schema (JSON Schema, draft 2020-12)."""
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **Submission.model_json_schema()}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def shipped_schema() -> str:
    """Return the text of the schema as it ships."""
    return (resources.files("mulligan.submit") / SCHEMA).read_text("utf-8")


def write_submission(folder: Path, data: dict[str, Any]) -> None:
    """Write submission.json; ValueError where it would not pass its own schema. Fields that are None are left out."""
    text = json.dumps({name: value for name, value in data.items() if value is not None}, indent=2, ensure_ascii=False)
    read_submission(text)
    (folder / "submission.json").write_text(text + "\n", "utf-8")


def mean(values: Sequence[float]) -> float:
    """Return a mean to the 8 digits of the logs."""
    return round(sum(values) / len(values), 8)
