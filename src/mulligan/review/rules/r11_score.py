"""The claimed score is not what the logs say, or the folder lacks what every submission has.

What it finds       README, submission.json or script that is missing; a submission.json that is no JSON or has no score; a
                    claimed score that is better by 0.0001 or more than any run, or mean of runs, of the logs. As warnings: one
                    that is less off, or is not the mean of the seeds that are stated; every other figure that README or
                    submission.json states and no log has; what the schema asks for besides.
Why it matters      A score without the log that printed it is a number in a text file.
Example             "val_bpb": 1.1402 where the logs of all seeds print 1.1435 and more.
What it cannot see  Whether a log was printed by the script beside it, and figures in prose.
Source              README of the challenge; rulings on PRs 1031 and 1120 (one folder with all of these).
"""

from collections.abc import Iterator
from statistics import fmean

from mulligan.records.score import candidates, stated_groups
from mulligan.records.stated import agrees
from mulligan.records.table import Row
from mulligan.review.evidence import Evidence
from mulligan.review.finding import Finding, NotChecked, Severity
from mulligan.review.subject import Subject
from mulligan.submit.submitted import ABOUT, README, SCRIPT

CODE = "R11"
ROUNDING = 1e-4
"""Bits per byte by which a claim may be better than the logs before it is more than a rounded mean."""
DIGITS = 7
"""Characters of a score that a log must print: "1.05827"."""
SUM_OF_SIZES = "payload "
"""How the disagreement begins that R1 tells."""


def check(subject: Subject) -> Iterator[Finding | NotChecked]:
    """Compare what is stated with what the logs say."""
    evidence = Evidence(subject.folder)
    if not evidence.runs and evidence.claim is None and not (subject.folder.folder / README).is_file():
        yield NotChecked(CODE, "there is code alone: no README.md, submission.json or log beside it")
        return
    yield from _files(evidence, bool(subject.sources))
    yield from _score(evidence)
    claim = evidence.claim
    for row in evidence.rows:
        is_claim = claim is not None and (row.file, row.line) == (claim.file, claim.line)
        if row.kind == "finding" and row.name == "disagreement" and not is_claim and not row.text.startswith(SUM_OF_SIZES):
            yield Finding(CODE, "evidence", "warning", row.file, row.line, row.text)


def _files(evidence: Evidence, has_script: bool) -> Iterator[Finding]:
    """What is missing is a violation of a record, and a warning elsewhere; so is what cannot be read as a submission.json."""
    sure: Severity = "violation" if evidence.is_record else "warning"
    wanted = (README, ABOUT) if has_script else (README, ABOUT, SCRIPT)
    for name in wanted:
        if not (evidence.folder.folder / name).is_file():
            yield Finding(CODE, "evidence", sure, name, None, "is not there")
    about = evidence.folder.about
    if isinstance(about, str) and (evidence.folder.folder / ABOUT).is_file():
        unread = about.startswith(("not JSON", "a table")) or evidence.claim is None
        yield Finding(CODE, "evidence", sure if unread else "warning", ABOUT, None, about)


def _score(evidence: Evidence) -> Iterator[Finding | NotChecked]:
    claim, score = evidence.claim, evidence.score
    if claim is None or claim.value is None:
        yield NotChecked(CODE, "neither submission.json nor README states a score")
    elif score is None or score.how == "claimed":
        yield NotChecked(CODE, f"no log has the claimed {claim.text}, and no list of seeds is stated")
    elif not score.agrees and score.how == "logs" and _is_printed(evidence, claim):
        yield NotChecked(
            CODE, f"the claimed {claim.text}, or the seeds it is the mean of, are in the logs in a form that is not read"
        )
    elif not score.agrees:
        said = [row.text for row in evidence.rows if row.kind == "finding" and (row.file, row.line) == (claim.file, claim.line)]
        where = "the logs" if score.how == "logs" else "the seeds that are stated"
        message = said[0] if said else f"{claim.text} is stated; the mean over {where} is {fmean(score.values):.8g}"
        message += _in_nats(evidence)
        over = score.how == "logs" and fmean(score.values) - claim.value > ROUNDING and evidence.is_record
        yield Finding(CODE, "evidence", "violation" if over else "warning", claim.file, claim.line, message)
    elif score.how != "logs":
        yield NotChecked(CODE, "no log has the score; the mean over the seeds that are stated is the claimed one")


def _is_printed(evidence: Evidence, claim: Row) -> bool:
    """Say whether a log prints the claimed digits anywhere, or those of every seed of which the claim is the mean."""
    logs = "\n".join(evidence.text(name) for name in dict.fromkeys(run.file for run in evidence.runs))
    lists = [[claim.text], *([row.text for row in group] for group in stated_groups(evidence.rows) if _is_mean(group, claim))]
    return any(all(text.strip("~ ")[:DIGITS] in logs for text in texts) for texts in lists)


def _is_mean(group: list[Row], claim: Row) -> bool:
    return agrees(claim, fmean(row.value or 0.0 for row in group), slack=1.5)


def _in_nats(evidence: Evidence) -> str:
    """Say so where the claimed bits per byte are what the logs give in nats per token."""
    nats = {(row.run, row.reading): row.value for row in evidence.rows if row.kind == "run" and row.name == "nats_per_token"}
    for rows in candidates(evidence.rows, evidence.claim):
        known = [value for row in rows if (value := nats.get((row.run, row.reading))) is not None]
        if evidence.claim is not None and known and agrees(evidence.claim, fmean(known), slack=1.5):
            return "; it is their nats per token"
    return ""
