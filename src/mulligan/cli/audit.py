"""`mulligan audit`: the tests of legality on a finished run's own artifact, and the review of what somebody submitted."""

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from mulligan.cli.setting import DEFAULT_STORE, AsJson, Data, Device, StoreFolder, Threads

FAILED, NOT_ALL_CHECKED = 1, 7


def audit(
    path: Annotated[
        str, Parameter(help="A submission's folder or script (.py), a clone of records, or a run's record in the store.")
    ] = "",
    /,
    *,
    review: Annotated[Path | None, Parameter(help="Write the review of a submission as Markdown, ready to post.")] = None,
    explain: Annotated[str | None, Parameter(help="Show a rule's card, such as R6; all: every rule in a line.")] = None,
    run: Annotated[bool, Parameter(negative="", help="Also import it and run its network, locked in.")] = False,
    since: Annotated[str | None, Parameter(help="Review what the branch at PATH adds below records/ since REV.")] = None,
    heads: Annotated[bool, Parameter(negative="", help="Of a clone: review what every pull-request head adds.")] = False,
    csv: Annotated[Path | None, Parameter(help="Of many folders: write one row each.")] = None,
    data: Data = None,
    store: StoreFolder = DEFAULT_STORE,
    device: Device = "auto",
    threads: Threads = None,
    json: AsJson = False,
) -> int:
    """Say of a submission, rule by rule, pass, fail or not checked, with file and line; nothing of it is run without --run.

    A finished run of the store is tested instead: every reading of its artifact, on a short passage of validation text.
    Exit codes: 0 no rule fails, 1 one does, 2 usage; of a run also 7: none fails but something could not be checked here.
    """
    from mulligan.cli.audit_clone import audit_clone, audit_since
    from mulligan.cli.audit_submission import audit_submission
    from mulligan.cli.audit_submission import explain as show_card
    from mulligan.review.clone import is_clone

    if explain is not None:
        return show_card(explain, as_json=json)
    if not path:
        raise ValueError("Give a submission's folder or script, or a run of the store; or --explain RULE.")
    given = Path(path)
    if since is not None:
        return audit_since(given, since, csv, as_json=json)
    if heads or (given.is_dir() and is_clone(given)):
        return audit_clone(given, csv, heads=heads, as_json=json)
    if given.is_dir() or (given.suffix == ".py" and given.is_file()):
        return audit_submission(given, review, run=run, as_json=json)
    return _audit_run(path, data, store, device, threads, as_json=json)


def _audit_run(run: str, data: Path | None, store: Path, device: str, threads: int | None, *, as_json: bool) -> int:
    import torch

    from mulligan.audit.judge import examinees, judge
    from mulligan.cli.road import corpus_of
    from mulligan.cli.setting import make_execution
    from mulligan.cli.terminal import print_json, show_progress
    from mulligan.report.run_page import read_run
    from mulligan.store.store import Store

    kept = Store(store)
    result, road = read_run(run, kept)
    corpus = corpus_of(road, result["name"], data, kept)
    readings: list[dict[str, Any]] = []
    with show_progress() as progress:
        execution = make_execution(device, threads, compile_network=False)
        for examinee in examinees(road, kept, corpus.path, execution, torch.get_num_threads()):
            findings = [vars(found) for found in judge(examinee, progress)]
            assert examinee.claim is not None
            readings.append(
                {
                    "reading": examinee.name,
                    "declared_legal": examinee.claim.summary["legal"],
                    "positions": examinee.num_positions,
                    "documents": len(examinee.starts),
                    "findings": findings,
                }
            )
    verdicts = {found["verdict"] for reading in readings for found in reading["findings"]}
    code = FAILED if "fail" in verdicts else NOT_ALL_CHECKED if "not checked" in verdicts else 0
    if as_json:
        print_json({"name": result["name"], "readings": readings})
    else:
        _print(result["name"], readings)
    return code


def _print(name: str, readings: list[dict[str, Any]]) -> None:
    from mulligan.cli.terminal import out, print_table

    for reading in readings:
        declared = "" if reading["declared_legal"] else ", ILLEGAL on purpose"
        title = f"{name}: {reading['reading']}{declared} ({reading['positions']:,} positions, {reading['documents']} documents)"
        print_table(
            title,
            ["rule", "verdict", "evidence"],
            [
                [found["rule"], found["verdict"].upper() if found["verdict"] == "fail" else found["verdict"], found["evidence"]]
                for found in reading["findings"]
            ],
        )
    for reading in readings:
        out.print(f"{reading['reading']:<32} {conclusion(reading['findings'])}")


def conclusion(findings: list[dict[str, Any]]) -> str:
    """Return in words what the findings amount to; what was not checked is no pass."""
    by = {verdict: [found["rule"] for found in findings if found["verdict"] == verdict] for verdict in ("fail", "not checked")}
    passed = len(findings) - sum(map(len, by.values()))
    said = [f"{passed} of {len(findings)} pass"]
    said += [f"{'FAILS' if verdict == 'fail' else verdict}: {', '.join(rules)}" for verdict, rules in by.items() if rules]
    return "; ".join(said)
