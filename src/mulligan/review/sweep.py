"""Many submissions in a few processes, each within a time limit; what runs out of time is a review that says so."""

import multiprocessing
import resource
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from mulligan.review.finding import NotChecked
from mulligan.review.review import CRASHED, Review, collect, review
from mulligan.review.rules import NAMES
from mulligan.review.subject import Subject

PROCESSES = 2
SECONDS = 60.0
TO_BYTES = 1 if sys.platform == "darwin" else 1024


class _OutOfTimeError(BaseException):
    """No rule's own handler of exceptions catches it."""


@dataclass(frozen=True)
class Audited:
    """A review, the seconds that it took, and the most memory that its process has held so far, in bytes."""

    path: Path
    review: Review
    seconds: float
    peak_bytes: int


def audit(path: Path, codes: Sequence[str] = tuple(NAMES), limit_seconds: float = SECONDS) -> Audited:
    """Review a folder or a script; nothing of it is run, and nothing in it stops this.

    Beyond the limit every rule counts as failed. The clock is SIGALRM's, so it is kept in a main thread on POSIX alone.
    """
    started = time.monotonic()
    previous = signal.signal(signal.SIGALRM, _stop)
    signal.setitimer(signal.ITIMER_REAL, limit_seconds)
    try:
        found = review(Subject.read(path), codes=codes)
    except _OutOfTimeError:
        found = _failed(codes, f"more than {limit_seconds:g} s")
    except Exception as error:  # of reading the folder, before any rule
        found = _failed(codes, f"{type(error).__name__}: {error}")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    return Audited(path, found, time.monotonic() - started, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * TO_BYTES)


def audit_all(
    paths: Sequence[Path], codes: Sequence[str] = tuple(NAMES), processes: int = PROCESSES, limit_seconds: float = SECONDS
) -> Iterator[Audited]:
    """Yield the review of each path, in their order."""
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(audit, paths, [codes] * len(paths), [limit_seconds] * len(paths))


def _stop(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
    raise _OutOfTimeError


def _failed(codes: Sequence[str], why: str) -> Review:
    return collect([NotChecked(code, CRASHED + " ".join(why.split())[:200]) for code in codes])
