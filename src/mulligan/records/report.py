"""What is said of a table of records, as rows of plain data: leaderboard, lineages, noise, findings, coverage."""

import statistics
from collections.abc import Sequence
from typing import Any

from mulligan.records.leaderboard import RANKED, Entry, Judged, judge, lineages, pooled
from mulligan.records.score import runs_of
from mulligan.records.table import Row

Data = dict[str, Any]


def leaderboard_rows(found: Sequence[Entry], against: Entry | None = None) -> list[Data]:
    """Return the records of the ten-minute track by score, each judged against its parent (or `against`) and the frontier."""
    ranked = sorted((entry for entry in found if entry.track == RANKED and entry.mean), key=lambda entry: entry.mean or 0)
    return [
        {
            "day": entry.day,
            "record": entry.name,
            "folder": entry.folder,
            "author": entry.author,
            "merged": not entry.revision.startswith("refs/pull/"),
            "score": entry.mean,
            "sd": statistics.stdev(entry.values) if len(entry.values) > 1 else None,
            "n": len(entry.values),
            "reading": entry.score.rows[0].reading if entry.score else "",
            "from": entry.score.how if entry.score else "",
            "claimed": entry.claim.value if entry.claim else None,
            "total_bytes": entry.total_bytes,
            "margin_bytes": entry.margin_bytes,
            "over_budget": entry.is_over,
            **_against("parent", entry, against if against and against is not entry else entry.parent),
            **_against("frontier", entry, entry.frontier),
            "findings": entry.findings,
        }
        for entry in ranked
    ]


def _against(what: str, entry: Entry, reference: Entry | None) -> Data:
    judged = judge(entry, reference)
    missing = entry.parents[0].text if what == "parent" and entry.parents and reference is None else ""
    named = reference.name if reference else f"{missing} (not in the table)" if missing else ""
    return {what: named, **{f"{what}_{name}": value for name, value in _tests(judged).items()}}


def _tests(judged: Judged | None) -> Data:
    if judged is None:
        return dict.fromkeys(("n", "gain_mbpb", "gain_nats", "p_fixed", "p_welch", "p_applied", "df", "written", "applied"))
    fixed, welch, applied = judged.rules
    return {
        "n": judged.record.num_reference,
        "gain_mbpb": 1000 * judged.record.gain_bpb,
        "gain_nats": judged.record.gain_nats,
        "p_fixed": fixed.p,
        "p_welch": welch.p,
        "p_applied": applied.p,
        "df": applied.df,
        "written": None if welch.p is None else welch.passes,
        "applied": None if applied.p is None else applied.passes,
    }


def lineage_rows(found: Sequence[Entry]) -> list[Data]:
    """Return every record with the parent its own words name, where they stand, and the root of its lineage."""
    roots = {id(entry): tree.root for tree in lineages(found) for entry in tree.members}
    rows = []
    for entry in found:
        first = entry.parents[0] if entry.parents else None
        rows.append(
            {
                "lineage": roots[id(entry)],
                "day": entry.day,
                "record": entry.name,
                "folder": entry.folder,
                "score": entry.mean,
                "parent": entry.parent.name if entry.parent else "",
                "named": first.text if first else "",
                "file": first.file if first else "",
                "line": first.line if first else None,
                "levers": ", ".join(entry.levers),
            }
        )
    return rows


def noise_rows(found: Sequence[Entry]) -> list[Data]:
    """Return the pooled sd between seeds, in mBPB, of each lineage of two records or more, of the others, and of all."""
    ranked = [entry for entry in found if entry.track == RANKED]
    trees = [tree for tree in lineages(ranked) if len(tree.members) > 1]
    kin = {id(entry) for tree in trees for entry in tree.members}
    alone = [entry for entry in ranked if id(entry) not in kin]
    groups = [(tree.root, list(tree.members)) for tree in trees] + [("without kin", alone), ("all", ranked)]
    rows = []
    for root, members in groups:
        if noise := pooled(members):
            rows.append(
                {
                    "lineage": root,
                    "records": len(members),
                    "pooled": noise.groups,
                    "df": noise.df,
                    "sd_mbpb": 1000 * noise.sd,
                    "low_mbpb": 1000 * noise.low,
                    "high_mbpb": 1000 * noise.high,
                }
            )
    return rows


def finding_rows(rows: Sequence[Row]) -> list[Data]:
    """Return what disagrees or could not be read, with file and line."""
    names = ("track", "folder", "name", "run", "text", "file", "line")
    return [{name: getattr(row, name) for name in names} for row in rows if row.kind == "finding"]


def coverage(rows: Sequence[Row]) -> Data:
    """Return how much was read: records, logs, runs, and how many seeds of records carry steps, a reading and bytes."""
    records: dict[tuple[str, str, str], list[Row]] = {}
    for row in rows:
        records.setdefault((row.track, row.folder, row.revision), []).append(row)
    seeds: dict[tuple[Any, ...], set[str]] = {}
    num_runs, whole_runs, logs = 0, 0, set()
    for key, found in records.items():
        for run, figures in runs_of(found).items():
            said = {row.name if not row.reading else "reading" for row in figures if row.reading != "last validation"}
            num_runs, whole_runs = num_runs + 1, whole_runs + _is_whole(said)
            logs.add((*key, figures[0].file))
            seeds.setdefault((*key, run if figures[0].seed is None else figures[0].seed), set()).update(said)
    return {
        "records": len(records),
        "records_with_logs": len({key[:3] for key in logs}),
        "logs": len(logs),
        "runs": num_runs,
        "whole_runs": whole_runs,
        "seeds": len(seeds),
        "whole_seeds": sum(map(_is_whole, seeds.values())),
        "figures": sum(row.kind in ("run", "stated") for row in rows),
        "findings": sum(row.kind == "finding" for row in rows),
        "disagreements": sum(row.name == "disagreement" for row in rows),
    }


def _is_whole(said: set[str]) -> bool:
    return {"steps", "reading", "total_bytes"} <= said
