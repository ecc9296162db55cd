"""Rules 1 and 2: a score is a function of what stands before its token."""

import numpy as np

from mulligan.audit.examinee import TOLERANCE_NATS, Examinee
from mulligan.audit.finding import Finding, finding
from mulligan.values.byte_table import IntArray

ENDS_TOLERANCE_NATS = 1e-4
"""A document of another length may run in another batch, where sums are rounded otherwise."""


def suffix_perturbation(examinee: Examinee) -> tuple[Finding, ...]:
    """Replace every token after some place, or end its document there: no score of a token up to there may move."""
    rng = np.random.default_rng(1)
    _, first, _ = examinee.first
    worst, places = 0.0, cuts(examinee)
    for cut in places:
        tokens = examinee.tokens.copy()
        after = np.flatnonzero(np.arange(len(tokens)) > cut)
        after = after[~np.isin(after, examinee.starts)]
        tokens[after] = _others(tokens[after], examinee, rng)
        moved = np.abs(examinee.score(tokens).nats[:cut] - first.nats[:cut])
        if moved.max() > TOLERANCE_NATS:
            where = np.flatnonzero(moved > TOLERANCE_NATS)
            wrong = (
                f"new tokens after {cut} move {len(where)} scores before, from position {where[0]} on, by up to "
                f"{moved.max():.2g} nats"
            )
            return finding("1 suffix perturbation", wrong, "")
        worst = max(worst, float(moved.max()))
    same = "to the bit" if worst == 0 else f"within {worst:.1g} nats"
    evidence = f"scores before {_listed(places)} are the same {same} with other tokens after"
    return finding("1 suffix perturbation", _knows_ends(examinee), evidence)


def _knows_ends(examinee: Examinee) -> str | None:
    """Return which scores move when a document ends earlier, at a token after theirs, if any do."""
    _, first, _ = examinee.first
    for cut in ends(examinee):
        tokens, starts = examinee.tokens.copy(), np.union1d(examinee.starts, [cut + 1])
        tokens[cut + 1] = tokens[examinee.starts[0]]
        moved = np.abs(examinee.score(tokens, starts=starts).nats[:cut] - first.nats[:cut])
        if moved.max() > ENDS_TOLERANCE_NATS:
            where = np.flatnonzero(moved > ENDS_TOLERANCE_NATS)
            return (
                f"a document that ends after {cut} moves {len(where)} scores before, from position {where[0]} on, by up to "
                f"{moved.max():.2g} nats"
            )
    return None


def ends(examinee: Examinee) -> list[int]:
    """Return tokens after which to end a document: within a chunk and beyond a context, in later documents."""
    count, border = examinee.num_positions, int(examinee.starts[len(examinee.starts) // 2])
    places = (examinee.lengths[0] + min(examinee.lengths) // 2, border + 3, 3 * count // 4)
    return sorted({place for place in places if 1 <= place < count - 1} - {int(start) - 1 for start in examinee.starts})


def cuts(examinee: Examinee) -> list[int]:
    """Return tokens after which to change the rest: within a window, at edges of windows, chunks, documents, the last."""
    count = examinee.num_positions
    edges = [place for length in examinee.lengths for place in (length // 2, length, length + length // 2)]
    borders = [int(examinee.starts[len(examinee.starts) // 2])]
    places = [*edges, *borders, borders[0] + 3, 3 * count // 4, count - 1]
    return sorted({place for place in places if 1 <= place < count})


def _others(tokens: IntArray, examinee: Examinee, rng: np.random.Generator) -> IntArray:
    """Return for each token another one, none that begins a document."""
    begins = np.unique(examinee.tokens[examinee.starts])
    allowed = np.setdiff1d(np.arange(examinee.vocab_size), begins)
    drawn = rng.integers(len(allowed) - 1, size=len(tokens))
    here = np.searchsorted(allowed, tokens)
    found: IntArray = allowed[(here + 1 + drawn) % len(allowed)]
    return found


def answer_mask(examinee: Examinee) -> tuple[Finding, ...]:
    """Replace a token alone: the distribution it is scored by must stay as it was."""
    rule = "2 answer mask"
    _, first, _ = examinee.first
    worst = 0.0
    for position, token, observed in examinee.substituted:
        if position not in first.rows or position not in observed.rows:
            return finding(rule, f"no distribution is told for position {position}", "")
        before, now = first.rows[position], observed.rows[position]
        moved = 0.0 if np.array_equal(before, now) else float(np.nanmax(np.abs(now - before)))
        if not moved <= TOLERANCE_NATS:
            wrong = f"token {token} as the answer at position {position} moves its distribution by up to {moved:.2g} nats"
            return finding(rule, wrong, "")
        worst = max(worst, moved)
    same = "to the bit" if worst == 0 else f"within {worst:.1g} nats"
    tried = sorted({position for position, _, _ in examinee.substituted})
    evidence = f"{len(examinee.substituted)} other answers at positions {_listed(tried)}: distributions the same {same}"
    return finding(rule, None, evidence)


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))
