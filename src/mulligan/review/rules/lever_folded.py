"""Flag that the compiler folded

What it finds
    An attribute of a class that a method reads, set in a function after that function called `torch.compile`.
Why it matters
    Compiled code may hold what the attribute was when it was traced: the lever that it turns on late, such as
    quantization-aware training, may never have been on, and its effect is then of nothing.
Example
    `net = torch.compile(net)`, and 800 steps later `QuantizedLinear.active = True`.
What it cannot see
    Whether this version of the compiler guards the attribute and traces again: the log of compilations tells.
Source
    Dead levers; published stacks switched late quantization on so. A warning.
"""

import ast
from collections.abc import Iterator

from mulligan.review.finding import Finding, NotChecked
from mulligan.review.subject import Subject
from mulligan.review.syntax import assigned, last_name, reached

CODE = "levers"


def check(subject: Subject) -> Iterator[Finding | NotChecked]:
    """Yield attributes of classes that are set after compilation."""
    scopes = reached(subject)
    classes = {node.name for scope in scopes for node in scope.nodes if isinstance(node, ast.ClassDef)}
    read = {
        node.attr
        for scope in scopes
        if scope.owner and scope.name != "__init__"
        for node in scope.nodes
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }
    for scope in scopes:
        calls = [node for node in scope.nodes if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.compile"]
        compiled = min((call.lineno for call in calls), default=None)
        told: set[str] = set()
        for node in scope.nodes if compiled is not None else ():
            for target, _ in assigned(node):
                if not isinstance(target, ast.Attribute) or last_name(target.value) not in classes:
                    continue
                name = ast.unparse(target)
                if target.lineno > (compiled or 0) and target.attr in read and name not in told:
                    told.add(name)
                    message = f"{name} is set after torch.compile (line {compiled}): compiled code may not see it"
                    yield Finding(CODE, "dead_lever", "warning", scope.source.file, target.lineno, message)
