"""`mulligan claims`: the ledger of published claims, what their figures say, and what studies here found."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import App, Parameter

from mulligan.cli.setting import AsJson

if TYPE_CHECKING:
    from mulligan.claims.summary import Entry

app = App(name="claims")
Results = Annotated[Path | None, Parameter(help="A folder of recorded results. Default: those that ship with mulligan.")]


@app.default
def claims(
    name: str | None = None,
    /,
    *,
    results: Results = None,
    out: Annotated[Path | None, Parameter(help="Write an HTML page of all claims to this file.")] = None,
    csv: Annotated[bool, Parameter(negative="", help="Print CSV, one line per claim and re-test.")] = False,
    json: AsJson = False,
) -> int:
    """List every claim: published, recomputed and ours side by side; or show the claim NAME with everything.

    A re-test here on a small network and another text tests the sign of a claim, not its figure. Exit codes: 0 done, 2 usage.
    """
    from mulligan.claims.ledger import read_ledger
    from mulligan.claims.recorded import read_recorded
    from mulligan.claims.summary import counts, entries
    from mulligan.cli.report import check_folders, write
    from mulligan.cli.terminal import out as terminal
    from mulligan.cli.terminal import print_json

    check_folders(out)
    found = entries(read_ledger(), read_recorded(results))
    if name is not None:
        found = [_named(name, found)]
    if out is not None:
        from mulligan.report.claims_page import claims_page

        write(out, claims_page(found))
    if json:
        print_json({"counts": counts(found), "claims": [entry.to_json() for entry in found]})
    elif csv:
        _print_csv(found)
    elif name is not None:
        _show(found[0])
    else:
        _list(found)
    if out is not None and not (json or csv):
        terminal.print(f"page       {out}")
    return 0


@app.command
def record(
    study: Path,
    result: Path,
    /,
    *,
    scale: Annotated[str, Parameter(help="The scale of the study file that was run.")],
    corpus: Annotated[str, Parameter(help="What text it ran on, in a word, such as wikipedia.")],
    date: Annotated[str | None, Parameter(help="The day it ran. Default: that of the file.")] = None,
    results: Results = None,
) -> int:
    """Record the RESULT (result.json) of a STUDY file that ran, trimmed, so that claims are judged by it from then on.

    Refused where the result is of other settings than the study file has at that scale. Exit codes: 0 done, 2 usage.
    """
    import json
    from datetime import UTC, datetime

    from mulligan.claims.recorded import shipped_folder, trim, write
    from mulligan.cli.terminal import out
    from mulligan.study.config import load_study

    if not result.is_file():
        raise ValueError(f"{result}: no such file. A study that ran leaves its result.json in STORE/studies/HASH/.")
    data = json.loads(result.read_text("utf-8"))
    prose = {"question", "hypothesis", "published"}
    settings = load_study(study, scale).model_dump(mode="json")
    other = [key for key, value in settings.items() if key not in prose and data["study"].get(key) != value]
    if other:
        raise ValueError(f"{result}: it ran other settings than {study} has at scale {scale}: {', '.join(other)}.")
    day = date or datetime.fromtimestamp(result.stat().st_mtime, UTC).strftime("%Y-%m-%d")
    recorded = trim(data, study.stem, scale, corpus, day)
    out.print(f"recorded   {write(recorded, results or shipped_folder())}")
    return 0


def _named(name: str, found: "list[Entry]") -> "Entry":
    import difflib

    for entry in found:
        if entry.claim.id == name:
            return entry
    near = difflib.get_close_matches(name, [entry.claim.id for entry in found], n=3, cutoff=0.3)
    raise ValueError(f"No claim is called {name!r}. {'Near: ' + ', '.join(near) + '. ' if near else ''}All: mulligan claims.")


def _list(found: "list[Entry]") -> None:
    from mulligan.claims.summary import answer_text, by_document, claimed_text, counts, found_line
    from mulligan.cli.terminal import out, print_table

    for document, mine in by_document(found):
        rows = []
        for entry in mine:
            published = claimed_text(entry.claimed[0]) if entry.claimed else ""
            recomputed = answer_text(entry.recomputed[0], named=False) if entry.recomputed else ""
            ours = [found_line(one) for one in entry.found] or [entry.ours]
            for i, text in enumerate(ours):
                head = [entry.claim.id, published, recomputed, entry.claim.verdict] if i == 0 else [""] * 4
                rows.append([*head, text])
        title = f"Pull request {document.pr}: {document.title}"
        print_table(title, ["claim", "published", "recomputed", "evidence", "ours, by sign"], rows)
    total = counts(found)
    out.print(
        f"{total['claims']} claims; studies here re-tested {total['retested']}, and the sign of {total['settled']} is settled "
        "at the scale given. A small network on another text tests the sign, not the figure."
    )
    out.print("next       mulligan claims ID")


def _show(entry: "Entry") -> None:
    from mulligan.claims.ledger import VERDICTS
    from mulligan.claims.summary import answer_text, claimed_text, found_text
    from mulligan.cli.terminal import out

    claim = entry.claim
    out.print(f"{claim.id}  {claim.words}")
    said = f"pull request {claim.pr} at {entry.document.head}: {', '.join(claim.source)}"
    out.print(f"  said by    {claim.by}, {said}")
    for row in entry.claimed:
        out.print(f"  published  {claimed_text(row)}  {row['source']}")
    for found in entry.recomputed:
        out.print(f"  recomputed {answer_text(found)}")
    out.print(f"  evidence   {claim.verdict} ({VERDICTS[claim.verdict]})")
    out.print(f"             {claim.basis}")
    for one in entry.found:
        recorded = one.recorded
        out.print(f"  ours       {found_text(one)}")
        out.print(f"             contrast   {one.retest}")
        out.print(f"             {one.text}")
        out.print(
            f"             differs    {one.retest.differs}; a small network on another text tests the sign, not the figure"
        )
        devices = ", ".join(dict.fromkeys(f"{e['device']}, torch {e['torch']}" for e in recorded.environments))
        out.print(f"             ran        {recorded.hash} at {recorded.commits}, {devices}, {recorded.reading}")
    if entry.ours:
        out.print(f"  ours       {entry.ours}")


def _print_csv(found: "list[Entry]") -> None:
    import csv
    import sys

    from mulligan.claims.summary import answer_text, claimed_text

    ours = [
        "study",
        "scale",
        "corpus",
        "date",
        "commit",
        "contrast",
        "metric",
        "expected",
        "estimate",
        "low",
        "high",
        "unit",
        "n",
        "p",
        "word",
        "agreement",
    ]
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["id", "pr", "by", "words", "published", "recomputed", "evidence", *ours, "not_tested"])
    for entry in found:
        claim = entry.claim
        published = "; ".join(claimed_text(row) for row in entry.claimed)
        recomputed = "; ".join(answer_text(one) for one in entry.recomputed)
        head = [claim.id, claim.pr, claim.by, claim.words, published, recomputed, claim.verdict]
        for data in [one.to_json() for one in entry.found] or [{}]:
            writer.writerow([*head, *(data.get(name, "") for name in ours), entry.ours])
