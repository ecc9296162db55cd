"""A blend is the weighted sum of its parts, each recorded once in the one training and shared with who asks for it alone."""

import json

import pytest
import torch

from mulligan.average.blend import blend
from mulligan.average.config import Blend
from mulligan.cli.run import _average
from mulligan.core.config import parse_config
from mulligan.core.execution import Execution
from mulligan.engine.executed import executed_steps
from mulligan.engine.inline import missing_jobs, run_jobs
from mulligan.engine.job import Outside
from mulligan.engine.plan import training_steps
from mulligan.engine.sharing import share
from mulligan.flow import lay_road
from mulligan.reading import read_values
from mulligan.recipe import Recipe, apply_change, to_toml
from mulligan.store.stage_call import OutsideInput
from mulligan.store.store import Store
from mulligan.values.weights import Weights
from toy import recipe_data, write_corpus

EMA = '{kind = "ema", decay = 0.8}'
SWA = '{kind = "swa", start = {kind = "at-fraction", value = 0.5}, every_steps = 2}'
TIGHT = '{kind = "tight-swa", lr_scale_below = 0.5, every_steps = 1}'
SAME = '{kind = "swa", start = {kind = "at-step", step = 11}, every_steps = 1}'
"""What TIGHT is with 12 steps and a warmdown over 6: step 10, from 0, is the first below half, and 11 are then done."""
LAWA = '{kind = "lawa", num_snapshots = 3, every_steps = 2}'
QAT = 'train.fake_quantize={kind = "parameter-swap", start = {kind = "at-step", step = 8}}'


def blend_of(*parts):
    return '{kind = "blend", parts = [' + ", ".join(f"{{weight = {w}, average = {one}}}" for w, one in parts) + "]}"


BOTH = blend_of((0.25, EMA), (0.75, SWA))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    made = write_corpus(tmp_path_factory.mktemp("blend") / "corpus")
    return Outside(made.folder, OutsideInput("corpus", made.digest))


def recipe(average, *changes):
    data = json.loads(json.dumps(recipe_data()))
    for change in (f"average={average}", *changes):
        apply_change(data, change)
    return parse_config(Recipe, data, "")


def lay(corpus, average, *changes):
    return lay_road(recipe(average, *changes), 0, corpus=corpus)


def averaged(road, store):
    return Weights.load(store.open(road.points["averaged"].call).folder)


def steps_to_run(jobs, store):
    return sum(end - begin for begin, end in training_steps(jobs, store, missing_jobs(jobs, store)).values())


def test_the_sum_by_hand():
    config = parse_config(Blend, {"kind": "blend", "parts": [part(0.2), part(0.3, 0.8), part(0.5, 0.9)]}, "average")
    generator = torch.Generator().manual_seed(0)
    parts = [
        Weights({"b": torch.randn(4, 3, generator=generator), "a": torch.randn(5, generator=generator)}, {"m": 1}, {"kind": i})
        for i in ("x", "y", "z")
    ]
    before = [{name: tensor.clone() for name, tensor in one.tensors.items()} for one in parts]
    mean = blend(config, parts)
    for name in ("a", "b"):
        x, y, z = (one.tensors[name].double() for one in parts)
        assert torch.allclose(mean.tensors[name].double(), 0.2 * x + 0.3 * y + 0.5 * z, atol=1e-6)
        assert mean.tensors[name].dtype == torch.float32
        assert all(torch.equal(one.tensors[name], old[name]) for one, old in zip(parts, before, strict=True))
    assert mean.model == {"m": 1}
    kinds = [{"weight": 0.2, "kind": "x"}, {"weight": 0.3, "kind": "y"}, {"weight": 0.5, "kind": "z"}]
    assert mean.record == {"kind": "blend", "parts": kinds}


def part(weight, decay=0.5):
    return {"weight": weight, "average": {"kind": "ema", "decay": decay}}


def test_a_blend_is_made_of_the_averages_that_each_part_gives_alone(corpus, tmp_path):
    """One training of 12 steps for three arms; the observations of the blend are those of the arms that ask for one part."""
    roads = [lay(corpus, average) for average in (BOTH, EMA, SWA)]
    store = Store(tmp_path)
    jobs = share(road.jobs for road in roads)
    assert len([job for job in jobs if job.call.stage == "train"]) == 1
    assert len([job for job in jobs if job.call.stage == "observe"]) == 2
    assert steps_to_run(jobs, store) == 12
    run_jobs(jobs, store, Execution())
    assert executed_steps(jobs, store) == 12
    mixed, ema, swa = (averaged(road, store) for road in roads)
    for name, tensor in mixed.tensors.items():
        assert torch.allclose(tensor, 0.25 * ema.tensors[name] + 0.75 * swa.tensors[name], rtol=0, atol=1e-6)
        assert not torch.allclose(ema.tensors[name], swa.tensors[name], rtol=0, atol=1e-6)
    assert mixed.record["parts"] == [{"weight": 0.25, **ema.record}, {"weight": 0.75, **swa.record}]
    assert _average(mixed.record) == (
        "0.25 x ema (13 snapshots, steps 0 to 12, every 1) + 0.75 x swa (4 snapshots, steps 6 to 12, every 2)"
    )


def test_a_part_that_is_stored_is_not_recorded_again(corpus, tmp_path):
    """EMA first; the blend then replays from the beginning for LAWA's window, and takes EMA from the store."""
    store = Store(tmp_path / "late")
    first, later = lay(corpus, EMA), lay(corpus, blend_of((0.5, EMA), (0.5, LAWA)))
    run_jobs(first.jobs, store, Execution())
    assert read_values(first, store)["replay_reproduced_the_state"] is None
    done = {item.job.name: item.status for item in run_jobs(later.jobs, store, Execution())}
    assert (done["train"], done["observe 1"], done["observe 2"], done["average"]) == ("hit", "hit", "ran", "ran")
    assert read_values(later, store)["replay_reproduced_the_state"] is True
    alone = Store(tmp_path / "alone")
    run_jobs(later.jobs, alone, Execution(segment_seconds=0.0))  # cut after every step, both parts carried across
    assert alone.open(later.points["averaged"].call).digest == store.open(later.points["averaged"].call).digest


def test_blends_ride_along_where_trainings_part(corpus, tmp_path):
    roads = [lay(corpus, average, *qat) for qat in ((), (QAT,)) for average in (BOTH, EMA)]
    store = Store(tmp_path / "shared")
    jobs = share(road.jobs for road in roads)
    assert steps_to_run(jobs, store) == 12 + 4
    run_jobs(jobs, store, Execution())
    assert executed_steps(jobs, store) == 12 + 4
    alone = Store(tmp_path / "alone")
    run_jobs(roads[2].jobs, alone, Execution())
    assert store.open(roads[2].points["quantized"].call).digest == alone.open(roads[2].points["quantized"].call).digest


def test_a_budget_in_seconds_records_both_parts_in_its_one_training(corpus, tmp_path):
    timed = ('train.budget={kind = "seconds", seconds = 0.3}', 'train.warmdown={kind = "fraction", fraction = 0.5}')
    road, store = lay(corpus, BOTH, *timed), Store(tmp_path)
    run_jobs(road.jobs, store, Execution())
    assert [part["kind"] for part in averaged(road, store).record["parts"]] == ["ema", "swa"]


def test_a_recipe_with_a_blend_reads_back_from_toml(tmp_path):
    import tomllib

    written = recipe(blend_of((0.5, EMA), (0.5, TIGHT)))
    assert parse_config(Recipe, tomllib.loads(to_toml(written)), "") == written


def test_a_part_is_the_same_whatever_it_is_called(corpus):
    """Tight SWA and a trigger by fraction are resolved in a blend as they are alone."""
    named, plain = ([job.call.key for job in lay(corpus, blend_of((0.5, EMA), (0.5, one))).jobs] for one in (TIGHT, SAME))
    assert named == plain


@pytest.mark.parametrize(
    ("average", "message"),
    [
        (
            blend_of((0.5, EMA), (0.4, SWA)),
            r"^average: the weights of its parts sum to 0\.9; give weights that sum to 1\.",
        ),
        (blend_of((0.5, EMA)), "average.parts.*at least 2 items"),
        (
            blend_of((0.5, EMA), (0.5, '{kind = "last"}')),
            r"average\.parts\.1\.average: unknown kind 'last'\. Allowed: ema, swa",
        ),
        (blend_of((1.5, EMA), (-0.5, SWA)), r"average\.parts\.0\.weight = 1\.5.*less than 1"),
        (blend_of((0.5, EMA), (0.5, '{kind = "ema"}')), r"average\.parts\.1\.average\.decay: required"),
    ],
)
def test_what_is_no_blend_is_refused(average, message):
    with pytest.raises(ValueError, match=message):
        recipe(average)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ((EMA, EMA), "holds .*'ema'.* twice"),
        ((TIGHT, SAME), "holds .*'swa'.* twice, perhaps by another name"),
        ((EMA, '{kind = "lawa", num_snapshots = 2, every_steps = 13}'), "'lawa'.*holds no snapshot"),
    ],
)
def test_what_makes_no_sense_in_this_training_is_refused_before_it(corpus, parts, message):
    with pytest.raises(ValueError, match=message):
        lay(corpus, blend_of(*((0.5, one) for one in parts)))
