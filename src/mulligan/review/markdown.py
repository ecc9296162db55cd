"""A review as Markdown, ready to post under a submission."""

from collections.abc import Iterator, Sequence

from mulligan.report.markdown import escape, table
from mulligan.review.finding import Finding
from mulligan.review.review import Review
from mulligan.review.rule import Rule
from mulligan.review.rules import NAMES, RULES


def review_markdown(name: str, review: Review, rules: Sequence[Rule] = RULES) -> str:
    """Return verdict, findings with file, line and why it matters, and what was not checked."""
    return "\n".join([f"# Review of {escape(name)}", "", *_verdict(review), *_findings(review, rules), *_rules(review)]) + "\n"


def place(found: Finding) -> str:
    """Return file and line of a finding."""
    return f"{found.file or '(folder)'}:{found.line}" if found.line is not None else found.file or "(folder)"


def _verdict(review: Review) -> list[str]:
    violations = sum(found.severity == "violation" for found in review.findings)
    warnings = len(review.findings) - violations
    passed = sum(review.status(code) == "pass" for code in NAMES)
    said = f"**{violations} violation{'s' * (violations != 1)}**, {warnings} warning{'s' * (warnings != 1)}; "
    return [f"{said}{passed} of {len(NAMES)} rules pass. Read without running anything, unless said otherwise.", ""]


def _findings(review: Review, rules: Sequence[Rule]) -> Iterator[str]:
    why = {rule.code: reason(rule) for rule in reversed(rules)}
    for severity, title in (("violation", "Violations"), ("warning", "Warnings")):
        found = [one for one in review.findings if one.severity == severity]
        if not found:
            continue
        yield from [f"## {title}", ""]
        for code in dict.fromkeys(one.rule for one in found):
            yield from [f"### {code}: {NAMES[code]}", ""]
            yield from (f"- `{place(one)}` ({one.category}): {escape(one.message)}" for one in found if one.rule == code)
            yield from ["", f"Why it matters: {why[code]}", ""] if code in why else [""]


def reason(rule: Rule) -> str:
    """Return what a card says under "Why it matters"."""
    lines = [line for line in rule.card.splitlines() if "**Why it matters**" in line]
    return lines[0].partition(": ")[2] if lines else ""


def _rules(review: Review) -> Iterator[str]:
    yield from ["## Every rule", ""]
    rows = []
    for code, name in NAMES.items():
        reasons = "; ".join(one.reason for one in review.not_checked if one.rule == code)
        rows.append([code, name, review.status(code), reasons])
    yield from table(["rule", "about", "verdict", "not checked"], rows)
