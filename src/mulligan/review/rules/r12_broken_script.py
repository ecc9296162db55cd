"""Script that does not run

What it finds
    Text that does not parse; an import, outside of conditions and `try`, of a module that neither Python, the folder,
    requirements.txt nor a distribution of the field provides, or of a name that the folder's own module does not have; an
    import that works on other hardware only; a name that nothing binds and that the script comes by whatever its settings
    are; an entry that calls nothing.
Why it matters
    Broken scripts are not accepted: nobody can repeat the number. Of 1,647 published scripts 20 import modules that were
    not handed in with them.
Example
    `from prepare import evaluate_bpb`, and the folder has no prepare.py.
What it cannot see
    Modules that a script writes or downloads before it imports them, and errors that hang on data or versions.
Source
    Rule R12; the challenge's README.
"""

import ast
from collections.abc import Iterator

from mulligan.review.finding import Finding, NotChecked, Severity
from mulligan.review.imports import ELSEWHERE, NEEDS, Needed, needed, provided, required
from mulligan.review.subject import Subject
from mulligan.review.syntax import Function, scopes
from mulligan.review.unbound import bound, unbound

CODE = "R12"
UNPARSED = "does not parse"


def check(subject: Subject) -> Iterator[Finding | NotChecked]:
    """Yield what keeps the script from running."""
    for problem in subject.problems:
        severity: Severity = "violation" if UNPARSED in problem.message else "warning"
        yield Finding(CODE, "broken_script", severity, problem.file, problem.line, problem.message)
    for source in subject.sources:
        told: set[str] = set()
        for one in needed(source):
            message = _wrong(subject, one)
            if message is None or one.first in told:
                continue
            told.add(one.first)
            if _made_by_itself(subject, one):
                yield NotChecked(
                    CODE, f"{source.file}:{one.line}: {message}; a literal has its name, so that it may be made first"
                )
            else:
                yield Finding(CODE, "broken_script", "violation", source.file, one.line, message)
    yield from _idle(subject)
    for unknown in unbound(subject):
        message = f"nothing binds the name {unknown.name}"
        message += "" if unknown.certain else "; it is an error where the script comes by it"
        severity = "violation" if unknown.certain else "warning"
        yield Finding(CODE, "broken_script", severity, unknown.source.file, unknown.line, message)


def _idle(subject: Subject) -> Iterator[Finding]:
    """Yield that the entry defines functions and calls nothing."""
    body = [statement for source in subject.sources if source.file == subject.entry for statement in source.tree.body]
    defines = any(isinstance(statement, Function) for statement in body)
    still = (Function, ast.ClassDef, ast.Import, ast.ImportFrom)
    calls = any(
        isinstance(node, ast.Call) for one in body if not isinstance(one, (*still, ast.Assign)) for node in ast.walk(one)
    )
    if defines and not calls:
        yield Finding(
            CODE, "broken_script", "violation", subject.entry, None, "it defines functions and calls none: run, it does nothing"
        )


def _made_by_itself(subject: Subject, one: Needed) -> bool:
    """Say whether the script may write a module, or make it in memory, before it imports it."""
    if one.first in ELSEWHERE or provided(one.first, subject.folder):
        return False
    ends = ("'", '"', ".py'", '.py"')
    return any(f"{begin}{one.first}{end}" in source.text for source in subject.sources for begin in "'\"/" for end in ends)


def _wrong(subject: Subject, one: Needed) -> str | None:
    """Return what is wrong with an import; None where nothing is known to be."""
    if one.level or not one.module:
        return None
    if one.first in ELSEWHERE:
        return f"{one.first} is needed, which drives {ELSEWHERE[one.first]}: the evaluation's GPUs cannot run this"
    other = NEEDS.get(one.module)
    if other and other not in required(subject.folder):
        return f"{one.module} needs {other}, which does not come with it and which no requirements.txt names"
    if not provided(one.first, subject.folder):
        return f"no module {one.first}: not in the folder, not in requirements.txt, no known distribution"
    return _lacking(subject, one)


def _lacking(subject: Subject, one: Needed) -> str | None:
    """Return which names an own module does not have."""
    modules = [scope for scope in scopes(subject) if scope.source.file == f"{one.module}.py" and scope.outer is None]
    if not modules or "*" in one.names:
        return None
    names = frozenset().union(*(bound(scope) for scope in modules))
    open_ended = any(
        word in scope.source.text for scope in modules for word in ("globals()", "import *", "__getattr__", "exec(")
    )
    missing = [name for name in one.names if name not in names]
    return f"{one.module}.py has no {', '.join(missing)}" if missing and not open_ended else None
