"""Parameter that no optimizer owns

What it finds
    A parameter of the network that none of the training's optimizers is given: the groups are worked out on the parameters'
    names.
Why it matters
    It keeps its first value for the whole run. What is said of its size, rate or start is said of nothing, and its
    gradient, which no optimizer clears, still counts where the norm of all is clipped.
Example
    Groups made of `net.blocks.named_parameters()` and `net.table.weight`, and the network has `net.pairs.weight` too.
What it cannot see
    Parameters that are made outside of constructors, and biases of the library's layers. Where a setting decides, both ways
    are gone, so that a parameter that is only owned under some settings is not found.
Source
    Dead levers; a hash table in a published stack was found so. A warning.
"""

import re
from collections.abc import Iterator

from mulligan.review.finding import Finding, NotChecked
from mulligan.review.network import Classes, Module, Parameter
from mulligan.review.owners import Owners, makes_optimizers
from mulligan.review.subject import Subject
from mulligan.review.syntax import Scope, reached

CODE = "levers"
MOST_TRIED = 3
ENOUGH = 0.5
MOST_BYTES = 1 << 20
SETS = re.compile(r"\b([A-Z][A-Z0-9_]{2,})=(\d+(?:\.\d+)?)\b")


def check(subject: Subject) -> Iterator[Finding | NotChecked]:
    """Yield the parameters that stay as they were made."""
    scopes = reached(subject)
    found = _followed(scopes, Classes(scopes, _asked(subject)))
    if found is None:
        yield NotChecked(CODE, "parameters in optimizers: how they are handed to the optimizers was not understood")
        return
    root, owned = found
    told: set[tuple[str, int, str]] = set()
    for name, parameter in root.named_parameters():
        key = (parameter.file, parameter.line, name.rsplit(".", 1)[0])
        if parameter not in owned and key not in told:
            told.add(key)
            message = f"{name} is given to no optimizer: it keeps the value that it starts with"
            yield Finding(CODE, "dead_lever", "warning", parameter.file, parameter.line, message)


def _followed(scopes: tuple[Scope, ...], classes: Classes) -> tuple[Module, set[Parameter]] | None:
    """Return the network and what of it optimizers own, where most of it is owned; None where it was not understood.

    Adaptation at scoring makes optimizers too: the function that makes the most is the training.
    """
    for root in classes.largest(MOST_TRIED):
        known = Owners(scopes, classes, root).optimizers
        several = sorted(scopes, key=lambda scope: -makes_optimizers(scope, known))
        for scope in (one for one in several[:MOST_TRIED] if makes_optimizers(one, known)):
            owners = Owners(scopes, classes, root)
            owners.run(scope)
            if len(owners.owned) >= ENOUGH * sum(1 for _ in root[1].named_parameters()):
                return root[1], owners.owned
    return None


def _asked(subject: Subject) -> dict[str, str]:
    """Return the variables that README and shell scripts set, the first value of each."""
    found: dict[str, str] = {}
    for path in subject.folder.files:
        if path.suffix in (".md", ".sh") and path.stat().st_size <= MOST_BYTES:
            for name, value in SETS.findall(path.read_text("utf-8", errors="replace")):
                found.setdefault(name, value)
    return found
