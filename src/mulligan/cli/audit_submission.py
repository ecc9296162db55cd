"""`mulligan audit PATH` on what somebody submitted: rule by rule, on the terminal, as JSON, as Markdown. Torch-free."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mulligan.review.review import Review

FINDINGS = 1


def audit_submission(path: Path, page: Path | None, *, run: bool, as_json: bool) -> int:
    """Review a folder or a script, print what was found, and return the exit code; with `run` also its smoke test."""
    from mulligan.cli.terminal import out, print_json
    from mulligan.review.markdown import review_markdown
    from mulligan.review.review import collect, review
    from mulligan.review.subject import Subject

    subject = Subject.read(path)
    found = review(subject)
    facts: dict[str, Any] = {}
    if run:
        from mulligan.review.smoke.run import smoke

        more, facts = smoke(subject)
        found = collect([*found.findings, *found.not_checked, *more])
    if page:
        page.write_text(review_markdown(path.resolve().name, found), "utf-8")
    if as_json:
        print_json(found.as_json())
        return FINDINGS if found.verdict == "findings" else 0
    print_review(path.resolve().name, found)
    if facts:
        out.print("run        " + ", ".join(f"{name} {value}" for name, value in facts.items()))
    if page:
        out.print(f"written    {page}")
    return FINDINGS if found.verdict == "findings" else 0


def print_review(name: str, review: "Review") -> None:
    """Print every rule in a row, then the findings with file and line."""
    from mulligan.cli.terminal import out, print_table
    from mulligan.review.markdown import place
    from mulligan.review.rules import NAMES

    rows = []
    for code, about in NAMES.items():
        status = review.status(code)
        reasons = [one.reason for one in review.not_checked if one.rule == code]
        rows.append([code, about, status.upper() if status == "fail" else status, "; ".join(reasons)])
    print_table(name, ["rule", "about", "verdict", "not checked"], rows)
    for severity in ("violation", "warning"):
        found = [one for one in review.findings if one.severity == severity]
        cells = [[one.rule, one.category, place(one), one.message] for one in found]
        if cells:
            print_table(f"{severity.capitalize()}s", ["rule", "category", "where", "what"], cells)
    out.print(conclusion(review))


def conclusion(review: "Review") -> str:
    """Return in a line what a review amounts to."""
    from mulligan.review.rules import NAMES

    by = {status: [code for code in NAMES if review.status(code) == status] for status in ("fail", "warning", "not checked")}
    passed = len(NAMES) - sum(map(len, by.values()))
    said = [f"{passed} of {len(NAMES)} pass"]
    said += [f"{'FAILS' if status == 'fail' else status}: {', '.join(codes)}" for status, codes in by.items() if codes]
    return "; ".join(said)


def explain(code: str, *, as_json: bool) -> int:
    """Print the cards of a rule, or one line for each rule where `code` is `all`. ValueError where there is no such rule."""
    from mulligan.cli.terminal import out, print_json, print_table
    from mulligan.review.rules import NAMES, RULES

    wanted = code.upper()
    if wanted not in (*NAMES, "ALL"):
        raise ValueError(f"--explain {code}: no such rule. Allowed: all, {', '.join(NAMES)}.")
    rules = [rule for rule in RULES if wanted in ("ALL", rule.code)]
    if as_json:
        print_json({"rules": [{"code": rule.code, "title": rule.title, "card": rule.card} for rule in rules]})
    elif wanted == "ALL":
        print_table("Rules", ["rule", "what it finds"], [[rule.code, rule.title] for rule in rules])
    for rule in rules if wanted != "ALL" and not as_json else ():
        out.print(f"{rule.code}  {rule.title}\n\n{rule.card}\n", soft_wrap=False)
    if not rules:
        raise ValueError(f"--explain {code}: this version has no check of {NAMES[wanted]}.")
    return 0
