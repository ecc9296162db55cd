"""A submission written for a test, and what a rule says of it."""

import textwrap

from mulligan.review.finding import Finding
from mulligan.review.subject import Subject


def subject_of(folder, script, files=None):
    """Write train_gpt.py and other files, {name: text}, and read them."""
    for name, text in {"train_gpt.py": script, **(files or {})}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text), "utf-8")
    return Subject.read(folder)


def findings(rule, subject):
    """Return a rule's findings, without what it did not check."""
    return [one for one in rule.check(subject) if isinstance(one, Finding)]


def not_checked(rule, subject):
    """Return the reasons of what a rule did not check."""
    return [one.reason for one in rule.check(subject) if not isinstance(one, Finding)]
