"""A local pool: one process per running job, each with its own number of threads; a failing job stops only what reads it.

Workers outlive jobs, so that torch is imported once each. One that dies is replaced and its job tried once more, from its
last segment; a parent that dies takes its workers with it.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from mulligan.core.error import StoreCorruptError
from mulligan.core.execution import Execution
from mulligan.engine.inline import Done, missing_jobs
from mulligan.engine.job import Job
from mulligan.lever_file import load_lever_file, loaded_files
from mulligan.store.store import Store

ATTEMPTS = 2
ENDING_SECONDS = 5.0


@dataclass(frozen=True)
class PoolSize:
    """`workers` processes of `threads` threads each."""

    workers: int
    threads: int


@dataclass
class Running:
    """What a worker last said of its job: `done` of `total` (0 of 0 until it says anything), and a note."""

    job: Job
    done: int = 0
    total: int = 0
    note: str = ""

    def __str__(self) -> str:
        seed = "" if self.job.call.seed is None else f", seed {self.job.call.seed}"
        far = f" {self.done}/{self.total}" if self.total else ""
        return f"{self.job.name}{seed}{far} {self.note}".strip()


@dataclass
class Progress:
    """What a pool has done so far: seconds or reason by key of the jobs that ended, what runs now, and when it began."""

    waiting: int = 0
    done: dict[str, float] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    running: dict[str, Running] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)


class _Worker:
    def __init__(self, root: Path, size: PoolSize, device: str, segment_seconds: float) -> None:
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        arguments = (theirs, root, size.threads, device, segment_seconds, os.getpid(), loaded_files())
        self.process: BaseProcess = context.Process(target=_work, args=arguments, daemon=True)
        self.process.start()
        theirs.close()
        self.job: Job | None = None
        self.began = 0.0

    def give(self, job: Job) -> None:
        """Send a job; its sources go along without theirs, since only their keys are read."""
        self.job, self.began = job, time.monotonic()
        sources = {role: replace(read, sources={}) if isinstance(read, Job) else read for role, read in job.sources.items()}
        self.connection.send(replace(job, sources=sources))

    def end(self) -> None:
        """End the process, and with it a script that it runs."""
        self.process.terminate()
        self.process.join(ENDING_SECONDS)
        self.process.kill()
        self.process.join()


def run_pool(
    jobs: Sequence[Job],
    store: Store,
    size: PoolSize,
    *,
    device: str = "cpu",
    segment_seconds: float = Execution.segment_seconds,
    report: Callable[[Progress], None] | None = None,
) -> tuple[list[Done], dict[str, str]]:
    """Run the missing jobs, sources before readers; return what became of each, and why those failed that did, by key."""
    must_run = missing_jobs(jobs, store)
    waiting = {job.call.key: job for job in jobs if job.call.key in must_run}
    progress = Progress(waiting=len(waiting))
    attempts: dict[str, int] = {}
    workers: list[_Worker] = []
    try:
        while waiting or any(worker.job for worker in workers):
            for job in _ready(waiting, progress):
                worker = _free(workers, store.root, size, device, segment_seconds)
                if worker is None:
                    break
                try:
                    worker.give(job)
                except OSError:  # it died between two jobs
                    workers.remove(worker)
                    worker.end()
                    break
                attempts[job.call.key] = attempts.get(job.call.key, 0) + 1
                del waiting[job.call.key]
                progress.running[job.call.key] = Running(job)
            _listen(workers, waiting, attempts, progress)
            _fail_readers(waiting, progress)
            progress.waiting = len(waiting)
            if report:
                report(progress)
    finally:
        for worker in workers:
            worker.end()
    done = [Done(job, _status(job, store, progress), progress.done.get(job.call.key, 0.0)) for job in jobs]
    return done, progress.failed


def _status(job: Job, store: Store, progress: Progress) -> str:
    if job.call.key in progress.failed:
        return "failed"
    if job.call.key in progress.done:
        return "ran"
    return "hit" if store.has(job.call) else "skipped"


def _ready(waiting: dict[str, Job], progress: Progress) -> list[Job]:
    """Return the jobs whose sources are there; trainings first, since most waits for them."""
    unfinished = {*waiting, *progress.running}
    ready = [job for job in waiting.values() if not any(key in unfinished for key in _source_keys(job))]
    return sorted(ready, key=lambda job: job.call.stage not in ("data", "train", "observe"))


def _source_keys(job: Job) -> list[str]:
    return [source.call.key for source in job.sources.values() if isinstance(source, Job)]


def _free(workers: list[_Worker], root: Path, size: PoolSize, device: str, segment_seconds: float) -> _Worker | None:
    free = next((worker for worker in workers if worker.job is None), None)
    if free is None and len(workers) < size.workers:
        free = _Worker(root, size, device, segment_seconds)
        workers.append(free)
    return free


def _listen(workers: list[_Worker], waiting: dict[str, Job], attempts: dict[str, int], progress: Progress) -> None:
    """Wait for word from the workers, or for one to die, and note it."""
    for connection in wait([worker.connection for worker in workers], timeout=1.0):
        worker = next(worker for worker in workers if worker.connection is connection)
        try:
            kind, value = worker.connection.recv()
        except (EOFError, ConnectionResetError):
            workers.remove(worker)
            worker.process.join()
            if worker.job is not None:
                _lost(worker, waiting, attempts, progress)
            continue
        assert worker.job is not None
        key = worker.job.call.key
        if kind == "progress":
            progress.running[key] = Running(worker.job, *value)
            continue
        progress.running.pop(key)
        if kind == "corrupt":
            raise StoreCorruptError(value)
        if kind == "failed":
            progress.failed[key] = value
        else:
            progress.done[key] = time.monotonic() - worker.began
        worker.job = None


def _lost(worker: _Worker, waiting: dict[str, Job], attempts: dict[str, int], progress: Progress) -> None:
    job = worker.job
    assert job is not None
    progress.running.pop(job.call.key)
    if attempts[job.call.key] < ATTEMPTS:
        waiting[job.call.key] = job
    else:
        code = worker.process.exitcode
        progress.failed[job.call.key] = f"its process ended {ATTEMPTS} times with code {code}; -9 is often a lack of memory"


def _fail_readers(waiting: dict[str, Job], progress: Progress) -> None:
    """Give up what reads a failed job; everything else goes on."""
    for key, job in list(waiting.items()):
        broken = next((source for source in _source_keys(job) if source in progress.failed), None)
        if broken is not None:
            progress.failed[key] = progress.failed[broken]
            del waiting[key]


def _work(
    connection: Connection,
    root: Path,
    threads: int,
    device: str,
    segment_seconds: float,
    parent: int,
    lever_files: Sequence[Path],
) -> None:
    """Serve one job after the other; the whole life of a worker process."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told, and ends us
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what a job has launched is ended too
    threading.Thread(target=_watch, args=(parent,), daemon=True).start()
    import torch

    from mulligan.engine.stage_runner import run_job

    for file in lever_files:
        load_lever_file(file)
    torch.set_num_threads(threads)

    def tell(_: str, done: int, total: int, note: str) -> None:
        connection.send(("progress", (done, total, note)))

    store, execution = Store(root), Execution(device, False, segment_seconds, tell)
    while True:
        try:
            job: Job = connection.recv()
        except EOFError:
            return
        connection.send(_outcome(lambda job=job: _run(job, store, execution, run_job)))  # type: ignore[misc]


def _run(job: Job, store: Store, execution: Execution, run_job: Callable[[Job, Store, Execution], None]) -> None:
    with store.lock(job.call):
        if not store.has(job.call):
            run_job(job, store, execution)


def _outcome(run: Callable[[], None]) -> tuple[str, Any]:
    try:
        run()
    except StoreCorruptError as error:
        return "corrupt", str(error)
    except Exception as error:  # a cell that fails is a result, whatever it died of
        return "failed", f"{type(error).__name__}: {error}"
    return "done", None


def _watch(parent: int) -> None:
    """End this process when its parent is gone: an orphan would train on beside the run that takes its place."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)
