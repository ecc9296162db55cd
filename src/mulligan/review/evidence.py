"""What a folder's logs, README and submission.json say, as the rules of evidence need it: runs, the claimed one, places."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mulligan.records.read import SUBMISSION, decode
from mulligan.records.score import Score, claim_of, distinct_runs, score_of
from mulligan.records.stated import json_leaves
from mulligan.records.table import Row
from mulligan.submit.submitted import README, Submitted

NON_RECORD = re.compile(r"\bnon[-_ ]?record\b|unlimited[-_ ]compute", re.IGNORECASE)
HEAD_LINES = 20


@dataclass(frozen=True)
class LoggedRun:
    """One run of a log. `figures`: {name: row} of what is said once; `readings`: rows of seconds by reading's name."""

    name: str
    file: str
    seed: int | None
    figures: Mapping[str, Row]
    seconds: Mapping[str, Row]
    is_claimed: bool

    def value(self, name: str) -> float | None:
        """Return a figure's value, None where the log does not say it."""
        row = self.figures.get(name)
        return row.value if row else None


@dataclass(frozen=True)
class Evidence:
    """The evidence in a folder. A run is claimed where the claimed score is its own or a mean that it is in."""

    folder: Submitted

    @property
    def rows(self) -> list[Row]:
        """Every figure, with file and line."""
        return self.folder.record_rows

    @cached_property
    def score(self) -> Score | None:
        """The score that is claimed, by its runs."""
        return score_of(self.rows)

    @cached_property
    def claim(self) -> Row | None:
        """The score as it is stated."""
        return claim_of(self.rows)

    @cached_property
    def runs(self) -> tuple[LoggedRun, ...]:
        """The runs of the logs, each once. Where no set of runs has the claimed score, every run counts as claimed."""
        known = {row.run for row in self.score.rows if row.run} if self.score and self.score.agrees else set()
        return tuple(_run(name, rows, not known or name in known) for name, rows in distinct_runs(self.rows).items())

    @cached_property
    def claimed(self) -> tuple[LoggedRun, ...]:
        """The runs behind the claimed score."""
        return tuple(run for run in self.runs if run.is_claimed)

    @cached_property
    def is_record(self) -> bool:
        """Whether a place on the ranked track is claimed: the folder's track, and nothing that says "non-record"."""
        if self.folder.track != "record":
            return False
        about = [row.text for row in self.rows if row.kind == "about" and row.name in ("name", "submission_type", "track")]
        head = "\n".join(self.text(README).splitlines()[:HEAD_LINES])
        return not any(NON_RECORD.search(text) for text in (*about, head))

    def text(self, name: str) -> str:
        """Return a README, JSON or log of the folder as text; "" where there is none."""
        return decode(self.folder.texts.get(name, b""))

    def leaves(self) -> Iterator[tuple[str, str, Any, int]]:
        """Yield (file, dotted path, value, line) of submission.json; none where it is no JSON."""
        for name in self.folder.texts:
            if SUBMISSION.match(name):
                try:
                    yield from (
                        (name, ".".join(map(str, path)), value, line) for path, value, _, line in json_leaves(self.text(name))
                    )
                except (json.JSONDecodeError, RecursionError):
                    continue


def _run(name: str, rows: list[Row], is_claimed: bool) -> LoggedRun:
    figures = {row.name: row for row in rows if not row.reading}
    seconds = {row.reading: row for row in rows if row.name == "reading_seconds"}
    return LoggedRun(name, rows[0].file, rows[0].seed, figures, seconds, is_claimed)
