"""What a test found: a verdict on one rule, with the evidence in one line."""

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["pass", "fail", "not checked"]


@dataclass(frozen=True)
class Finding:
    """`rule`: its number and name. `evidence`: numbers and positions; of what was not checked, why."""

    rule: str
    verdict: Verdict
    evidence: str


def finding(rule: str, wrong: str | None, evidence: str) -> tuple[Finding]:
    """Return that a rule is kept, or broken where there is something `wrong`."""
    return (Finding(rule, "pass" if wrong is None else "fail", evidence if wrong is None else wrong),)


def not_checked(rule: str, why: str) -> tuple[Finding]:
    """Return that a rule was not checked."""
    return (Finding(rule, "not checked", why),)
