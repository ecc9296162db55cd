"""A record that is not better than the score it names, by the written rule and by the one that was applied.

What it finds       The score that submission.json names as its base, or README as the best so far, taken as exact: no
                    gain, or a gain that the applied rule refuses (one-sided, p < 0.25), is a violation (a warning where the
                    base stands in README's prose); one that only the written rule refuses (0.005 nats at p < 0.01) a warning.
Why it matters      A place on the list is a claim of a difference, and seeds differ by about 0.0005 bits per byte.
Example             Three seeds of 1.0808, 1.0811 and 1.0809 against a base of 1.0810: p = 0.3.
What it cannot see  The base's own runs, which the applied rule counts; a better record in between; and records that are
                    a speed-up alone, which the margin is waived for.
Source              README of the challenge; PR 1902 for the applied rule.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mulligan.records.table import Row
from mulligan.review.evidence import Evidence
from mulligan.review.finding import Finding, NotChecked, Severity
from mulligan.review.subject import Subject
from mulligan.submit.submitted import README

CODE = "R11"
BASE_KEY = re.compile(r"base|sota|previous|prior|compar|reference|parent|leader", re.IGNORECASE)
NOT_A_BASE = re.compile(r"delta|gain|improve|diff|std|p_value|seed|margin|loss|threshold", re.IGNORECASE)
BASE_WORDS = re.compile(
    r"(?:\bSOTA\b|leaderboard (?:record|best|row)|(?:current|previous|prior) (?:record|best))"
    r"[^|\n]{0,60}?(?<![-−–+±.\d])(\d\.\d{4,8})\b",
    re.IGNORECASE,
)
SAME = 5e-5
"""Bits per byte: a score that is nearer to the claim is the claim."""
LEAST, MOST = 0.5, 3.0
"""Bits per byte between which a base's score lies."""


@dataclass(frozen=True)
class Base:
    """A score that is named as the one to beat, and where."""

    value: float
    file: str
    line: int
    said: str


def check(subject: Subject) -> Iterator[Finding | NotChecked]:
    """Judge a record's runs against the base that it names."""
    evidence = Evidence(subject.folder)
    if not evidence.is_record or evidence.claim is None:
        return
    base = find_base(evidence, evidence.claim)
    if base is None:
        yield NotChecked(CODE, "the record's gain: no base is named with its score")
        return
    if evidence.score and evidence.score.agrees is False:
        yield NotChecked(CODE, "the record's gain: the claimed score is not that of the runs that could be read")
        return
    yield from _judged(evidence, base)


def find_base(evidence: Evidence, claim: Row) -> Base | None:
    """Return the base that submission.json names with its bits per byte, else the first that README does."""
    for file, path, value, line in evidence.leaves():
        key = path.lower()
        if "bpb" in key and BASE_KEY.search(key) and not NOT_A_BASE.search(key) and _is_score(value, claim):
            return Base(float(value), file, line, path)
    for number, text in enumerate(evidence.text(README).split("\n"), 1):
        found = BASE_WORDS.search(text)
        if found and _is_score(float(found[1]), claim):
            return Base(float(found[1]), README, number, found[0].strip())
    return None


def _is_score(value: object, claim: Row) -> bool:
    """Say whether a value may be a base's: a score, and not the claimed one again."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not LEAST < value < MOST:
        return False
    return claim.value is None or abs(value - claim.value) > SAME


def _judged(evidence: Evidence, base: Base) -> Iterator[Finding | NotChecked]:
    from mulligan.compare.record import record
    from mulligan.records.leaderboard import entries

    (entry,) = entries(evidence.rows)
    if len(entry.values) < 2 or not entry.nats_per_bpb:
        yield NotChecked(CODE, "the record's gain: fewer than two runs, or no score in both units")
        return
    margin = record([base.value], entry.values, unit="bits per byte", nats_per_bpb=entry.nats_per_bpb)
    any_gain = record([base.value], entry.values, unit="bits per byte", nats_per_bpb=entry.nats_per_bpb, margin_nats=0.0)
    written, applied = (judged.rule("written, fixed reference").p for judged in (margin, any_gain))
    assert written is not None
    assert applied is not None
    said = (
        f"{margin.gain_nats:+.5f} nats ({1000 * margin.gain_bpb:+.2f} mBPB) better than {base.value} "
        f"({base.said}), n = {len(entry.values)}: p = {written:.2g} for 0.005 nats, {applied:.2g} for any gain"
    )
    sure: Severity = "warning" if base.file == README else "violation"
    if applied >= 0.25:
        yield Finding(CODE, "evidence", sure, base.file, base.line, f"no record by either rule: {said}")
    elif written >= 0.01:
        yield Finding(CODE, "evidence", "warning", base.file, base.line, f"no record by the written rule: {said}")
