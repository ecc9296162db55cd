"""State that crosses from one document into the next

What it finds
    A gate that adds the previous token's state to a token's own, `x[:, 1:] + g * x[:, :-1]` in any form, where no
    comparison of tokens shuts it at the start of a document, in a script whose attention does not cross documents.
Why it matters
    The first token of a document then sees the last one of the document before it, which is another text: the rest of the
    stack was built so that this cannot be.
Example
    `x = torch.cat([x[:, :1], x[:, 1:] + g * x[:, :-1]], dim=1)` beside attention over `cu_seqlens`.
What it cannot see
    Recurrent states and caches, and whether the comparison that shuts the gate is with the right token. Attention over
    documents in a row is ordinary, and no finding.
Source
    Rule R13, ruled once; a warning.
"""

import ast
from collections.abc import Iterator

from mulligan.review.finding import Finding, NotChecked
from mulligan.review.subject import Subject
from mulligan.review.syntax import Scope, assigned, last_name, reached

CODE = "R13"
ISOLATES = ("varlen", "create_block_mask")
"""Parts of the names of the libraries' functions that keep documents apart."""
ENDS = "cu_seqlens"
"""How the argument's name begins by which attention is told where documents end."""
MOST_ROUNDS = 4


def check(subject: Subject) -> Iterator[Finding | NotChecked]:
    """Yield the gates that stay open at the start of a document."""
    scopes = [scope for scope in reached(subject) if not isinstance(scope.node, ast.Module)]
    if not any(_isolates(node) for scope in scopes for node in scope.nodes):
        return
    for scope in scopes:
        found = _open_gate(scope)
        if found is not None:
            message = "the previous token's state is added, and no comparison of tokens shuts it off at the start of a document"
            yield Finding(CODE, "smear_bos_leak", "warning", scope.source.file, found.lineno, message)


def _isolates(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call):
        return False
    told = any((one.arg or "").startswith(ENDS) and not isinstance(one.value, ast.Constant) for one in node.keywords)
    return told or any(part in last_name(node.func) for part in ISOLATES)


def _open_gate(scope: Scope) -> ast.expr | None:
    """Return the product of a gate and the state before it that is added to a state, where nothing can shut it."""
    pairs = [(target.id, value) for node in scope.nodes for target, value in assigned(node) if isinstance(target, ast.Name)]
    before = {name for name, value in pairs if _holds_shift(value, set())}
    for node in scope.nodes:
        if not isinstance(node, ast.BinOp) or not isinstance(node.op, ast.Add):
            continue
        for product, other in ((node.left, node.right), (node.right, node.left)):
            if not isinstance(product, ast.BinOp) or not isinstance(product.op, ast.Mult):
                continue
            for gate, state in ((product.left, product.right), (product.right, product.left)):
                gated = _holds_shift(state, before) and not isinstance(gate, ast.Constant) and not _holds_shift(gate, before)
                if gated and _made_of(state, pairs) & _state(other) and not _compared(scope, node, pairs):
                    return product
    return None


def _holds_shift(node: ast.expr, names: set[str]) -> bool:
    """Say whether an expression is `x[:, :-1]`, padded or not, or one of the names that are; hashes of tokens are not meant."""
    if any(isinstance(inner, (ast.BitXor, ast.Mod, ast.Compare)) for inner in ast.walk(node)):
        return False
    if isinstance(node, ast.Name):
        return node.id in names
    if isinstance(node, ast.Subscript):
        return _shifts(node)
    if isinstance(node, ast.Call) and last_name(node.func) in ("cat", "concat", "pad", "contiguous", "to", "roll"):
        owner = [node.func.value] if isinstance(node.func, ast.Attribute) else []
        parts = [
            part for one in (*owner, *node.args) for part in (one.elts if isinstance(one, (ast.List, ast.Tuple)) else [one])
        ]
        return any(_holds_shift(part, names) for part in parts)
    return False


def _shifts(node: ast.Subscript) -> bool:
    parts = node.slice.elts if isinstance(node.slice, ast.Tuple) else []
    return any(
        isinstance(part, ast.Slice) and part.lower is None and ast.unparse(part.upper or part) == "-1" for part in parts[1:]
    )


def _state(node: ast.expr) -> set[str]:
    """Return the names of an expression."""
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}


def _made_of(node: ast.expr, pairs: list[tuple[str, ast.expr]]) -> set[str]:
    names = _state(node)
    return names | {name for target, value in pairs if target in names for name in _state(value)}


def _compared(scope: Scope, node: ast.expr, pairs: list[tuple[str, ast.expr]]) -> bool:
    """Say whether a comparison, here or in what the names here are made of, or an argument, may shut the gate."""
    given = {one.arg for one in scope.parameters[1:]} if scope.owner else {one.arg for one in scope.parameters}
    names, parts = _state(node), [node]
    for _ in range(MOST_ROUNDS):
        parts = [node, *(value for name, value in pairs if name in names)]
        names |= {name for part in parts for name in _state(part)}
    if any(isinstance(inner, ast.Compare) for part in parts for inner in ast.walk(part)):
        return True
    masks = [last_name(inner.func) for part in parts for inner in ast.walk(part) if isinstance(inner, ast.Call)]
    return bool({"masked_fill", "where", "eq", "ne"} & set(masks)) or len(names & given) > 1
