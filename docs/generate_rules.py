"""Write docs/rules.md from the cards of the review's rules; with --check, say whether it is up to date."""

import sys
from pathlib import Path

from mulligan.review.rules import EVIDENCE, NAMES, RULES

PAGE = Path(__file__).parent / "rules.md"
HEAD = """# The rules of the review

Generated from the rules' files by `docs/generate_rules.py`; do not edit. How to use them: [auditing](auditing.md). The same
card in the terminal: `mulligan audit --explain R6`.

| rule | about | reads |
|---|---|---|
"""


def main() -> None:
    """Write the page, or exit with 1 when it differs from what would be written."""
    text = HEAD
    for code, about in NAMES.items():
        checked = any(rule.code == code for rule in RULES)
        reads = (
            "nothing yet: never checked"
            if not checked
            else "logs, README, submission.json, sizes"
            if code in EVIDENCE
            else "code"
        )
        text += f"| {code} | {about} | {reads} |\n"
    for code in NAMES:
        for rule in (rule for rule in RULES if rule.code == code):
            text += f"\n## {code}: {rule.title}\n\n{rule.card}\n"
    if "--check" not in sys.argv:
        PAGE.write_text(text, "utf-8")
    elif not PAGE.is_file() or PAGE.read_text("utf-8") != text:
        sys.exit("docs/rules.md differs from the rules' files; run `python docs/generate_rules.py`.")


if __name__ == "__main__":
    main()
