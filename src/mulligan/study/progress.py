"""How far a running study is: cells, steps and their speed, and the time that is left."""

import time
from typing import Any

from mulligan.engine.inline import missing_jobs
from mulligan.engine.plan import training_steps
from mulligan.engine.pool import PoolSize, Progress
from mulligan.store.store import Store
from mulligan.study.plan import LaidStudy


class StudyProgress:
    """Reads the progress of a pool as that of a study. Made before the pool begins."""

    def __init__(self, laid: LaidStudy, store: Store, size: PoolSize) -> None:
        self.size = size
        missing = missing_jobs(laid.jobs, store)
        self.cells = [{job.call.key for job in cell.jobs if job.call.key in missing} for cell in laid.cells]
        self.stages = {job.call.key: job.call.stage for job in laid.jobs if job.call.key in missing}
        self.steps = training_steps(laid.jobs, store, missing)
        self.arms: dict[str, set[str]] = {}
        for cell in laid.cells:
            for job in cell.jobs:
                self.arms.setdefault(job.call.key, set()).add(cell.arm.name)

    def read(self, progress: Progress) -> dict[str, Any]:
        """Return cells, stages, steps, steps per second, seconds so far and left (None: not known yet), as JSON data."""
        seconds = time.monotonic() - progress.began
        finished = progress.done.keys() | progress.failed.keys()
        steps = sum(self._steps_done(key, progress) for key in self.steps)
        speed = steps / seconds if seconds > 0 else 0.0
        return {
            "cells": len(self.cells),
            "cells_done": sum(keys <= finished for keys in self.cells),
            "stages": len(self.stages),
            "stages_done": len(progress.done),
            "stages_failed": len(progress.failed),
            "steps": sum(end - begin for begin, end in self.steps.values()),
            "steps_done": steps,
            "steps_per_second": round(speed, 2),
            "seconds": round(seconds, 1),
            "seconds_left": self._seconds_left(progress, finished),
            "running": [f"{self._whose(key)}: {running}" for key, running in progress.running.items()],
            "failed": sorted(set(progress.failed.values())),
        }

    def _whose(self, key: str) -> str:
        arms = self.arms.get(key, set())  # a trunk is of no cell's own road
        return next(iter(arms)) if len(arms) == 1 else "shared"

    def _steps_done(self, key: str, progress: Progress) -> int:
        begin, end = self.steps[key]
        if key in progress.done:
            return end - begin
        running = progress.running.get(key)
        return max(0, running.done - begin) if running and running.total else 0

    def _seconds_left(self, progress: Progress, finished: set[str]) -> float | None:
        """Return the work that is left at the speed seen so far, shared by the workers; None before every kind was seen."""
        left = 0.0
        trained = sum(progress.done.get(key, 0.0) for key in self.steps)
        steps = sum(end - begin for key, (begin, end) in self.steps.items() if key in progress.done)
        for key, stage in self.stages.items():
            if key in finished:
                continue
            if key in self.steps:
                begin, end = self.steps[key]
                remaining = end - begin - self._steps_done(key, progress)
                if remaining and not steps:
                    return None
                left += remaining * trained / max(steps, 1)
                continue
            alike = [seconds for other, seconds in progress.done.items() if self.stages.get(other) == stage]
            if not alike:
                return None
            left += sum(alike) / len(alike)
        return round(left / self.size.workers, 1)
