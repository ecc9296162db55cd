"""Rules 8 and 9: the same state scores the same, and scoring leaves it as it was."""

import numpy as np

from mulligan.audit.examinee import Examinee
from mulligan.audit.finding import Finding, finding


def repeatability(examinee: Examinee) -> tuple[Finding, ...]:
    """Score the passage again."""
    _, first, _ = examinee.first
    again = examinee.score()
    differ = np.flatnonzero(first.nats != again.nats)
    wrong = None
    if len(differ):
        moved = float(np.abs(first.nats - again.nats).max())
        wrong = f"{len(differ)} scores differ when taken again, by up to {moved:.2g} nats, from position {differ[0]} on"
    return finding("8 repeatability", wrong, f"two scorings, {len(again.nats)} scores: the same bits ({again.digest[:12]})")


def unchanged_state(examinee: Examinee) -> tuple[Finding, ...]:
    """Compare the weights before and after the first scoring, and after everything since."""
    before, _, after = examinee.first
    now = examinee.state()
    wrong = None if before == after == now else f"the weights were {before[:12]}, and are {after[:12]}, then {now[:12]}"
    return finding("9 state hash", wrong, f"weights {before[:12]} before and after")
