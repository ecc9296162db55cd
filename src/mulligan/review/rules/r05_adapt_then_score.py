"""Adaptation to tokens before they are scored

What it finds
    An optimizer step whose gradient comes from validation tokens that are scored afterwards with the weights that it changed:
    in a pass of its own before the artifact is made, in a pass before the final score, within a document or a chunk before
    its own score counts, or over several epochs of which the last one counts. Slices of the validation stream are told apart
    by the iterations of the loops that they depend on, so that a chunk that is scored first and trained on afterwards is
    clean, and so are phases that train on documents whose score is complete.
Why it matters
    The score of a token must come from the state before any update that used that token; else it measures memory.
Example
    `ttt_adapt(model, val_tokens)`, then `eval_val(model, val_tokens)`.
What it cannot see
    Updates that it does not follow: in compiled code, by a library's trainer, or under settings that the folder does not tell.
Source
    Rule R5; the organisers' rulings of 2026-03-20 to 28; condition C3.
"""

from collections.abc import Iterator

from mulligan.review.finding import Category, Finding, NotChecked
from mulligan.review.flow.value import Fault
from mulligan.review.rules.r04_val_training import trained
from mulligan.review.subject import Subject
from mulligan.review.told import told

CODE = "R5"
KINDS: dict[str, Category] = {"pre_quant_ttt": "pre_quant_ttt", "ttt_adapt_then_score": "ttt_adapt_then_score"}


def check(subject: Subject) -> Iterator[Finding | NotChecked]:
    """Yield the lines of such steps."""
    places = trained(subject)
    packed = {fault.place for fault in subject.trace.faults if fault.category == "pre_quant_ttt"}

    def wanted(fault: Fault) -> Category | None:
        if fault.rule != CODE or fault.place in places:
            return None
        return "pre_quant_ttt" if fault.place in packed else KINDS[fault.category]

    yield from told(subject, CODE, wanted)
