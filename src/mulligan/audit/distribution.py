"""Rules 3 and 4: what scores is a distribution over all tokens, and the score is its logarithm at the token that came."""

import numpy as np

from mulligan.audit.examinee import Examinee
from mulligan.audit.finding import Finding, finding

SUM_TOLERANCE = 1e-5
FEWEST_ROWS = 50
NATS_TOLERANCE = 1e-4
"""Scores are float32 of float32 logits, distributions float64 of the same logits."""


def sums_to_one(examinee: Examinee) -> tuple[Finding, ...]:
    """Add up whole distributions, late in the passage."""
    rule = "3 sums to one"
    _, first, _ = examinee.first
    rows = {position: first.rows[position] for position in examinee.rows if position in first.rows}
    if len(rows) < FEWEST_ROWS:
        return finding(rule, f"{len(rows)} distributions are told of {len(examinee.rows)} asked for", "")
    odd = [position for position, row in rows.items() if row.shape != (examinee.vocab_size,) or np.isnan(row).any()]
    if odd:
        return finding(rule, f"position {odd[0]} has no probability for each of {examinee.vocab_size} tokens", "")
    sums = {position: float(np.exp(row).sum()) for position, row in rows.items()}
    position = max(sums, key=lambda position: abs(sums[position] - 1))
    wrong = None
    if not abs(sums[position] - 1) <= SUM_TOLERANCE:
        wrong = f"position {position} sums to {sums[position]:.6g} over {examinee.vocab_size} tokens"
    evidence = (
        f"{len(rows)} positions from {min(rows)} on, {examinee.vocab_size} tokens: at most {abs(sums[position] - 1):.1g} off"
    )
    return finding(rule, wrong, evidence)


def gold_consistency(examinee: Examinee) -> tuple[Finding, ...]:
    """Compare scores with the told distributions: at the tokens that came, and at others put in their place."""
    rule = "4 gold consistency"
    _, first, _ = examinee.first
    asked = [(position, int(examinee.tokens[position + 1]), first) for position in first.rows]
    asked += examinee.substituted
    worst = 0.0
    for position, token, observed in asked:
        if position not in first.rows:
            return finding(rule, f"no distribution is told for position {position}", "")
        told, scored = -float(first.rows[position][token]), float(observed.nats[position])
        if not abs(told - scored) <= NATS_TOLERANCE:
            wrong = f"token {token} at position {position} is scored {scored:.5f} nats, and its distribution says {told:.5f}"
            return finding(rule, wrong, "")
        worst = max(worst, abs(told - scored))
    evidence = f"{len(asked)} scores, {len(examinee.substituted)} of them of other tokens put there: within {worst:.1g} nats"
    return finding(rule, None, evidence)
