"""Calibration on training data after the clock

What it finds
    A network that is run on training tokens after the last training step and before the artifact is written, where nothing
    in the loop ends training earlier than the limit: no reserve is taken off it and it is not set below ten minutes.
Why it matters
    Training data may be read only while training's clock runs; calibration for a quantizer that follows 600 s of training is
    training-data access at evaluation.
Example
    The loop stops at `elapsed >= 600`, then `collect_hessians(model, train_loader)` feeds the quantizer.
What it cannot see
    How long calibration took, and whether a reserve was long enough: the logs say that.
Source
    Rule R3; the organisers' ruling of 2026-03-24 on thirteen entries.
"""

from collections.abc import Iterator

from mulligan.review.finding import Finding, NotChecked
from mulligan.review.flow.machine import Event
from mulligan.review.subject import Subject
from mulligan.review.told import finding, unknown

CODE = "R3"


def check(subject: Subject) -> Iterator[Finding | NotChecked]:
    """Yield the first line after training that runs the network on training tokens."""
    events = subject.trace.events
    steps = [i for i, event in enumerate(events) if event.what == "step" and _trains(event)]
    if not steps:
        yield from unknown(subject, CODE)
        return
    training = set(events[steps[-1]].loops[:1])
    after = [event for event in events[steps[-1] + 1 :] if event.leaving or not training & set(event.loops)]
    if any(event.what == "clock" and event.detail for event in events):
        return
    written = [i for i, event in enumerate(after) if event.what == "serialize"]
    read = [event for event in after[: written[-1] if written else 0] if event.what in ("predict", "grad") and _trains(event)]
    if read:
        said = "the network is run on training tokens after training's clock has stopped, and no time was reserved for it"
        yield finding(CODE, "gptq_train_data_at_eval", read[0].place, said)


def _trains(event: Event) -> bool:
    return any(data.split == "train" for data in event.data)
