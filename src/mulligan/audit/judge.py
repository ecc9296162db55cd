"""The judge: every test on one examinee, and the examinees of a run."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq

from mulligan.audit.byte_count import recount
from mulligan.audit.case import Case
from mulligan.audit.causality import answer_mask, suffix_perturbation
from mulligan.audit.distribution import gold_consistency, sums_to_one
from mulligan.audit.examinee import Claim, Examinee
from mulligan.audit.finding import Finding
from mulligan.audit.isolation import isolation, rank_invariance
from mulligan.audit.order import coverage, score_before_update
from mulligan.audit.repeat import repeatability, unchanged_state
from mulligan.core.execution import Execution, Progress, no_progress
from mulligan.engine.job import Job
from mulligan.evaluate.block import Block, Watch
from mulligan.evaluate.passage import Passage
from mulligan.flow import Road
from mulligan.model.gpt import GPT
from mulligan.store.store import Store
from mulligan.values.corpus import Corpus

CHECKS: tuple[Callable[[Examinee], tuple[Finding, ...]], ...] = (
    suffix_perturbation,
    answer_mask,
    sums_to_one,
    gold_consistency,
    score_before_update,
    coverage,
    recount,
    repeatability,
    unchanged_state,
    isolation,
    rank_invariance,
)
POINTS = ("quantized", "adapted")
"""Readings of the packed artifact: only they can be claimed."""


def judge(examinee: Examinee, progress: Progress = no_progress) -> list[Finding]:
    """Return what every test finds, in the order of the rules."""
    found: list[Finding] = []
    for done, check in enumerate(CHECKS):
        progress(f"audit {examinee.name}", done, len(CHECKS), check.__name__.replace("_", " "))
        found += check(examinee)
    progress(f"audit {examinee.name}", len(CHECKS), len(CHECKS), "")
    return found


def examinee_of(case: Case, name: str, execution: Execution, claim: Claim | None = None) -> Examinee:
    """Return a reading, as the engine would take it, on a short passage."""
    scoring, (tokens, starts) = case.scoring(execution), case.passage()

    def state() -> str:
        return digest_of(scoring.model)

    def blocks(passage: Passage, watch: Watch | None) -> Iterator[Block]:
        return scoring.blocks(replace(passage, byte_table=scoring.passage.byte_table), watch)

    return Examinee(name, blocks, tokens, starts, scoring.model.config.vocab_size, case.lengths, state, claim, case)


def digest_of(model: GPT) -> str:
    """Return the sha256 of a network's parameters, names and bits."""
    found = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        found.update(name.encode())
        found.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return found.hexdigest()


def examinees(
    road: Road, store: Store, corpus: Path, execution: Execution, num_threads: int, artifact: Path | None = None
) -> Iterator[Examinee]:
    """Yield every reading of a finished run's artifact, with what is stored of it; of another `artifact`, nothing is stored."""
    for job in road.jobs:
        if job.call.stage == "evaluate" and job.settings["point"] in POINTS:
            claim = None if artifact else _claim(job, store, corpus)
            case = Case.of_job(job, store, corpus, execution.device, num_threads, artifact)
            yield examinee_of(case, job.name, execution, claim)


def _claim(job: Job, store: Store, corpus: Path) -> Claim:
    entry = store.open(job.call)
    table = pq.read_table(entry.folder / "documents.parquet")
    documents = {name: table[name].to_numpy() for name in table.column_names}
    return Claim(documents, entry.summary(), Corpus.load(corpus))
