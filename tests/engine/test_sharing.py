"""Trainings that agree for a while share their trunk: trained once, for all averages asked for, and bit for bit the same."""

import json

import pytest

from mulligan.core.config import parse_config
from mulligan.core.execution import Execution
from mulligan.engine.executed import executed_steps
from mulligan.engine.inline import missing_jobs, run_jobs
from mulligan.engine.job import Outside
from mulligan.engine.plan import training_steps
from mulligan.engine.pool import PoolSize, run_pool
from mulligan.engine.sharing import share
from mulligan.flow import lay_road
from mulligan.recipe import Recipe, apply_change
from mulligan.store.stage_call import OutsideInput
from mulligan.store.store import Store
from toy import recipe_data, write_corpus

QAT = 'train.fake_quantize={kind = "parameter-swap", start = {kind = "at-step", step = 8}}'
EMA = 'average={kind = "ema", decay = 0.8}'
LAWA = 'average={kind = "lawa", num_snapshots = 3, every_steps = 2}'
SWA = 'average={kind = "swa", start = {kind = "at-step", step = 3}, every_steps = 1}'
LAST = "average.kind=last"
LONGER = ("train.budget.steps=16", "train.warmdown.steps=6")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    made = write_corpus(tmp_path_factory.mktemp("sharing") / "corpus")
    return Outside(made.folder, OutsideInput("corpus", made.digest))


def lay(corpus, *changes, seed=0):
    data = json.loads(json.dumps(recipe_data()))
    for change in changes:
        apply_change(data, change)
    return lay_road(parse_config(Recipe, data, ""), seed, corpus=corpus)


def steps_to_run(jobs, store):
    return sum(end - begin for begin, end in training_steps(jobs, store, missing_jobs(jobs, store)).values())


def digests(road, store):
    return {job.name: store.open(job.call).digest for job in road.jobs if job.wanted}


def check(roads, tmp_path, expected_steps):
    """The shared jobs take the expected steps, as planned, and give what each road gives alone."""
    store = Store(tmp_path / "shared")
    jobs = share(road.jobs for road in roads)
    assert len({job.call.key for job in jobs}) == len(jobs)
    assert steps_to_run(jobs, store) == expected_steps
    run_jobs(jobs, store, Execution())
    assert executed_steps(jobs, store) == expected_steps
    assert store.reruns() == []
    for i, road in enumerate(roads):
        alone = Store(tmp_path / f"alone{i}")
        run_jobs(road.jobs, alone, Execution())
        assert digests(road, store) == digests(road, alone)
    assert steps_to_run(jobs, store) == 0


def test_late_qat_forks_from_the_control_and_averages_ride_along(corpus, tmp_path):
    """A 2x4 of QAT and averages: 12 + 4 steps instead of 8 x 12."""
    roads = [lay(corpus, *qat, average) for qat in ((), (QAT,)) for average in (LAST, SWA, EMA, LAWA)]
    check(roads, tmp_path, 12 + 4)


def test_runs_of_different_length_share_what_lies_before_the_warmdown(corpus, tmp_path):
    """Warmdown of the 12-step run begins at step 7 (the first scale below 1), QAT at 8 on top of it."""
    check([lay(corpus), lay(corpus, *LONGER), lay(corpus, QAT, EMA)], tmp_path, 12 + (16 - 7) + (12 - 8))


def test_a_run_that_ends_on_the_way_of_another_is_its_trunk(corpus, tmp_path):
    constant = ("train.warmdown.kind=constant", EMA)
    roads = [lay(corpus, *constant, "train.budget.steps=6"), lay(corpus, *constant), lay(corpus, constant[0], SWA)]
    check(roads, tmp_path, 12)


def test_seeds_and_networks_share_nothing(corpus, tmp_path):
    check([lay(corpus, LAST), lay(corpus, LAST, seed=1), lay(corpus, LAST, "model.num_layers=1")], tmp_path, 36)


def test_an_average_asked_for_later_replays_trunk_and_branch_once(corpus, tmp_path):
    store = Store(tmp_path / "late")
    first = share(lay(corpus, *qat, LAST).jobs for qat in ((), (QAT,)))
    run_jobs(first, store, Execution())
    roads = [lay(corpus, *qat, average) for qat in ((), (QAT,)) for average in (EMA, SWA)]
    later = share(road.jobs for road in roads)
    assert steps_to_run(later, store) == 16
    run_jobs(later, store, Execution())
    assert executed_steps(later, store) == 32
    assert executed_steps(first, store) == 16
    for i, road in enumerate(roads):
        alone = Store(tmp_path / f"alone{i}")
        run_jobs(road.jobs, alone, Execution())
        assert digests(road, store) == digests(road, alone)


def test_a_pool_makes_what_one_process_makes(corpus, tmp_path):
    roads = [lay(corpus, *qat, average) for qat in ((), (QAT,)) for average in (LAST, SWA)]
    store, alone = Store(tmp_path / "pool"), Store(tmp_path / "inline")
    jobs = share(road.jobs for road in roads)
    done, failed = run_pool(jobs, store, PoolSize(2, 1))
    assert failed == {}
    assert {item.status for item in done} == {"ran"}
    run_jobs(jobs, alone, Execution())
    assert all(digests(road, store) == digests(road, alone) for road in roads)


def test_averages_asked_for_one_after_another_count_their_own_replays(corpus, tmp_path):
    store = Store(tmp_path)
    roads = [lay(corpus, LAST), lay(corpus, EMA), lay(corpus, EMA.replace("0.8", "0.9"))]
    for road in roads:
        run_jobs(road.jobs, store, Execution())
    assert executed_steps(share(road.jobs for road in roads), store) == 36


def test_a_worker_that_dies_between_two_jobs_is_replaced(corpus, tmp_path, monkeypatch):
    from mulligan.engine import pool

    give, killed = pool._Worker.give, []

    def kill_first(self, job):
        if job.call.stage == "quantize" and not killed:
            killed.append(self.process.pid)
            self.process.kill()
            self.process.join()
        give(self, job)

    monkeypatch.setattr(pool._Worker, "give", kill_first)
    done, failed = run_pool(share([lay(corpus).jobs]), Store(tmp_path), PoolSize(1, 1))
    assert len(killed) == 1
    assert failed == {}
    assert {item.status for item in done} == {"ran"}


def test_many_averages_of_one_training_can_be_sent_to_a_worker(corpus):
    import pickle

    averages = [f'average={{kind = "ema", decay = {0.5 + i / 1000}}}' for i in range(300)]
    jobs = share(lay(corpus, average).jobs for average in averages)
    sent = []

    class Connection:
        def send(self, job):
            sent.append(pickle.dumps(job))

    from mulligan.engine.pool import _Worker

    worker = object.__new__(_Worker)
    worker.connection = Connection()
    worker.give(jobs[-1])
    worker.give(max(jobs, key=lambda job: len(job.sources)))
    assert len(sent) == 2


def test_many_forks_are_laid_out_in_little_work(corpus, monkeypatch):
    """A sweep of the step at which QAT begins: the state keys that are computed grow with the forks, not with their cube."""
    from mulligan.engine.trajectory import Trajectory

    computed, call = [], Trajectory.state_call
    long = ("train.budget.steps=200", "train.warmdown.steps=6", LAST)
    roads = [lay(corpus, *long, QAT.replace("step = 8", f"step = {step}")) for step in range(100, 140)]
    monkeypatch.setattr(Trajectory, "state_call", lambda self, cut=None: computed.append(cut) or call(self, cut))
    jobs = share(road.jobs for road in roads)
    assert len([job for job in jobs if job.call.stage == "train"]) == 40 + 39
    assert len(computed) < 40 * 45


def test_a_failing_job_stops_only_what_reads_it(corpus, tmp_path):
    good, bad = lay(corpus, LAST), lay(corpus, LAST, "train.optimizer.scalar_lr=1e38", seed=3)
    store = Store(tmp_path)
    done, failed = run_pool(share([good.jobs, bad.jobs]), store, PoolSize(2, 1))
    assert all(store.has(job.call) for job in good.jobs)
    train = next(job for job in bad.jobs if job.call.stage == "train")
    assert "DivergedError" in failed[train.call.key]
    assert {item.status for item in done if item.job.call.key in failed} == {"failed"}
    assert all(job.call.key in failed for job in bad.jobs if job.wanted)


def test_a_budget_in_seconds_shares_nothing(corpus):
    timed = 'train.budget={kind = "seconds", seconds = 5.0}'
    roads = [lay(corpus, timed, LAST), lay(corpus, timed, QAT.replace('"at-step", step = 8', '"at-fraction", value = 0.5'))]
    assert len([job for job in share(road.jobs for road in roads) if job.call.stage == "train"]) == 2
