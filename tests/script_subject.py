"""A submission written for a test, and what a rule says of it."""

import ast
import textwrap

from mulligan.review.finding import Finding
from mulligan.review.subject import Source, Subject
from mulligan.submit.submitted import Submitted


def subject_of(folder, script, files=None):
    """Write train_gpt.py and other files, {name: text}; every .py of them is a source."""
    sources = []
    for name, text in {"train_gpt.py": script, **(files or {})}.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        text = textwrap.dedent(text)
        path.write_text(text, "utf-8")
        if name.endswith(".py"):
            sources.append(Source(name, 0, text, ast.parse(text)))
    return Subject(Submitted(folder), tuple(sources))


def findings(rule, subject):
    """Return a rule's findings, without what it did not check."""
    return [one for one in rule.check(subject) if isinstance(one, Finding)]


def not_checked(rule, subject):
    """Return the reasons of what a rule did not check."""
    return [one.reason for one in rule.check(subject) if not isinstance(one, Finding)]
