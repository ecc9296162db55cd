"""Where predictions meet targets: a score, and what is wrong with it."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from mulligan.review.flow.value import NONE, Data, Fault, Fitted, Gated, Looked, Mark, Mixed, Place, Tag, Tags, Turn, overlap

if TYPE_CHECKING:
    from mulligan.review.flow.machine import Machine

MODELLED: Tags = frozenset({Mark.SCORE, Mark.PREDICTION, Mark.LENGTH})


def scored(machine: Machine, prediction: Tags, gold: Tags) -> Tags:
    """Return what a loss carries: its data, what the prediction was fitted on, and the faults that follow from both."""
    kept = frozenset(tag for tag in prediction | gold if isinstance(tag, Turn | Data | Fitted | Fault | Looked))
    targets = {tag for tag in gold if isinstance(tag, Data)}
    faults = set(faults_of(machine, (tag for tag in prediction if isinstance(tag, Fitted)), targets))
    if Mark.PREDICTION in prediction and targets:
        machine.note("score", gold)
    return kept | faults | {Mark.SCORE}


def faults_of(machine: Machine, fits: Iterable[Fitted], targets: set[Data]) -> Iterable[Tag]:
    """Yield a fault for state that was fitted on the validation tokens that it now scores."""
    open_loops = machine.open_loops
    for fit in fits:
        for target in targets:
            if fit.data.split == target.split == "val" and overlap(fit.data, target, open_loops):
                yield _adapted(machine, fit, bool(fit.loops & open_loops))
                break


def _adapted(machine: Machine, fit: Fitted, same_loop: bool) -> Fault:
    at = _at(machine.place)
    if fit.how == "tensor":
        said = f"a tensor is fitted here on targets that are then scored with it ({at})"
        return Fault("R8", "slot", fit.place, said, fit.data.cuts)
    if fit.how == "counts":
        said = f"counts are taken here from tokens that are then scored with them ({at})"
        return Fault("R7", "two_pass", fit.place, said)
    if not fit.packed:
        when = "" if same_loop else ", in a pass of its own"
        said = f"weights are updated here on tokens that are scored afterwards ({at}){when}"
        return Fault("R5", "ttt_adapt_then_score", fit.place, said, fit.data.cuts)
    said = f"weights are fitted here on validation tokens, before the artifact is made that scores them ({at})"
    return Fault("R5", "pre_quant_ttt", fit.place, said)


def _at(place: Place) -> str:
    return f"{place[0]}:{place[1]}"


def checked(machine: Machine, tags: Tags, parts: Sequence[Tags]) -> Tags:
    """Return tags, with a fault where a score is mixed with what an adaptive table holds at the target."""
    scores = [part for part in parts if Mark.SCORE in part]
    lookups = [part for part in parts if _looked(part) and Mark.SCORE not in part]
    answers = [part for part in parts if Mark.ANSWER in part and Mark.SCORE not in part]
    found: set[Tag] = set()
    for gate in {tag for part in parts if Mark.SCORE not in part for tag in part if isinstance(tag, Gated)} if scores else ():
        said = (
            f"the kind of the target decides here what a table says of it, and its score takes that in ({_at(machine.place)})"
        )
        found.add(Fault("R6", "ngram_target_gating", gate.place, said))
    if scores and answers:
        said = "the score is changed where what a file holds is the target: the answer is in the artifact"
        found.add(Fault("R4", "paid_prefix", machine.place, said))
    targets = {tag for score in scores for tag in score if isinstance(tag, Data)}
    for part in parts if scores else ():
        if Mark.LENGTH not in part and Mark.SCORE not in part:
            counts = [tag for tag in part if isinstance(tag, Fitted) and tag.how == "counts"]
            found |= set(faults_of(machine, counts, targets))
    if not (scores and lookups):
        return tags | found
    for part in lookups:
        in_bytes = Mark.BYTES in part or any(Mark.SPREAD in score for score in scores)
        for tag in part:
            if isinstance(tag, Looked) and tag.steps is None:
                found.add(_mixture(machine, tag, in_bytes))
    return tags | found


def _mixture(machine: Machine, looked: Looked, in_bytes: bool) -> Fault:
    at = _at(machine.place)
    if in_bytes:
        said = f"a model of bytes is asked here for the realised bytes only, and mixed with the token's score ({at})"
        return Fault("R9", "byte_ppm", looked.place, said)
    said = f"a table is looked up here with the target, and what it holds is mixed with the target's score alone ({at})"
    return Fault("R6", "ngram_cache", looked.place, said)


def chosen(machine: Machine, test: Tags, one: Tags, other: Tags, elementwise: bool = False) -> Tags:
    """Return a fault where the better of two scores of the same token is kept."""
    compared = not test or Mark.SCORE in test
    both = Mark.SCORE in one and Mark.SCORE in other and elementwise and compared
    mixed = compared and ((Mark.SCORE in one and _looked(other)) or (Mark.SCORE in other and _looked(one)))
    return oracle(machine) if both or (mixed and elementwise) or Mark.BETTER in test else NONE


def oracle(machine: Machine) -> Tags:
    """Return the fault of keeping what turned out better."""
    said = "the better of two predictions is kept for each token, after the token is known"
    return frozenset({Fault("R6", "oracle_selection", machine.place, said)})


def _looked(tags: Tags) -> bool:
    return any(isinstance(tag, Looked) and tag.steps is None for tag in tags)


def counted(machine: Machine, at: Tags) -> Tags:
    """Return what a table holds once it was changed at an index made of tokens."""
    loops = frozenset(turn.loop for turn in machine.running)
    bytes_too = {Mark.BYTES} & at
    data = {tag for tag in at if isinstance(tag, Data)}
    return frozenset(Fitted(tag, "counts", machine.place, loops) for tag in data) | bytes_too


def looked_up(machine: Machine, tags: Tags, content: Tags, at: Tags) -> Tags:
    """Return what is read from `content` at an index."""
    if Mark.PREDICTION in content:
        return scored(machine, tags, at) if Mark.GOLD in at else tags
    adaptive = any(isinstance(tag, Fitted) and tag.how == "counts" for tag in content)
    if adaptive and Mark.GOLD in at and _current(machine, at):
        return (tags - {Mark.GOLD}) | {Looked(machine.place)} | ({Mark.BYTES} & at)
    if adaptive and any(isinstance(tag, Data) for tag in at):
        return tags | {Looked(machine.place, frozenset(tag for tag in at if isinstance(tag, Mixed)))}
    if any(isinstance(tag, Data) for tag in content):
        return tags
    if Mark.MASK in at and not any(isinstance(tag, Data) for tag in at):  # which elements are taken, not what they are
        return tags
    return tags | frozenset(tag for tag in at if tag is not Mark.NEXT)


def hashed(tags: Tags, parts: Sequence[Tags], node: ast.AST) -> Tags:
    """Return what a number that is made of two or more tokens knows: the step that put them together."""
    tokens = [part for part in parts if any(isinstance(tag, Data) for tag in part) and not part & MODELLED]
    if len(tokens) < 2 or any(isinstance(tag, Fitted) for part in tokens for tag in part):
        return tags
    return tags | {Mixed(getattr(node, "lineno", 0), getattr(node, "col_offset", 0))}


def says_something(tags: Tags) -> bool:
    """Say whether a value is a score or what a table says of the target."""
    return Mark.SCORE in tags or _looked(tags)


def gating(machine: Machine, test: Tags) -> bool:
    """Say whether a condition knows the target of this iteration."""
    return Mark.GOLD in test and _current(machine, test) and not any(isinstance(tag, Fitted) for tag in test)


def gated(machine: Machine, tags: Tags) -> Tags:
    """Return what is put away of a table's answer under a condition that knows the target."""
    adaptive = any(isinstance(tag, Looked) or (isinstance(tag, Fitted) and tag.how == "counts") for tag in tags)
    return frozenset({Gated(machine.gate)}) if machine.gate is not None and adaptive else NONE


def settled_past(machine: Machine, tags: Tags) -> Tags:
    """Return what a value keeps that is put away in an iteration: counts of earlier iterations cannot hold its token."""
    now = {turn.loop: turn.number for turn in machine.running}

    def past(tag: Tag) -> bool:
        if not isinstance(tag, Fitted) or tag.how != "counts":
            return False
        numbers: dict[int, set[int]] = {}
        for turn in tag.data.turns:
            numbers.setdefault(turn.loop, set()).add(turn.number)
        return any(now[loop] not in found for loop, found in numbers.items() if loop in now)

    return frozenset(tag for tag in tags if not past(tag))


def _current(machine: Machine, at: Tags) -> bool:
    """Say whether an index may hold the tokens of this iteration; those of an earlier one are context by now."""
    now = {turn.loop: turn.number for turn in machine.running}
    for tag in at:
        if isinstance(tag, Data):
            numbers: dict[int, set[int]] = {}
            for turn in tag.turns:
                numbers.setdefault(turn.loop, set()).add(turn.number)
            if all(now[loop] in found for loop, found in numbers.items() if loop in now):
                return True
    return False


def divided(machine: Machine, tags: Tags, above: Tags, below: Tags) -> Tags:
    """Return a quotient's tags: a score that is shared out among the bytes of its token."""
    contexts = [tag.steps for tag in below if isinstance(tag, Looked) and tag.steps is not None]

    def conditional(tag: Tag) -> bool:
        return isinstance(tag, Looked) and tag.steps is not None and any(context < tag.steps for context in contexts)

    if contexts:  # counts of a context and a token, among those of the context: how likely that very token is
        tags = frozenset(Looked(tag.place) if isinstance(tag, Looked) and conditional(tag) else tag for tag in tags)
    if Mark.SCORE in above and Mark.LENGTH in below and Mark.GOLD in below:
        return tags | {Mark.SPREAD}
    return tags


def compared(tags: Tags, parts: Sequence[Tags] = ()) -> Tags:
    """Return what a comparison knows: it is no token any more."""
    more: set[Tag] = {Mark.MASK}
    if any(Mark.GOLD in part for part in parts) and any(Mark.STORED in part and Mark.GOLD not in part for part in parts):
        more.add(Mark.ANSWER)
    if len(parts) == 2 and all(Mark.SCORE in part or _looked(part) for part in parts) and any(map(_looked, parts)):
        more.add(Mark.BETTER)
    kept = frozenset(tag for tag in tags if not isinstance(tag, Data))
    return (kept - {Mark.NEXT, Mark.STORED, Mark.BUDGET, Mark.RESERVED}) | more
