"""The ledger as rows: published, recomputed and ours side by side, as data and as text, computed when asked for."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mulligan.claims.figure import Answer, answer, published_rows
from mulligan.claims.ledger import Claim, Document
from mulligan.claims.recorded import BITS, Recorded
from mulligan.claims.retest import Found, find

SETTLED = ("agrees", "disagrees", "equivalent")


@dataclass(frozen=True)
class Entry:
    """A claim with its published figures (rows of the table), what is computed from them, and what studies here found."""

    claim: Claim
    document: Document
    claimed: list[dict[str, str]]
    recomputed: list[Answer]
    found: list[Found]

    @property
    def unrun(self) -> list[str]:
        """Studies that test the claim and of which no result is recorded."""
        ran = {found.recorded.study for found in self.found}
        return list(dict.fromkeys(retest.study for retest in self.claim.retest if retest.study not in ran))

    @property
    def ours(self) -> str:
        """What is to be said in a line where nothing was found."""
        if self.found:
            return ""
        if self.unrun:
            return f"not tested here: no result of {', '.join(self.unrun)} is recorded"
        return "not tested here: no study tests it"

    def to_json(self) -> dict[str, Any]:
        """Return the claim as JSON data."""
        claim = self.claim
        return {
            "id": claim.id,
            "pr": claim.pr,
            "by": claim.by,
            "words": claim.words,
            "source": list(claim.source),
            "head": self.document.head,
            "published": [{name: row[name] for name in ("config", "value", "unit", "source")} for row in self.claimed],
            "recomputed": [found.to_json() for found in self.recomputed],
            "verdict": claim.verdict,
            "basis": claim.basis,
            "ours": [found.to_json() for found in self.found],
            "not_tested": self.ours,
            "studies_not_run": self.unrun,
        }


def entries(documents: Sequence[Document], results: Sequence[Recorded]) -> list[Entry]:
    """Return every claim of the ledger with its figures; ValueError where rows or contrasts that it names are missing."""
    found = []
    for document in documents:
        for claim in document.claim:
            claimed = [row for row in published_rows() if row["run"] == claim.id]
            try:
                recomputed = [answer(question) for question in claim.recomputed]
                found.append(Entry(claim, document, claimed, recomputed, find(claim, results)))
            except ValueError as error:
                raise ValueError(f"The claim {claim.id}: {error}") from None
    unknown = {row["run"] for row in published_rows() if row["metric"] == "claimed"} - {entry.claim.id for entry in found}
    if unknown:
        raise ValueError(f"The published table has figures of claims that the ledger lacks: {', '.join(sorted(unknown))}.")
    return found


def by_document(found: Sequence[Entry]) -> list[tuple[Document, list[Entry]]]:
    """Return the entries of each source document, in their order."""
    grouped = itertools.groupby(found, key=lambda entry: entry.document.pr)
    return [(mine[0].document, mine) for mine in (list(entries) for _, entries in grouped)]


def counts(found: Sequence[Entry]) -> dict[str, int]:
    """Return how many claims there are, how many a study here has re-tested, and for how many the sign is settled."""
    return {
        "claims": len(found),
        "retested": sum(bool(entry.found) for entry in found),
        "settled": sum(any(one.agreement in SETTLED for one in entry.found) for entry in found),
    }


def amount(value: float, unit: str, *, difference: bool = True) -> str:
    """Return a number as people read it; differences of bits per byte in mBPB, with a sign."""
    if unit in ("bpb", BITS):
        return f"{1000 * value:+.2f} mBPB" if difference else f"{value:.8g} bpb"
    if unit in ("B", "bytes"):
        return f"{value:+,.0f} B" if difference else f"{value:,.0f} B"
    if unit.startswith("of "):
        return f"{value:.0f} {unit}"
    return f"{value:.4g}" if unit == "ratio" else f"{value:+.4g} {unit}" if difference else f"{value:.5g} {unit}"


def claimed_text(row: dict[str, str]) -> str:
    """Return a published figure with what it is of."""
    unit, value = row["unit"], float(row["value"])
    of_levels = not 0 < abs(value) < 0.5 if unit == "bpb" else value > 1e6
    if unit in ("bpb", "B"):
        return f"{amount(value, unit, difference=value <= 0 or not of_levels)} ({row['config']})"
    return f"{value:,.10g} {unit} ({row['config']})"


def answer_text(found: Answer, *, named: bool = True) -> str:
    """Return a computed number with its interval, test and n; its name before it unless not `named`."""
    is_level = found.test in ("", "sample standard deviation") and "+" not in found.n
    size = f"{1000 * found.value:.2f} mBPB" if found.test.startswith("sample") and found.unit == "bpb" else ""
    parts = [size or amount(found.value, found.unit, difference=not is_level)]
    if found.low is not None and found.high is not None:
        scale, digits = (1000, 2) if found.unit == "bpb" else (1, 0)
        parts[0] += f" [{scale * found.low:+,.{digits}f}, {scale * found.high:+,.{digits}f}]"
    if found.p is not None:
        parts.append(f"{found.test}, df {found.df:.3g}, p = {found.p:.2g}")
    elif found.test:
        parts.append(found.test)
    name = f"{found.name}: " if named else ""
    return f"{name}{', '.join(parts)}, n = {found.n}"


def size_text(found: Found) -> str:
    """Return the contrast of a study here with its interval; of bits per byte in mBPB."""
    contrast, bits = found.contrast, found.unit == BITS
    scale, digits, unit = (1000, 2, "mBPB") if bits else (1, 0 if found.unit == "bytes" else 1, found.unit)
    size = f"{scale * contrast['estimate']:+,.{digits}f} {unit}"
    if contrast["low"] is None:
        return size
    return f"{size} [{scale * contrast['low']:+,.{digits}f}, {scale * contrast['high']:+,.{digits}f}]"


def found_line(found: Found) -> str:
    """Return in a few words what a study here found."""
    n, scale = found.contrast["n"], found.recorded.scale
    return f"{found.agreement}: claimed {found.retest.expected}, {size_text(found)}, n = {n}, {scale}"


def found_text(found: Found) -> str:
    """Return what a study here found: its sign against the claimed one, the contrast, n, study, scale, corpus, date."""
    recorded = found.recorded
    where = f"{recorded.study}, {recorded.scale} on {recorded.corpus}, n = {found.contrast['n']}, {recorded.date}"
    metric = "" if found.retest.metric == "primary" else f" ({found.retest.metric})"
    return f"{found.agreement}: claimed {found.retest.expected}, found {found.word}{metric}, {size_text(found)}; {where}"
