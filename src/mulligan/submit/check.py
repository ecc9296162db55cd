"""`mulligan submit check`: every check of a record folder, which track asks for it, and what is missing for each track."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from mulligan.audit.finding import Finding
from mulligan.submit.check_branch import branch
from mulligan.submit.check_bytes import stated_bytes, total_bytes
from mulligan.submit.check_code import files, helpers, recipe, requirements, schema, script
from mulligan.submit.check_legal import AtHand, evaluator, judged
from mulligan.submit.check_record import record_rules, seeds
from mulligan.submit.check_scores import one_factor, score
from mulligan.submit.check_seeds import configuration, evaluation_clock, logs, stated_seeds, training_clock
from mulligan.submit.submission import TRACKS, Track
from mulligan.submit.submitted import Submitted


@dataclass(frozen=True)
class Checked:
    """A finding, and whether only a record is asked for it."""

    finding: Finding
    record_only: bool


def check(folder: Submitted, at_hand: AtHand, against: str | None = None, since: str | None = None) -> list[Checked]:
    """Return what every check finds. ValueError where `against` or `since` mean nothing."""
    both: Sequence[Callable[[Submitted], tuple[Finding, ...]]] = (
        files,
        schema,
        script,
        recipe,
        helpers,
        requirements,
        total_bytes,
        stated_bytes,
        logs,
        partial(configuration, differs=at_hand.differs),
        stated_seeds,
        score,
        one_factor,
        evaluator,
        partial(judged, at_hand=at_hand),
        *([partial(branch, since=since)] if since else []),
    )
    record_only: Sequence[Callable[[Submitted], tuple[Finding, ...]]] = (
        seeds,
        training_clock,
        evaluation_clock,
        partial(record_rules, against=against),
    )
    return [Checked(found, kind is record_only) for kind in (both, record_only) for one in kind for found in one(folder)]


def of_track(checked: Sequence[Checked], track: Track) -> list[Finding]:
    """Return the findings that a track asks for."""
    return [one.finding for one in checked if track == "record" or not one.record_only]


def missing(checked: Sequence[Checked]) -> dict[Track, dict[str, list[str]]]:
    """Return for each track which rules fail and which were not checked."""
    return {
        track: {
            verdict: [found.rule for found in of_track(checked, track) if found.verdict == verdict]
            for verdict in ("fail", "not checked")
        }
        for track in TRACKS
    }
