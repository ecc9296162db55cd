"""A study's result, trimmed to what its verdicts are computed from: shipped as JSON, and added to by `mulligan claims record`.

Values by arm and seed, the study's own settings, and where it ran. Verdicts are not kept: they are computed when read.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

from mulligan.core.config import parse_config
from mulligan.study.config import PRIMARY, StudyConfig
from mulligan.study.judge import Marks, judge
from mulligan.study.result import idle_arms

BITS = "bits per byte"


@dataclass(frozen=True)
class Recorded:
    """A study that ran, at one scale on one corpus. `metrics`: {name: {unit, illegal, values: {arm: {seed: value}}}}."""

    study: str
    scale: str
    corpus: str
    date: str
    hash: str
    environments: list[dict[str, Any]]
    config: dict[str, Any]
    levels: dict[str, dict[str, str]]
    reading: dict[str, Any]
    metrics: dict[str, dict[str, Any]]
    payload_bytes: dict[str, dict[str, int]]
    over_budget: list[str]
    idle: list[str]
    wrong_on_purpose: dict[str, Any]

    @cached_property
    def settings(self) -> StudyConfig:
        """The study's settings; ValueError where they are none."""
        return parse_config(StudyConfig, self.config, f"{self.name}: config")

    @property
    def name(self) -> str:
        """Its file's name, without .json."""
        return f"{self.study}-{self.scale}-{self.corpus}"

    @property
    def commits(self) -> str:
        """The commits that the cells were trained at, short; `+dirty` where the tree held changes."""
        whole = (str(found["commit"]).partition("+") for found in self.environments)
        return ", ".join(dict.fromkeys(f"{commit[:7]}{plus}{rest}" for commit, plus, rest in whole))

    def judged(self, metric: str) -> dict[str, Any]:
        """Return contrasts, effects and verdicts of one metric, by the engine that judges studies, corrected as there."""
        known = self.metrics[metric]
        values = {arm: {int(seed): value for seed, value in runs.items()} for arm, runs in known["values"].items()}
        marks = Marks(frozenset(self.over_budget), tuple(known["illegal"]), frozenset(self.idle))
        return judge(self.settings, self.levels, values, marks, judged=known["unit"] == BITS)


def trim(result: Mapping[str, Any], study: str, scale: str, corpus: str, date: str) -> Recorded:
    """Return what is kept of a study's `result.json`; ValueError where a cell is not done or a name is no name."""
    for what, text in (("--scale", scale), ("--corpus", corpus)):
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", text):
            raise ValueError(f"{what} {text}: give small letters, digits and dashes, such as wikipedia.")
    if not re.fullmatch(r"\d{4}-\d\d-\d\d", date):
        raise ValueError(f"--date {date}: give the day it ran, such as 2026-11-22.")
    undone = [f"{cell['arm']}, seed {cell['seed']}: {cell['status']}" for cell in result["cells"] if cell["status"] != "done"]
    if undone:
        raise ValueError(f"{study}: {len(undone)} of {len(result['cells'])} cells have no value ({undone[0]}). Run them first.")
    metrics = {PRIMARY: result["primary"], **{metric["name"]: metric for metric in result["secondary"]}}
    payload: dict[str, dict[str, int]] = {}
    for cell in result["cells"]:
        if cell["artifact"]["payload_bytes"] is not None:
            payload.setdefault(cell["arm"], {})[str(cell["seed"])] = cell["artifact"]["payload_bytes"]
    address = result["cells"][0].get("address") or {}
    kept = ("scored_tokens", "total_bytes", "bytes_kind", "validation_documents")
    return Recorded(
        study,
        scale,
        corpus,
        date,
        result["hash"],
        result["environments"],
        result["study"],
        {arm["name"]: arm["levels"] for arm in result["arms"]},
        {name: address[name] for name in kept if name in address},
        {
            name: {"unit": metric["unit"], "illegal": metric.get("illegal", []), "values": metric["values"]}
            for name, metric in metrics.items()
        },
        payload,
        result["primary"]["over_budget"],
        sorted(idle_arms(result["cells"], result["baseline"])),
        result["primary"]["wrong_on_purpose"],
    )


def write(recorded: Recorded, folder: Path) -> Path:
    """Write a recorded result into the folder and return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{recorded.name}.json"
    path.write_text(json.dumps(asdict(recorded), indent=1, ensure_ascii=False) + "\n", "utf-8")
    return path


def read_recorded(folder: Path | None = None) -> tuple[Recorded, ...]:
    """Return the recorded results of a folder (None: the shipped ones), by name; ValueError where a file is none."""
    folder = folder or shipped_folder()
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            recorded = Recorded(**json.loads(path.read_text("utf-8")))
        except (ValueError, TypeError) as error:
            raise ValueError(f"{path}: no recorded result ({error}). Write it by `mulligan claims record`.") from None
        if path.stem != recorded.name:
            raise ValueError(f"{path}: it holds {recorded.name}, and a file is called as what it holds.")
        found.append(recorded)
    return tuple(found)


def shipped_folder() -> Path:
    """Return the folder of the recorded results that ship with the package."""
    return Path(str(resources.files("mulligan.claims").joinpath("results")))
