"""Validation data in training

What it finds
    Validation tokens in the training loop itself: they feed the same optimizer step that training tokens feed, or they are
    all that training reads; a command of the README or of a shell script that gives a validation shard the name of a
    training shard; a score that is changed where a file beside the weights holds the target.
Why it matters
    A network that was trained on what it is scored on, or an artifact that holds the answers, compresses nothing.
Example
    `ln -s fineweb_val_000000.bin valonly/fineweb_train_000000.bin`, then `DATA_PATH=valonly`.
What it cannot see
    Folders of data that were prepared elsewhere: see the rule on data preparation.
Source
    Rule R4; the challenge's README, with what was added on 2026-03-20.
"""

import re
from collections.abc import Iterator

from mulligan.review.finding import Category, Finding, NotChecked
from mulligan.review.flow.value import Fault, Place
from mulligan.review.subject import Subject
from mulligan.review.told import told

CODE = "R4"
RENAMED = re.compile(r"\b(?:ln|cp|mv|rsync|copy)\b[^\n]*?val[^\s/]*\.(?:bin|npy)[^\S\n]+[^\n]*?train[^\s/]*\.(?:bin|npy)", re.I)


def check(subject: Subject) -> Iterator[Finding | NotChecked]:
    """Yield lines where validation tokens are trained on or where the artifact holds them."""
    yield from _renamed(subject)
    places = trained(subject)

    def wanted(fault: Fault) -> Category | None:
        if fault.category == "paid_prefix":
            return "paid_prefix"
        return "val_training" if fault.rule == "R5" and fault.place in places else None

    yield from told(subject, CODE, wanted)


def trained(subject: Subject) -> frozenset[Place]:
    """Return where optimizer steps take training data; where none does, where a step comes before any score."""
    steps = [event for event in subject.trace.events if event.what == "step"]
    ordinary = {event.place for event in steps if any(data.split == "train" for data in event.data)}
    return frozenset(ordinary or {event.place for event in steps[:1]})


def _renamed(subject: Subject) -> Iterator[Finding]:
    for name, data in subject.folder.texts.items():
        if not name.lower().endswith((".md", ".sh")):
            continue
        text = data.decode("utf-8", errors="replace")
        for found in RENAMED.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            said = "a validation shard is given the name of a training shard"
            yield Finding(CODE, "val_training", "violation", name, line, said)
