"""Checks of legality: an evaluator that breaks a rule by its name, then the judge on the artifact where it is at hand."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mulligan.audit.finding import Finding, finding, not_checked
from mulligan.core.canonical import digest
from mulligan.core.config import kind_of, parse_config
from mulligan.core.execution import Execution, Progress, no_progress
from mulligan.engine.job import Job, corpus_at, folder_of
from mulligan.evaluate.config import EvaluateConfig
from mulligan.flow import Road, lay_road
from mulligan.recipe import Recipe
from mulligan.report.recipe_text import value_text
from mulligan.store.store import Store
from mulligan.submit.submitted import Submitted

ARTIFACT = "artifact.bin"


@dataclass(frozen=True)
class AtHand:
    """What the judge may use: a store, and an artifact and the corpus that was scored where they were given.

    `execution` is called where the judge runs, since it imports torch.
    """

    store: Store
    artifact: Path | None = None
    data: Path | None = None
    execution: Callable[[], Execution] = Execution
    progress: Progress = no_progress

    def differs(self, sha256: str, meant: dict[str, Any] | None) -> str:
        """Return how the recipe of that digest differs from the one that was meant, if a run of the store had it."""
        known = None if meant is None else parsed(meant)
        for path in sorted((self.store.root / "runs").glob("*.json")) if known else ():
            recipe = parsed(json.loads(path.read_text("utf-8")).get("recipe"))
            if known and recipe and digest(recipe.canonical()) == sha256:
                found = known.diff(recipe)
                said = "; ".join(
                    f"{where}: {value_text(here)} -> {value_text(there)}" for where, (here, there) in found.items()
                )
                return f"{said} (run {path.stem})"
        return ""


def parsed(data: object) -> Recipe | None:
    """Return a recipe, None for what is none of this mulligan."""
    try:
        return parse_config(Recipe, data, "")
    except ValueError:
        return None


def illegal_parts(config: EvaluateConfig) -> list[str]:
    """Return what breaks a rule on purpose in a way of scoring, by path and kind."""
    parts = [(f"evaluate.windows.{i}", part) for i, part in enumerate(config.windows)]
    parts += [(f"evaluate.{name}", getattr(config, name)) for name in type(config).model_fields]
    found = [f"{path} = {kind_of(type(part))!r}" for path, part in parts if not getattr(part, "legal", True)]
    return found + (["evaluate.bytes = 'doubled-space'"] if config.bytes == "doubled-space" else [])


def embedded_recipe(folder: Submitted) -> Recipe | None:
    """Return the recipe in train_gpt.py, None where there is none; ValueError where it is not one of this mulligan."""
    found = folder.script.recipe if folder.script else None
    return None if found is None else parse_config(Recipe, found, "train_gpt.py: recipe")


def evaluator(folder: Submitted) -> tuple[Finding, ...]:
    """No part of the recipe's way of scoring breaks a rule on purpose."""
    about = folder.submission
    if about and about.study:
        claimed = next((arm for arm in about.study.arms if arm.name == about.study.claimed_arm), None)
        illegal = claimed is not None and not claimed.legal
        others = [arm.name for arm in about.study.arms if not arm.legal]
        said = f"; illegal on purpose, not claimed: {', '.join(others)}" if others else ""
        return finding("evaluator", "the claimed arm scores illegally" if illegal else None, f"legal by name{said}")
    try:
        recipe = embedded_recipe(folder)
    except ValueError as error:
        return not_checked("evaluator", f"another version's recipe: {str(error).splitlines()[0]}")
    if recipe is None:
        return not_checked("evaluator", "train_gpt.py holds no recipe")
    illegal_ones = illegal_parts(recipe.evaluate)
    wrong = f"illegal on purpose: {', '.join(illegal_ones)}" if illegal_ones else None
    kinds = ", ".join(dict.fromkeys(windows.kind for windows in recipe.evaluate.windows))
    return finding("evaluator", wrong, f"legal by name: {kinds}, adaptation {recipe.evaluate.adaptation.kind}")


def judged(folder: Submitted, at_hand: AtHand) -> tuple[Finding, ...]:
    """The judge's tests pass on the artifact of a log, which the store holds or which was given."""
    seeds = {log.artifact_sha256: log.seed for log in folder.claimed_logs if log.artifact_sha256}
    if not seeds:
        return not_checked("judge", "no log names its artifact's digest")
    try:
        recipe = embedded_recipe(folder)
        if recipe is None:
            return not_checked("judge", "train_gpt.py holds no recipe, so how it scores is not known")
        artifact, sha256 = _artifact(seeds, at_hand)
        corpus = corpus_at(at_hand.data) if at_hand.data else None
        road = lay_road(recipe.replace(fit=None), seeds[sha256] or 0, corpus=corpus)
        return _judge(road, artifact, _corpus(road, at_hand), at_hand)
    except ValueError as error:
        return not_checked("judge", str(error).splitlines()[0])


def _artifact(seeds: dict[str, int | None], at_hand: AtHand) -> tuple[Path, str]:
    """Return an artifact of which a log names the digest: the one given, or one in the store. ValueError without one."""
    if at_hand.artifact is not None:
        found = hashlib.sha256(at_hand.artifact.read_bytes()).hexdigest()
        if found not in seeds:
            raise ValueError(f"{at_hand.artifact} (sha256 {found[:12]}) is the artifact of no log")
        return at_hand.artifact, found
    for entry in at_hand.store.entries():
        kept = entry.manifest["files"].get(ARTIFACT)
        if kept and kept["sha256"] in seeds:
            return entry.folder / ARTIFACT, kept["sha256"]
    raise ValueError(f"the artifact of no log is in {at_hand.store.root}: give --store DIR or --artifact FILE")


def _corpus(road: Road, at_hand: AtHand) -> Path:
    """Return the corpus that the road scores; ValueError where it is not at hand."""
    source = next(job for job in road.jobs if job.call.stage == "evaluate").sources["corpus"]
    if isinstance(source, Job) and not at_hand.store.has(source.call):
        raise ValueError("the corpus that is scored is not in the store: give --store DIR, or --data DIR")
    return folder_of(source, at_hand.store)


def _judge(road: Road, artifact: Path, corpus: Path, at_hand: AtHand) -> tuple[Finding, ...]:
    import torch

    from mulligan.audit.judge import examinees, judge

    packed = road.points["quantized"]
    assert isinstance(packed, Job)
    stored = at_hand.store.has(packed.call) and folder_of(packed, at_hand.store) == artifact.parent
    given = (road, at_hand.store, corpus, at_hand.execution(), torch.get_num_threads(), None if stored else artifact)
    return tuple(
        Finding(f"judge: {examinee.name}: {one.rule}", one.verdict, one.evidence)
        for examinee in examinees(*given)
        for one in judge(examinee, at_hand.progress)
    )
