"""Runs a study: shared jobs in a local pool, its state on disk for `status`, its result when all is done or failed."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mulligan.core.error import DivergedError
from mulligan.core.execution import Execution
from mulligan.engine.inline import missing_jobs, run_jobs
from mulligan.engine.pool import PoolSize, Progress, run_pool
from mulligan.store.store import Store
from mulligan.study.plan import LaidStudy, lay_study
from mulligan.study.progress import StudyProgress
from mulligan.study.result import read_study
from mulligan.study.script_cell import ScriptRoad, read_script

RESULT, STATUS = "result.json", "status.json"


def study_folder(laid: LaidStudy, store: Store) -> Path:
    """Return where the study's status and result lie."""
    return store.root / "studies" / laid.hash


def run_study(
    laid: LaidStudy,
    store: Store,
    size: PoolSize,
    *,
    device: str = "cpu",
    segment_seconds: float = Execution.segment_seconds,
    report: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Run what is missing, write the result beside the store's values and return it; failed cells are in it."""
    folder = study_folder(laid, store)
    _check_seeds_are_new(laid, store)
    failed: dict[str, str] = {}
    while True:
        keys = sorted(job.call.key for job in laid.jobs)
        store.record_run(f"study-{folder.name}", {"study": laid.config.model_dump(mode="json"), "keys": list(keys)})
        if missing_jobs(laid.jobs, store):
            failed |= _run_missing(laid, store, size, device, segment_seconds, report)
        waiting = [cell for cell in laid.cells if cell.pending and not any(job.call.key in failed for job in cell.pending)]
        if not waiting:
            break
        laid = lay_study(laid.config, laid.corpus, store)
    result = read_study(laid, store, failed)
    before = read_json(folder / RESULT)
    if before is not None:  # states that gc has taken since then were trained all the same
        result["steps"]["executed"] = max(result["steps"]["executed"], before["steps"]["executed"])
    write_json(folder / RESULT, result)
    return result


def _run_missing(
    laid: LaidStudy,
    store: Store,
    size: PoolSize,
    device: str,
    segment_seconds: float,
    report: Callable[[dict[str, Any]], None] | None,
) -> dict[str, str]:
    """Run the missing jobs of what is laid over a pool; return why those failed that did, by key."""
    from mulligan.engine.preflight import preflight

    run_jobs([job for job in laid.jobs if job.call.stage == "data"], store, Execution())
    preflight(laid.jobs, store)
    keeper = _StatusKeeper(study_folder(laid, store), StudyProgress(laid, store, size), report)
    check_log = _FirstLog(laid, store)

    def tell(pool: Progress) -> None:
        check_log(pool)
        keeper(pool)

    try:
        _, failed = run_pool(laid.jobs, store, size, device=device, segment_seconds=segment_seconds, report=tell)
    finally:
        (study_folder(laid, store) / STATUS).unlink(missing_ok=True)
    return failed


def _check_seeds_are_new(laid: LaidStudy, store: Store) -> None:
    """Refuse to confirm on seeds on which a study of one of the factors has explored, as far as this store knows."""
    study = laid.config
    if study.phase != "confirm":
        return
    for path in (store.root / "studies").glob(f"*/{RESULT}"):
        other = (read_json(path) or {})["study"]
        seen = sorted(set(other["seeds"]) & set(study.seeds))
        if other["phase"] == "explore" and study.factors.keys() & other["factors"].keys() and seen:
            raise ValueError(
                f"The seeds {seen} were explored on before ({path.parent.name}). Confirm on seeds that nobody has looked at, "
                "such as " + ", ".join(str(max(*other["seeds"], *study.seeds) + 1 + i) for i in range(len(seen))) + "."
            )


class _FirstLog:
    """Ends a study of a script whose first log lacks what the study reads: every other cell would be paid for nothing."""

    def __init__(self, laid: LaidStudy, store: Store) -> None:
        self.cells = [cell.road for cell in laid.cells if isinstance(cell.road, ScriptRoad)]
        self.metric, self.secondary, self.store = laid.config.metric, laid.config.secondary, store

    def __call__(self, pool: Progress) -> None:
        road = next((road for road in self.cells if road.jobs[0].call.key in pool.done), None)
        if road is None:
            return
        self.cells = []
        try:
            read_script(road, self.store, self.metric, self.secondary)
        except DivergedError:
            pass
        except ValueError as error:
            raise ValueError(f"{error} Correct `metric` and run again: what has run is kept, and is not run twice.") from None


class _StatusKeeper:
    """Passes progress on, and writes it down once a second for whoever asks from another terminal."""

    def __init__(self, folder: Path, progress: StudyProgress, report: Callable[[dict[str, Any]], None] | None) -> None:
        self.folder, self.progress, self.report = folder, progress, report
        self.last = 0.0

    def __call__(self, pool: Progress) -> None:
        if time.monotonic() - self.last < 1.0 and pool.waiting:
            return
        self.last = time.monotonic()
        status = self.progress.read(pool)
        write_json(self.folder / STATUS, {**status, "updated": time.time()})
        if self.report:
            self.report(status)


def write_json(path: Path, value: Any) -> None:
    """Write JSON at once or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    building = path.with_name(f".{path.name}.{os.getpid()}")
    building.write_text(json.dumps(value, indent=1, ensure_ascii=False), "utf-8")
    os.replace(building, path)


def read_json(path: Path) -> dict[str, Any] | None:
    """Return what `write_json` wrote, or None where there is nothing."""
    if not path.is_file():
        return None
    value: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return value
