"""Runs every rule on a submission; a rule that fails on a script says so in its own place, and the others go on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mulligan.review.finding import Finding, NotChecked
from mulligan.review.rule import Rule
from mulligan.review.rules import NAMES, RULES
from mulligan.review.subject import Subject

Status = Literal["pass", "warning", "not checked", "fail"]
CRASHED = "the check itself failed: "
NO_CHECK = "this version has no check of it"
MOST_REASON = 200


@dataclass(frozen=True)
class Review:
    """`findings` and `not_checked` are sorted, the violations first; a rule that is in neither passes."""

    findings: tuple[Finding, ...]
    not_checked: tuple[NotChecked, ...]

    @property
    def verdict(self) -> Literal["clean", "findings"]:
        """Whether there is a violation; warnings decide nothing."""
        return "findings" if any(found.severity == "violation" for found in self.findings) else "clean"

    @property
    def crashes(self) -> tuple[NotChecked, ...]:
        """The rules whose check failed on this script."""
        return tuple(found for found in self.not_checked if found.reason.startswith(CRASHED))

    def status(self, code: str) -> Status:
        """Return what is said of a rule; what was not wholly checked is no pass."""
        severities = {found.severity for found in self.findings if found.rule == code}
        if "violation" in severities:
            return "fail"
        if any(found.rule == code for found in self.not_checked):
            return "not checked"
        return "warning" if severities else "pass"

    def as_json(self) -> dict[str, Any]:
        """Return the review as JSON data."""
        return {
            "verdict": self.verdict,
            "findings": [vars(found) for found in self.findings],
            "not_checked": [vars(found) for found in self.not_checked],
        }


def review(subject: Subject, rules: Sequence[Rule] = RULES, codes: Sequence[str] = tuple(NAMES)) -> Review:
    """Return what the rules of these codes say of a submission; a code without a rule was not checked."""
    found: list[Finding | NotChecked] = []
    for code in codes:
        of_code = [rule for rule in rules if rule.code == code]
        found += [one for rule in of_code for one in _checked(rule, subject)]
        found += [] if of_code else [NotChecked(code, NO_CHECK)]
    return collect(found)


def collect(found: Sequence[Finding | NotChecked]) -> Review:
    """Return a review of findings in any order, each once."""
    findings = {one for one in found if isinstance(one, Finding)}
    unchecked = {one for one in found if isinstance(one, NotChecked)}
    return Review(
        tuple(
            sorted(
                findings, key=lambda one: (one.severity != "violation", number(one.rule), one.file, one.line or 0, one.message)
            )
        ),
        tuple(sorted(unchecked, key=lambda one: (number(one.rule), one.reason))),
    )


def number(code: str) -> int:
    """Return the number in a rule's code, by which rules are sorted."""
    return int(code[1:]) if code[1:].isdigit() else 99


def _checked(rule: Rule, subject: Subject) -> list[Finding | NotChecked]:
    """Return what a rule says; what it said before it failed is kept."""
    found: list[Finding | NotChecked] = []
    try:
        for one in rule.check(subject):
            found.append(one)  # noqa: PERF402 (what came before an error is kept)
    except Exception as error:  # other people's scripts hold everything; one rule must not take the others with it
        said = " ".join(f"{type(error).__name__}: {error}".split())[:MOST_REASON]
        found.append(NotChecked(rule.code, f"{CRASHED}{said}"))
    return found
