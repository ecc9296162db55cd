"""The ledger as a page of the documentation."""

from collections.abc import Sequence

from mulligan.claims.ledger import VERDICTS
from mulligan.claims.retest import AGREEMENTS
from mulligan.claims.summary import Entry, answer_text, by_document, claimed_text, counts, found_text
from mulligan.report.markdown import escape


def claims_markdown(found: Sequence[Entry]) -> str:
    """Return the page: vocabularies, then a table of claims for each source document."""
    total = counts(found)
    lines = [
        "# The ledger of claims",
        "",
        "Written by `python docs/generate_claims.py`. What five pull requests of the challenge and three of their neighbours",
        "claim, in our words; the figures as published; what the comparison engine computes from published figures; our",
        "judgement of that evidence; and what studies here found. Sources are lines of each record folder at the commit given.",
        "",
        f"{total['claims']} claims; studies here re-tested {total['retested']}, and the sign of {total['settled']} is settled",
        "at the scale given. **A study on two cores, of a small network and another text, re-tests the sign of a claim, not",
        "its figure.**",
        "",
        "    mulligan claims [ID] [--json | --csv] [--out page.html]",
        "    mulligan claims record STUDY.toml RESULT.json --scale tiny --corpus NAME",
        "",
        "A claim is a table in `src/mulligan/claims/pr-*.toml`, its figures are rows of",
        "`src/mulligan/compare/published.csv`, and a study that ran is a file in `src/mulligan/claims/results/`. No computed",
        "number is written down: verdicts come from the recorded values by the engine that judges studies, with the study's",
        "margin and its correction over the family of its contrasts. A contrast of two arms neither of which is the baseline",
        "is judged alone; bytes and times have no margin, so they cannot be equivalent. A claim gives its contrast a sign:",
        "lower (better), higher, none (no difference), not lower (no gain) or not higher (no loss).",
        "",
        *_words("Of published evidence", VERDICTS),
        *_words("Of our re-tests", AGREEMENTS),
    ]
    for document, mine in by_document(found):
        lines += [f"## Pull request {document.pr}: {escape(document.title)}", "", f"At `{document.head}`.", ""]
        lines += ["| claim | published | recomputed | evidence | ours |", "|---|---|---|---|---|"]
        lines += [_row(entry) for entry in mine]
        lines += [""]
    return "\n".join(lines).rstrip() + "\n"


def _words(title: str, words: dict[str, str]) -> list[str]:
    return [f"**{title}**", "", "| word | meaning |", "|---|---|", *(f"| {name} | {words[name]} |" for name in words), ""]


def _row(entry: Entry) -> str:
    claim = entry.claim
    who = "" if claim.by == "author" else " (a reviewer)"
    said = f"**{claim.id}**<br>{escape(claim.words)}{who}<br>{escape(', '.join(claim.source))}"
    published = "<br>".join(escape(claimed_text(row)) for row in entry.claimed)
    recomputed = "<br>".join(escape(answer_text(one)) for one in entry.recomputed)
    evidence = f"**{claim.verdict}**<br>{escape(claim.basis)}"
    ours = "<br>".join(f"{escape(found_text(one))} ({escape(one.retest.differs)})" for one in entry.found) or escape(entry.ours)
    return f"| {said} | {published} | {recomputed} | {evidence} | {ours} |"
