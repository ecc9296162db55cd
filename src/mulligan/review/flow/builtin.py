"""Calls that hand over functions and names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mulligan.review.flow.attribute import attribute
from mulligan.review.flow.definition import Partial
from mulligan.review.flow.value import Val

if TYPE_CHECKING:
    from mulligan.review.flow.library import Call
    from mulligan.review.flow.machine import Machine


def get_attribute(machine: Machine, given: Call) -> Val | None:
    """Return what getattr returns."""
    if len(given.given) >= 2 and given.given[1].known and isinstance(given.given[1].const, str):
        return attribute(machine, given.given[0], given.given[1].const)
    return None


def set_attribute(machine: Machine, given: Call) -> Val | None:
    """Do what setattr does."""
    if len(given.given) == 3 and given.given[1].known and isinstance(given.given[1].const, str):
        machine.set_attribute(given.given[0], given.given[1].const, given.given[2])
    return Val()


def partial(machine: Machine, given: Call) -> Val | None:
    """Return a function with some of its arguments."""
    if not given.given or not given.given[0].calls:
        return None
    named = tuple(given.named.items())
    return Val(calls=tuple(Partial(one, tuple(given.given[1:]), named) for one in given.given[0].calls))


def started(machine: Machine, given: Call) -> Val | None:
    """Run a function that is handed over: a thread's target, an executor's job."""
    function = given.named.get("target") or given.argument(0)
    if function is None or not function.calls:
        return None
    arguments = given.named.get("args")
    rest = list(arguments.items) if arguments is not None and arguments.items is not None else given.given[1:]
    return machine.invoke(function, rest)


def nothing(machine: Machine, given: Call) -> Val:
    """Return what says nothing of data."""
    return Val()
