"""The page of the ledger: published sign against ours per scale, then every claim with its figures side by side."""

import textwrap
from collections.abc import Sequence
from typing import Any

from mulligan.claims.ledger import VERDICTS
from mulligan.claims.recorded import BITS
from mulligan.claims.retest import AGREEMENTS, Found
from mulligan.claims.summary import Entry, answer_text, by_document, claimed_text, counts, found_text, size_text
from mulligan.report.figure import ARMS, INK, MUTED
from mulligan.report.forest import Row, forest
from mulligan.report.template import render

SCALES = ("tiny", "small", "full")
"""Scales that the page has a column for, run or not: two cores, hours on two cores, the published size on GPUs."""
_COLOURS = {"agrees": ARMS[2], "disagrees": ARMS[1], "equivalent": ARMS[0]}
_MARKS = {"lower": "−", "higher": "+", "none": "0", "not lower": "0 or +", "not higher": "0 or −"}


def claims_page(found: Sequence[Entry]) -> str:
    """Return the HTML page of these claims."""
    scales = list(dict.fromkeys([*SCALES, *(one.recorded.scale for entry in found for one in entry.found)]))
    return render(
        "claims.html.j2",
        counts=counts(found),
        scales=scales,
        signs=[row for entry in found for row in _signs(entry, scales)],
        figures=[(scale, _forest(found, scale)) for scale in scales if _rows(found, scale)],
        documents=[(document, [_claim(entry) for entry in mine]) for document, mine in by_document(found)],
        verdicts=VERDICTS,
        agreements=AGREEMENTS,
    )


def _signs(entry: Entry, scales: Sequence[str]) -> list[dict[str, Any]]:
    """Return one row per re-test of a claim: the claimed sign, and what each scale says of it."""
    rows = []
    for retest in entry.claim.retest:
        cells = {
            scale: [one for one in entry.found if one.retest == retest and one.recorded.scale == scale] for scale in scales
        }
        rows.append(
            {
                "id": entry.claim.id,
                "contrast": f"{retest}{'' if retest.metric == 'primary' else f' ({retest.metric})'}",
                "study": retest.study,
                "claimed": f"{_MARKS[retest.expected]} ({retest.expected})",
                "cells": [[_cell(one) for one in cells[scale]] for scale in scales],
            }
        )
    return rows


def _cell(one: Found) -> dict[str, Any]:
    mark = one.word if one.word in ("illegal", "over budget") else ""
    where = f"n = {one.contrast['n']}, {one.recorded.corpus}, {one.recorded.date}"
    return {"agreement": one.agreement, "mark": mark, "size": size_text(one), "where": where}


def _rows(found: Sequence[Entry], scale: str) -> list[Row]:
    return [
        Row(
            f"Pull request {entry.claim.pr}",
            textwrap.shorten(
                f"{entry.claim.id}, claimed {_MARKS[one.retest.expected]}: {one.retest.differs}", 78, placeholder=" …"
            ),
            one.contrast,
            one.agreement,
            _COLOURS.get(one.agreement, MUTED if one.agreement == "not testable" else INK),
        )
        for entry in found
        for one in entry.found
        if one.recorded.scale == scale and one.unit == BITS
    ]


def _forest(found: Sequence[Entry], scale: str) -> str:
    return forest(_rows(found, scale), 0.0)


def _claim(entry: Entry) -> dict[str, Any]:
    return {
        "claim": entry.claim,
        "published": [(claimed_text(row), row["source"]) for row in entry.claimed],
        "recomputed": [answer_text(one) for one in entry.recomputed],
        "found": [(one.agreement, found_text(one), one.retest.differs) for one in entry.found],
        "ours": entry.ours,
    }
