"""Setting that nothing reads

What it finds
    A setting that a class of settings takes from the environment, and whose name nothing of the script uses.
Why it matters
    Runs that differ in it alone are the same run: what is said of its effect is noise between repetitions.
Example
    `swa_every = int(environ.get("SWA_EVERY", 50))` in the settings, and no `args.swa_every` anywhere.
What it cannot see
    Settings that are reached by a name put together when the script runs.
Source
    Dead levers. A warning.
"""

import ast
from collections.abc import Iterator

from mulligan.review.finding import Finding, NotChecked
from mulligan.review.subject import Subject
from mulligan.review.syntax import assigned, last_name, scopes
from mulligan.submit.submitted import listed

CODE = "levers"


def check(subject: Subject) -> Iterator[Finding | NotChecked]:
    """Yield the settings of each class that nothing reads."""
    used: set[str] = set()
    for scope in scopes(subject):
        for node in scope.nodes:
            if isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load):
                used.add(last_name(node))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                used.add(node.value)
    for scope in scopes(subject):
        for node in scope.nodes:
            idle = [found for statement in node.body for found in _taken(statement)] if isinstance(node, ast.ClassDef) else []
            idle = [(name, line) for name, line in idle if name not in used]
            if idle:
                message = f"nothing reads {listed([name for name, _ in idle])}: runs that differ in it are the same"
                yield Finding(CODE, "dead_lever", "warning", scope.source.file, idle[0][1], message)


def _taken(statement: ast.stmt) -> Iterator[tuple[str, int]]:
    """Yield the names that a statement of a class takes from the environment."""
    for target, value in assigned(statement):
        calls = [ast.unparse(node.func) for node in ast.walk(value) if isinstance(node, ast.Call)]
        if isinstance(target, ast.Name) and any(call.endswith(("environ.get", "getenv")) for call in calls):
            yield target.id, target.lineno
