"""Many reviews: order, the time limit, and a folder that cannot be read."""

import contextlib
import signal
import time
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import pytest

from mulligan.review import review as reviewing
from mulligan.review import sweep
from mulligan.review.review import CRASHED
from mulligan.review.rule import Rule


def test_reviews_come_in_the_order_of_the_paths(tmp_path):
    paths = [tmp_path / name for name in ("b.py", "a.py", "missing.py")]
    for path in paths[:2]:
        path.write_text("x = 1\n")
    found = list(sweep.audit_all([sweep.Task(path, ("R1",)) for path in paths], limit_seconds=30))
    assert [one.task.path for one in found] == paths
    assert [bool(one.review.crashes) for one in found] == [False, False, True]
    assert all(one.peak_bytes > 1_000_000 for one in found)


def test_what_runs_out_of_time_says_so(tmp_path, monkeypatch):
    def check(subject):
        while True:
            with contextlib.suppress(Exception):
                time.sleep(0.01)
        yield

    monkeypatch.setattr(sweep, "review", lambda subject, codes: reviewing.review(subject, [Rule("R3", "", "", check)], codes))
    (tmp_path / "train_gpt.py").write_text("x = 1\n")
    before = signal.getsignal(signal.SIGALRM)
    found = sweep.audit(sweep.Task(tmp_path, ("R3", "R4")), limit_seconds=0.1)
    assert [one.reason for one in found.review.crashes] == [f"{CRASHED}more than 0.1 s"] * 2
    assert found.seconds < 5
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == pytest.approx((0.0, 0.0))


def test_a_process_that_dies_takes_no_other_review_with_it(tmp_path, monkeypatch):
    class Dead:
        def result(self):
            raise BrokenProcessPool

    class Pool(ThreadPoolExecutor):
        def submit(self, function, task, limit):
            if task.path.name == "killer.py" or (task.path.name == "b.py" and self._max_workers > 1):
                return Dead()
            future = Future()
            future.set_result(sweep.Audited(task, sweep.failed((), ""), 0.0, 0))
            return future

    monkeypatch.setattr(sweep, "_pool", Pool)
    tasks = [sweep.Task(tmp_path / name, ("R1",)) for name in ("a.py", "killer.py", "b.py", "c.py")]
    found = list(sweep.audit_all(tasks, 2))
    assert [one.task for one in found] == tasks
    assert [[one.reason for one in found[at].review.crashes] for at in range(4)] == [
        [],
        [f"{CRASHED}the process that read it died"],
        [],
        [],
    ]
