"""Many submissions in a few processes, each within a time limit; what runs out of time or memory is a review that says so."""

import multiprocessing
import resource
import signal
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from mulligan.review.finding import NotChecked
from mulligan.review.review import CRASHED, Review, collect, review
from mulligan.review.rules import NAMES
from mulligan.review.subject import Subject

PROCESSES = 2
TASKS_PER_PROCESS = 100
"""A process that has seen many scripts does not give all of its memory back."""
SECONDS = 60.0
AHEAD = 4
"""Tasks that wait for each process; their folders may be written only when they are asked for."""
TO_BYTES = 1 if sys.platform == "darwin" else 1024
ALL = tuple(NAMES)


class _OutOfTimeError(BaseException):
    """No rule's own handler of exceptions catches it."""


@dataclass(frozen=True)
class Task:
    """A folder or a script, and the rules that are wanted of it."""

    path: Path
    codes: tuple[str, ...] = ALL


@dataclass(frozen=True)
class Audited:
    """A review, the seconds that it took, and the most memory that its process has held so far, in bytes."""

    task: Task
    review: Review
    seconds: float
    peak_bytes: int


def audit(task: Task, limit_seconds: float = SECONDS) -> Audited:
    """Review a folder or a script; nothing of it is run, and nothing in it stops this.

    Beyond the limit every rule counts as failed. The clock is SIGALRM's, so it is kept in a main thread on POSIX alone.
    """
    started = time.monotonic()
    previous = signal.signal(signal.SIGALRM, _stop)
    signal.setitimer(signal.ITIMER_REAL, limit_seconds)
    try:
        found = review(Subject.read(task.path), codes=task.codes)
    except _OutOfTimeError:
        found = failed(task.codes, f"more than {limit_seconds:g} s")
    except Exception as error:  # of reading the folder, before any rule
        found = failed(task.codes, f"{type(error).__name__}: {error}")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    return Audited(task, found, time.monotonic() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * TO_BYTES)


def audit_all(tasks: Iterable[Task], processes: int = PROCESSES, limit_seconds: float = SECONDS) -> Iterator[Audited]:
    """Yield the review of each task, in their order; tasks are taken shortly before their turn. 0 processes: in this one."""
    if processes == 0:
        yield from (audit(task, limit_seconds) for task in tasks)
        return
    waiting: deque[tuple[Task, Future[Audited]]] = deque()
    pool = _pool(processes)
    try:
        for task in tasks:
            try:
                waiting.append((task, pool.submit(audit, task, limit_seconds)))
            except BrokenProcessPool:
                yield from _one_by_one(waiting, limit_seconds)
                pool = _pool(processes)
                waiting.append((task, pool.submit(audit, task, limit_seconds)))
            while len(waiting) >= AHEAD * processes:
                yield from _next(waiting, limit_seconds)
        while waiting:
            yield from _next(waiting, limit_seconds)
    finally:
        pool.shutdown(cancel_futures=True)


def _next(waiting: deque[tuple[Task, Future[Audited]]], limit_seconds: float) -> Iterator[Audited]:
    """Yield the first result; where a process has died, all that wait, each in a process of its own."""
    try:
        found = waiting[0][1].result()
    except BrokenProcessPool:
        yield from _one_by_one(waiting, limit_seconds)
        return
    waiting.popleft()
    yield found


def _one_by_one(waiting: deque[tuple[Task, Future[Audited]]], limit_seconds: float) -> Iterator[Audited]:
    while waiting:
        task, future = waiting.popleft()
        try:
            yield future.result()
        except BrokenProcessPool:
            with _pool(1) as alone:
                try:
                    yield alone.submit(audit, task, limit_seconds).result()
                except BrokenProcessPool:
                    yield Audited(task, failed(task.codes, "the process that read it died"), 0.0, 0)


def _pool(processes: int) -> ProcessPoolExecutor:
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(processes, mp_context=context, max_tasks_per_child=TASKS_PER_PROCESS)


def _stop(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
    raise _OutOfTimeError


def failed(codes: Sequence[str], why: str) -> Review:
    """Return a review of which every rule failed."""
    return collect([NotChecked(code, CRASHED + " ".join(why.split())[:200]) for code in codes])
