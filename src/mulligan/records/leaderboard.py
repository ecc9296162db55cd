"""The records as a leaderboard: scores from logs, tests recomputed, bytes under the budget, parents, noise per lineage.

Tests are those of `compare.record`: against the parent and against the frontier of its day, the written rule (0.005 nats per
token better at p < 0.01) and the applied one (p < 0.25), by t with as many degrees of freedom as the seeds give; never z.
"""

import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby

from mulligan.compare.noise import Noise, noise_floor
from mulligan.compare.record import Record, Rule, record
from mulligan.records.score import Score, claim_of, distinct_runs, score_of
from mulligan.records.table import Row

BUDGET = 16_000_000
RANKED = "track_10min_16mb"
KINSHIP = ("builds on", "base")


@dataclass
class Entry:
    """One record: what it claims, its score (None: no figure), bytes of its largest scored run, and what it comes from.

    `nats_per_bpb` is the ratio of its scores' two units (0.0 where unknown); `parents` are numbers or folders in the
    order in which they are named; `parent` is the record of the first, `frontier` the best earlier one under the budget;
    `name` is "PR 1716", or the folder without its day where the number is unknown.
    """

    track: str
    folder: str
    revision: str
    pull_request: int | None
    author: str
    day: str
    claim: Row | None
    score: Score | None
    nats_per_bpb: float
    total_bytes: int | None
    steps: tuple[int, ...]
    findings: int
    parents: tuple[Row, ...]
    levers: tuple[str, ...]
    name: str
    parent: "Entry | None" = field(default=None, repr=False)
    frontier: "Entry | None" = field(default=None, repr=False)

    @property
    def values(self) -> list[float]:
        """The score's bits per byte, one per run."""
        return self.score.values if self.score else []

    @property
    def mean(self) -> float | None:
        """The mean of the score."""
        return statistics.fmean(self.values) if self.values else None

    @property
    def margin_bytes(self) -> int | None:
        """Bytes left under the budget, of the largest scored run; negative: over."""
        return None if self.total_bytes is None else BUDGET - self.total_bytes

    @property
    def is_over(self) -> bool:
        """Whether a scored run exceeds the budget."""
        return self.margin_bytes is not None and self.margin_bytes < 0


def entries(rows: Sequence[Row]) -> list[Entry]:
    """Return the records by day, then pull request, with their parents and the frontier each had to beat."""
    kept = sorted(rows, key=lambda row: (row.track, row.folder, row.revision))
    found = [_entry(list(group)) for _, group in groupby(kept, key=lambda row: (row.track, row.folder, row.revision))]
    found.sort(key=lambda entry: (entry.day, entry.pull_request or 0, entry.folder))
    requests = Counter(entry.pull_request for entry in found)
    for number, entry in enumerate(found):
        if entry.pull_request and requests[entry.pull_request] > 1:
            entry.name += f" ({entry.folder.partition('_')[2][:16]})"
        others = [other for other in found if other is not entry]
        entry.parent = find(others, entry.parents[0].text) if entry.parents else None
        if entry.track == RANKED:
            earlier = [other for other in found[:number] if other.track == RANKED and not other.is_over and _is_merged(other)]
            entry.frontier = min((other for other in earlier if other.mean), key=lambda other: other.mean or 0, default=None)
    return found


def find(found: Sequence[Entry], name: str) -> Entry | None:
    """Return the record of a pull request's number or of a folder's name; of several folders of one request the last."""
    matching = [entry for entry in found if name in (entry.folder, str(entry.pull_request))]
    return matching[-1] if matching else None


@dataclass(frozen=True)
class Judged:
    """A record against a reference, both rules. `fixed` takes the score that the reference claims as exact, as claims do."""

    reference: Entry
    record: Record
    fixed: Rule

    @property
    def rules(self) -> tuple[Rule, Rule, Rule]:
        """The written rule against the claimed score, the written rule by Welch, the applied rule."""
        return self.fixed, self.record.rule("written, Welch"), self.record.rule("applied")


def judge(entry: Entry, reference: Entry | None) -> Judged | None:
    """Return both rules for a record against another; None where one of them has no score or no unit to convert by."""
    if reference is None or not entry.values or not reference.values or not entry.nats_per_bpb:
        return None
    found = record(reference.values, entry.values, unit="bits per byte", nats_per_bpb=entry.nats_per_bpb)
    claimed = [reference.claim.value] if reference.claim and reference.claim.value else reference.values
    fixed = record(claimed, entry.values, unit="bits per byte", nats_per_bpb=entry.nats_per_bpb)
    return Judged(reference, found, fixed.rule("written, fixed reference"))


@dataclass(frozen=True)
class Lineage:
    """Records that come from one another, the oldest first."""

    root: str
    members: tuple[Entry, ...]


def lineages(found: Sequence[Entry]) -> list[Lineage]:
    """Return the trees of parents, the largest first; a record without a parent in the table begins one."""
    groups: dict[int, list[Entry]] = {}
    for entry in found:
        root, seen = entry, {id(entry)}
        while root.parent is not None and id(root.parent) not in seen:
            root = root.parent
            seen.add(id(root))
        groups.setdefault(id(root), []).append(entry)
    return sorted((Lineage(group[0].name, tuple(group)) for group in groups.values()), key=lambda tree: -len(tree.members))


def pooled(members: Sequence[Entry]) -> Noise | None:
    """Return the pooled sd of logged scores that agree with their claim, of two seeds or more, each once; None without any."""
    scored = [entry for entry in members if entry.score and entry.score.how == "logs" and entry.score.agrees]
    logged = [entry for entry in scored if entry.score and entry.score.is_one_run_per_seed]
    return noise_floor({str(i): dict(enumerate(entry.values)) for i, entry in enumerate(logged)})


def _is_merged(entry: Entry) -> bool:
    return not entry.revision.startswith("refs/pull/")


def _entry(rows: list[Row]) -> Entry:
    first, score = rows[0], score_of(rows)
    about = {row.name: row.text for row in rows if row.kind == "about"}
    named = [row for row in rows if row.kind == "lineage"]
    figures = distinct_runs(rows)
    scored = [figures[row.run] for row in score.rows if row.run in figures] if score else []
    sizes = [row for run in scored for row in run if row.name == "total_bytes"]
    if not sizes:
        sizes = [row for row in rows if row.kind == "stated" and row.name == "total_bytes"]
    return Entry(
        track=first.track,
        folder=first.folder,
        revision=first.revision,
        pull_request=first.pull_request,
        author=about.get("github_id") or about.get("author", ""),
        day=about.get("day", ""),
        claim=claim_of(rows),
        score=score,
        nats_per_bpb=_ratio(rows, score),
        total_bytes=max((int(row.value) for row in sizes if row.value is not None), default=None),
        steps=tuple(int(row.value or 0) for run in scored for row in run if row.name == "steps"),
        findings=sum(row.kind == "finding" for row in rows),
        parents=tuple(row for how in KINSHIP for row in named if row.name == how),
        levers=tuple(sorted({row.name for row in rows if row.kind == "lever"})),
        name=f"PR {first.pull_request}" if first.pull_request else first.folder.partition("_")[2] or first.folder,
    )


def _ratio(rows: Sequence[Row], score: Score | None) -> float:
    """Return nats per token over bits per byte, from the score's own readings, else from those of the same claim."""
    if score is None:
        return 0.0
    nats = {(row.run, row.reading): row.value for row in rows if row.kind == "run" and row.name == "nats_per_token"}
    ratios = [value / row.value for row in score.rows if (value := nats.get((row.run, row.reading))) is not None and row.value]
    return statistics.fmean(ratios) if ratios else 0.0
