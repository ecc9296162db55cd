"""Rules 5 and 6: every position is scored once, before anything learns from it, and counted once."""

import numpy as np

from mulligan.audit.examinee import Examinee
from mulligan.audit.finding import Finding, finding, not_checked


def score_before_update(examinee: Examinee) -> tuple[Finding, ...]:
    """Follow the events: one score for each position, and none after an update that read it."""
    rule = "5 order of score and update"
    _, first, _ = examinee.first
    times, updates = np.zeros(examinee.num_positions, np.int64), 0
    for event in first.events:
        if event.kind == "scored":
            np.add.at(times, event.positions, 1)
            continue
        updates += 1
        early = event.positions[times[event.positions] == 0]
        if len(early):
            wrong = f"update {updates} reads {len(early)} positions that are not scored yet, such as {early[0]}"
            return finding(rule, wrong, "")
    if (times != 1).any():
        position = int(np.flatnonzero(times != 1)[0])
        wrong = (
            f"{int((times != 1).sum())} positions are not scored once; position {position} is scored {times[position]} times"
        )
        return finding(rule, wrong, "")
    if updates == 0 and examinee.case is not None and examinee.case.settings["point"] == "adapted":
        return not_checked(rule, f"nothing is updated within the {len(times)} positions of the passage")
    learned = f"{updates} updates, each after the scores it learns from" if updates else "nothing is updated"
    return finding(rule, None, f"{len(times)} positions scored once each; {learned}")


def coverage(examinee: Examinee) -> tuple[Finding, ...]:
    """Count the scores: of the passage, and of every document of the stored reading."""
    rule = "6 coverage"
    _, first, _ = examinee.first
    count = examinee.num_positions
    if first.begin != 0 or len(first.nats) != count or not np.isfinite(first.nats).all():
        wrong = f"{int(np.isfinite(first.nats).sum())} scores from position {first.begin} on, of {count} positions"
        return finding(rule, wrong, "")
    if first.times is not None and (first.times != 1).any():
        wrong = (
            f"{int((first.times != 1).sum())} of {count} positions are not counted once: position "
            f"{int(first.times.argmax())} is counted {first.times.max()} times, {int(first.times.sum())} counts in all"
        )
        return finding(rule, wrong, "")
    said = f"{count} of {count} positions, once each"
    if examinee.claim is None:
        return finding(rule, None, said)
    claim = examinee.claim
    documents = claim.corpus.documents("validation")
    tokens = claim.documents["tokens"]
    expected = documents.num_tokens[: len(tokens)].copy()
    if len(tokens) == len(documents.num_tokens):
        expected[-1] -= 1  # nothing follows its last token
    off = np.flatnonzero(tokens != expected)
    if len(off) or claim.summary["scored_tokens"] != int(expected.sum()):
        wrong = f"the stored reading counts {claim.summary['scored_tokens']} targets, and its documents have {expected.sum()}"
        return finding(rule, wrong, "")
    return finding(rule, None, f"{said}; stored: {int(expected.sum())} targets of {len(tokens)} documents")
