"""`mulligan records`: the challenge's records, read from a clone into one table and judged again."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from mulligan.cli.report import check_folders, write
from mulligan.cli.setting import AsJson

app = App(name="records", help="Read the challenge's records from a clone into one table, and judge them again.")
Table = Annotated[Path, Parameter(help="A table that `mulligan records import` wrote.")]
Csv = Annotated[Path | None, Parameter(help="Write the rows as CSV.")]
Heads = Annotated[
    list[str], Parameter(negative="", consume_multiple=True, help="Pull requests to add: numbers (refs/pull/N/head) or refs.")
]


@app.command(name="import")
def import_(
    clone: Path,
    /,
    *,
    out: Annotated[Path, Parameter(help="The Parquet file to write.")],
    heads: Heads | None = None,
    json: AsJson = False,
) -> int:
    """Read the records of both tracks on a clone's main branch, and of pull-request heads, into one Parquet table.

    Every figure carries its file and line. What disagrees or cannot be read is a row of its own: `mulligan records findings`.
    """
    import time

    from mulligan.cli.terminal import out as terminal
    from mulligan.cli.terminal import print_json
    from mulligan.records.read import read_record
    from mulligan.records.report import coverage
    from mulligan.records.table import write_table
    from mulligan.records.tree import read_folders

    check_folders(out)
    started = time.monotonic()
    folders = read_folders(clone, heads or ())
    rows = [row for folder in folders for row in read_record(folder)]
    write_table(out, rows)
    found = coverage(rows)
    revisions = {folder.revision for folder in folders}
    idle = [head for head in heads or () if not {head, f"refs/pull/{head}/head"} & revisions]
    if json:
        print_json({"clone": str(clone), "table": str(out), **found, "heads_without_a_record": idle})
        return 0
    share = f"{found['whole_seeds'] / found['seeds']:.1%}" if found["seeds"] else "-"
    terminal.print(
        f"records    {found['records']} ({found['records_with_logs']} with logs), {found['logs']} logs, {found['runs']} runs\n"
        f"whole      {found['whole_seeds']} of {found['seeds']} seeds ({share}) carry steps, a final reading and total bytes; "
        f"{found['whole_runs']} of {found['runs']} runs\n"
        f"figures    {found['figures']:,}, each with file and line\n"
        f"findings   {found['findings']}, of which {found['disagreements']} disagreements: mulligan records findings {out}\n"
        + (f"heads      without a record that main lacks: {' '.join(idle)}\n" if idle else "")
        + f"written    {out} ({out.stat().st_size:,} bytes) in {time.monotonic() - started:.1f} s"
    )
    return 0


@app.command
def table(
    file: Table,
    /,
    *,
    against: Annotated[
        str | None, Parameter(help="Judge all against this record (number or folder), not their parents.")
    ] = None,
    csv: Csv = None,
    out: Annotated[
        Path | None, Parameter(help="Write a page: leaderboard, score over time, lineages, noise, findings.")
    ] = None,
    json: AsJson = False,
) -> int:
    """Show the leaderboard of the ten-minute track with its tests recomputed from the logs, and the bytes under the budget."""
    from mulligan.cli.terminal import out as terminal
    from mulligan.records.leaderboard import entries, find
    from mulligan.records.report import leaderboard_rows
    from mulligan.records.table import read_table

    check_folders(out, csv)
    rows = read_table(file)
    found = entries(rows)
    reference = find(found, against) if against else None
    if against and reference is None:
        raise ValueError(
            f"--against {against}: no such record in {file}. Give the number of a pull request or a folder's name."
        )
    board = leaderboard_rows(found, reference)
    if out:
        from mulligan.report.records_page import records_page

        write(out, records_page(rows, found, reference))
    if _plain(board, csv, json):
        return 0
    _print_board(board, reference.name if reference else "parent")
    for path in (out, csv):
        if path:
            terminal.print(f"written    {path} ({path.stat().st_size:,} bytes)")
    return 0


def _print_board(board: list[dict[str, Any]], reference: str) -> None:
    from mulligan.cli.terminal import out, print_table

    rows = [
        [
            row["day"],
            row["record"] + ("" if row["merged"] else " (head)"),
            _number(row["score"], ".5f"),
            str(row["n"]),
            "" if row["sd"] is None else f"{1000 * row['sd']:.2f}",
            _number(row["margin_bytes"], ",") + (" OVER" if row["over_budget"] else ""),
            row["parent"] + (f" ({row['parent_n']})" if row["parent_n"] else ""),
            _number(row["parent_gain_mbpb"], "+.2f"),
            *(_number(row[f"parent_p_{name}"], ".2g") for name in ("fixed", "welch", "applied")),
            row["frontier"] + (f" ({row['frontier_n']})" if row["frontier_n"] else ""),
            _number(row["frontier_gain_mbpb"], "+.2f"),
            _number(row["frontier_p_applied"], ".2g"),
        ]
        for row in board
    ]
    columns = ["day", "record", "bits/byte", "n", "sd", "bytes left", f"{reference} (n)", "gain", "p fixed", "p Welch", "p"]
    print_table(
        "Leaderboard, from logs; lower is better. sd and gains in mBPB",
        [*columns, "frontier (n)", "gain", "p"],
        rows,
        right=(2, 3, 4, 5, 7, 8, 9, 10, 12, 13),
    )
    out.print(
        "p fixed: 0.005 nats better than the score that the other claims, t with n - 1 degrees of freedom. p Welch: the same, "
        "the other's seeds counted.\np: any gain, one-sided Welch (passes below 0.25). Empty: fewer than two runs, or no score "
        "of the other. Written rule: p < 0.01.\n"
    )


@app.command
def lineage(file: Table, /, *, csv: Csv = None, json: AsJson = False) -> int:
    """Show what each record says that it builds on, and where."""
    from mulligan.cli.terminal import out, print_table
    from mulligan.records.leaderboard import entries
    from mulligan.records.report import lineage_rows
    from mulligan.records.table import read_table

    rows = lineage_rows(entries(read_table(file)))
    if _plain(rows, csv, json):
        return 0
    for root in dict.fromkeys(row["lineage"] for row in rows):
        members = [row for row in rows if row["lineage"] == root]
        if len(members) > 1:
            print_table(f"Lineage of {root}", *_lineage_table(members), right=(2,))
    missing = sorted({row["named"] for row in rows if row["named"] and not row["parent"]}, key=lambda name: (len(name), name))
    print_table("Without kin in the table", *_lineage_table([row for row in rows if _is_alone(row, rows)]), right=(2,))
    if missing:
        out.print(f"Named as a base and not in the table (import them with --heads): {' '.join(missing)}")
    return 0


def _is_alone(row: dict[str, Any], rows: list[dict[str, Any]]) -> bool:
    return bool([other["lineage"] for other in rows].count(row["lineage"]) == 1)


def _lineage_table(members: list[dict[str, Any]]) -> tuple[list[str], list[list[str]]]:
    body = [
        [
            row["day"],
            row["record"],
            _number(row["score"], ".5f"),
            row["parent"] or (f"{row['named']} (not in the table)" if row["named"] else ""),
            f"{row['file']}:{row['line']}" if row["file"] else "",
            row["folder"],
        ]
        for row in members
    ]
    return ["day", "record", "bits/byte", "builds on", "said in", "folder"], body


@app.command
def noise(file: Table, /, *, csv: Csv = None, json: AsJson = False) -> int:
    """Show the spread between seeds of one record, pooled over each lineage of the ten-minute track."""
    from mulligan.cli.terminal import print_table
    from mulligan.records.leaderboard import entries
    from mulligan.records.report import noise_rows
    from mulligan.records.table import read_table

    rows = noise_rows(entries(read_table(file)))
    if _plain(rows, csv, json):
        return 0
    body = [
        [
            row["lineage"],
            str(row["records"]),
            str(row["pooled"]),
            str(row["df"]),
            f"{row['sd_mbpb']:.2f}",
            f"{row['low_mbpb']:.2f} to {row['high_mbpb']:.2f}",
        ]
        for row in rows
    ]
    columns = ["lineage", "records", "with several seeds", "df", "sd, mBPB", "95 % interval"]
    print_table("Noise floor: sd between seeds, pooled within records", columns, body, right=(1, 2, 3, 4))
    return 0


@app.command
def findings(file: Table, /, *, csv: Csv = None, json: AsJson = False) -> int:
    """List where README, submission.json and logs disagree, and what could not be read."""
    from mulligan.cli.terminal import print_table
    from mulligan.records.report import finding_rows
    from mulligan.records.table import read_table

    rows = finding_rows(read_table(file))
    if _plain(rows, csv, json):
        return 0
    body = [[row["folder"], row["name"], row["text"], row["file"] + (f":{row['line']}" if row["line"] else "")] for row in rows]
    print_table(f"{len(rows)} findings", ["record", "kind", "what", "where"], body)
    return 0


def _plain(rows: Sequence[dict[str, Any]], csv: Path | None, json: bool) -> bool:
    """Write the CSV and print the JSON that are asked for; return whether that was all."""
    from mulligan.cli.terminal import print_json

    check_folders(csv)
    if csv:
        import csv as writers
        import io

        text = io.StringIO()
        writer = writers.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write(csv, text.getvalue())
    if json:
        print_json(list(rows))
    return json


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
