"""Findings from following a script: what a rule tells of the faults that are its own."""

from collections.abc import Callable, Iterator

from mulligan.review.finding import Category, Finding, NotChecked
from mulligan.review.flow.trace import UNPACKED, place_of
from mulligan.review.flow.value import Fault, Place
from mulligan.review.subject import Subject


def told(subject: Subject, code: str, wanted: Callable[[Fault], Category | None]) -> Iterator[Finding | NotChecked]:
    """Yield a finding for each line whose fault is `wanted`, under the category that it returns; else why nothing is known."""
    seen: dict[tuple[Place, Category], Fault] = {}
    for fault in subject.trace.faults:
        category = wanted(fault)
        if category is not None:
            seen.setdefault((fault.place, category), fault)
    for (place, category), fault in seen.items():
        yield finding(code, category, place, fault.message)
    if not seen:
        yield from unknown(subject, code)


def finding(code: str, category: Category, place: Place, message: str) -> Finding:
    """Return a violation at a place."""
    file, line = place_of(place)
    where = "in the unpacked text: " if place[0].endswith(UNPACKED) else ""
    return Finding(code, category, "violation", file, line, f"{where}{message.replace(UNPACKED, '')}")


def unknown(subject: Subject, code: str) -> Iterator[NotChecked]:
    """Yield why a rule cannot say that a script keeps it."""
    if not subject.sources:
        yield NotChecked(code, "there is no script that could be read")
    elif subject.trace.stopped:
        yield NotChecked(code, f"the script was not followed to its end: {subject.trace.stopped}")
    elif code in ("R6", "R7", "R9") and (native := [one for one in subject.trace.events if one.what == "native"]):
        yield NotChecked(
            code, f"compiled code has a part in the score that {native[-1].place[0]}:{native[-1].place[1]} reports"
        )
    elif not subject.trace.reports:
        yield NotChecked(code, "no score of validation tokens was seen to be reported, so there was nothing to follow")
