"""Study files: which arms they make, and what is refused before anything runs."""

import pytest

from mulligan.core.config import parse_config
from mulligan.study.config import StudyConfig, load_study
from mulligan.study.design import alias_table, make_arms, num_steps
from mulligan.study.plan import study_hash

QAT = {
    "levels": {
        "off": {"train.fake_quantize": {"kind": "off"}},
        "on": {"train.fake_quantize": {"kind": "parameter-swap", "start": {"kind": "at-fraction", "value": 0.7}}},
    },
}
CLIP = {"path": "train.grad_clip_norm", "values": (0.0, 0.5, 1.0)}
SOFTCAP = {"path": "model.logit_softcap", "values": (30.0, 15.0)}


def study_data(**changes):
    data = {
        "question": "Does it help?",
        "phase": "explore",
        "recipe": "tiny",
        "factors": {"qat": QAT, "clip": CLIP},
        "design": {"kind": "full-factorial"},
        "budget": {"kind": "steps"},
        "seeds": (0, 1),
        "metric": {"point": "quantized", "windows": "sliding"},
        "margin_bpb": 0.002,
    }
    return {**data, **changes}


def study(**changes):
    return parse_config(StudyConfig, study_data(**changes), "")


def names(**changes):
    return [arm.name for arm in make_arms(study(**changes))]


def test_a_full_factorial_has_every_combination_the_baseline_first():
    assert names() == [f"qat={qat}, clip={clip}" for qat in ("off", "on") for clip in ("0.0", "0.5", "1.0")]


def test_one_at_a_time_varies_one_factor_in_each_arm():
    assert names(design={"kind": "one-at-a-time"}) == [
        "qat=off, clip=0.0",
        "qat=on, clip=0.0",
        "qat=off, clip=0.5",
        "qat=off, clip=1.0",
    ]


def test_a_sweep_has_one_factor():
    assert names(design={"kind": "sweep"}, factors={"clip": CLIP}) == ["clip=0.0", "clip=0.5", "clip=1.0"]
    with pytest.raises(ValueError, match="a sweep has one factor"):
        study(design={"kind": "sweep"})


def test_a_fraction_says_what_it_cannot_tell_apart():
    two = {**CLIP, "values": (0.0, 1.0)}
    half = study(design={"kind": "fractional", "generators": "a b ab"}, factors={"qat": QAT, "clip": two, "softcap": SOFTCAP})
    arms = make_arms(half)
    assert len(arms) == 4
    assert arms[0].levels == {"qat": "off", "clip": "0.0", "softcap": "30.0"}
    assert alias_table(half) == ["qat = clip x softcap", "clip = qat x softcap", "softcap = qat x clip"]
    assert alias_table(study()) == []


def test_an_arm_differs_from_the_baseline_in_what_its_levels_say():
    arms = {arm.name: arm for arm in make_arms(study())}
    assert arms["qat=off, clip=0.0"].difference == {}
    assert arms["qat=off, clip=0.5"].difference == {"train.grad_clip_norm": (0.0, 0.5)}
    assert set(arms["qat=on, clip=0.0"].difference) == {
        "train.fake_quantize.kind",
        "train.fake_quantize.start.kind",
        "train.fake_quantize.start.value",
    }


def test_a_level_may_put_another_kind_in_a_place_of_a_list():
    isolated = {"kind": "document-isolated", "context_len": 256, "stride": 128}
    levels = {"sliding": {}, "isolated": {"evaluate.windows.1": isolated}}
    one, other = make_arms(study(design={"kind": "sweep"}, factors={"windows": {"levels": levels}}))
    assert one.difference == {}
    assert other.difference.keys() == {"evaluate.windows.1", "evaluate.windows.+1"}
    assert other.difference["evaluate.windows.+1"] == (None, isolated)


def test_no_arm_reaches_into_the_recipe_of_another():
    """A table given whole is copied for each arm before a later path changes a value inside it."""
    levels = {
        "base": {"train.optimizer.matrix_lr": 0.04},
        "a": {"train.optimizer.token_lr": 0.1},
        "b": {"train.optimizer.scalar_lr": 0.1},
    }
    changes = {"train.optimizer": {"kind": "muon-adam", "momentum_warmup_steps": 3}}
    arms = make_arms(study(changes=changes, factors={"lr": {"levels": levels}}, design={"kind": "sweep"}))
    assert [arm.recipe.train.optimizer.token_lr for arm in arms] == [0.05, 0.1, 0.05]
    assert [set(arm.difference) for arm in arms] == [set(), {"train.optimizer.token_lr"}, {"train.optimizer.scalar_lr"}]
    assert changes == {"train.optimizer": {"kind": "muon-adam", "momentum_warmup_steps": 3}}


def test_a_level_whose_name_holds_another_is_refused():
    first = {"levels": {name: {"train.grad_clip_norm": value} for name, value in (("0", 0.0), ("1", 1.0), ("1, b=2", 2.0))}}
    second = {"levels": {name: {"model.logit_softcap": value} for name, value in (("2, b=2", 30.0), ("2", 15.0))}}
    with pytest.raises(ValueError, match="one name"):
        make_arms(study(factors={"a": first, "b": second}))


def test_a_time_budget_becomes_steps_per_arm():
    equal = {"kind": "seconds", "seconds": 600.0, "step_ms": {"control": 90.7, "qat=on": 96.3}}
    arms = make_arms(study(budget=equal))
    assert {arm.levels["qat"]: arm.recipe.train.num_steps for arm in arms} == {"off": 6615, "on": 6230}
    assert num_steps(study(budget=equal).budget, {"qat": "on", "clip": "0.0"}) == 6230


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"factors": {"clip": {**CLIP, "values": (0.0, 0.0)}}, "design": {"kind": "sweep"}}, "has 1 level"),
        ({"factors": {"clip": {"levels": {"a": {}, "b": {"train.grad_clip_norm": 1.0}}}}}, "changes nothing"),
        ({"factors": {"clip": {"levels": {"a": {}, "b": {"train.grad_clip": 1.0}}}}}, "unknown key"),
        ({"factors": {"qat": {**QAT, "path": "train.seq_len"}}}, "either `levels` or `path`"),
        ({"seeds": (1, 1)}, "must differ"),
        (
            {
                "factors": {
                    "s": {"path": "train.budget", "values": ({"kind": "steps", "steps": 9}, {"kind": "steps", "steps": 8})}
                }
            },
            "as many steps",
        ),
        (
            {
                "factors": {
                    "s": {
                        "path": "train.budget",
                        "values": ({"kind": "seconds", "seconds": 9.0}, {"kind": "seconds", "seconds": 8.0}),
                    }
                }
            },
            "seconds of clock",
        ),
        ({"budget": {"kind": "seconds", "seconds": 9.0, "step_ms": {"qat=on": 1.0}}}, "`control`"),
        ({"design": {"kind": "fractional", "generators": "a b"}}, "factors of two levels"),
        ({"margin_bpb": 0.0}, "margin_bpb"),
        ({"factors": {"value": QAT}}, "none of seed, value"),
        ({"factors": {"a, b": QAT}}, "letters, digits"),
        ({"secondary": ({"kind": "score", "name": "primary", "of": {"point": "raw"}},)}, "names of their own"),
        ({"secondary": ({"kind": "payload-bytes"}, {"kind": "payload-bytes"})}, "names of their own"),
        ({"budget": {"kind": "seconds", "seconds": 9.0, "step_ms": {"control": 1.0, "qat=On": 2.0}}}, "no level or arm"),
        ({"sedes": (0,)}, "Did you mean 'seeds'"),
    ],
)
def test_what_is_no_experiment_is_refused(changes, words):
    with pytest.raises(ValueError, match=words):
        make_arms(study(**changes))


RAMP = {"kind": "linear", "start_tokens": 1024, "num_sizes": 3, "until": {"kind": "at-fraction", "value": 0.2}}


def test_arms_of_equal_tokens_may_differ_in_steps():
    """Under a batch ramp equal tokens are more steps; equal steps are fewer tokens."""
    factors = {"ramp": {"levels": {"off": {"train.batch_ramp": {"kind": "off"}}, "on": {"train.batch_ramp": RAMP}}}}
    tokens = {"kind": "tokens", "tokens": 4096 * 100}
    arms = make_arms(study(factors=factors, budget={"kind": "tokens"}, changes={"train.budget": tokens}))
    plain, ramped = (arm.recipe.train for arm in arms)
    assert plain.num_steps == 100 < ramped.num_steps
    assert 0 <= ramped.batch_sizes.tokens(ramped.num_steps) - 4096 * 100 < 4096
    in_steps = {"train.budget": {"kind": "steps", "steps": 100}}
    assert len(make_arms(study(factors=factors, changes=in_steps))) == 2
    with pytest.raises(ValueError, match=r"all arms train for as many tokens, and they do not: 409,600: ramp=off"):
        make_arms(study(factors=factors, budget={"kind": "tokens"}, changes=in_steps))


def test_a_scale_overrides_the_study(tmp_path):
    (tmp_path / "s.toml").write_text(
        """
question = "q"
phase = "explore"
design = {kind = "sweep"}
budget = {kind = "steps"}
metric = {point = "quantized", windows = "sliding"}
margin_bpb = 0.002
factors = {clip = {path = "train.grad_clip_norm", values = [1.0, 0.5]}}
[scale.tiny]
recipe = "tiny"
seeds = [0]
[scale.small]
recipe = "small"
seeds = [0, 1, 2]
factors.clip.values = [1.0, 0.25]
"""
    )
    assert load_study(tmp_path / "s.toml").recipe == "tiny"
    small = load_study(tmp_path / "s.toml", "small")
    assert small.seeds == (0, 1, 2)
    assert list(small.factors["clip"].changes) == ["1.0", "0.25"]
    with pytest.raises(ValueError, match="tiny, small"):
        load_study(tmp_path / "s.toml", "huge")


STUDY = """
question = "?"
phase = "explore"
recipe = "tiny"
seeds = [0, 1]
design = {kind = "sweep"}
budget = {kind = "steps"}
metric = {point = "quantized", windows = "sliding"}
margin_bpb = 0.1
[changes]
"train.budget" = {kind = "steps", steps = 100}
"train.grad_clip_norm" = 0.5
[factors.softcap]
path = "model.logit_softcap"
values = [30.0, 15.0]
"""


def test_more_changes_are_made_to_every_arm_after_the_files_own(tmp_path):
    file = tmp_path / "s.toml"
    file.write_text(STUDY)
    plain, changed = load_study(file), load_study(file, changes=["train.budget.steps=60", "train.grad_clip_norm=1.0"])
    recipes = [arm.recipe for arm in make_arms(changed)]
    assert [recipe.train.budget.steps for recipe in recipes] == [60, 60]
    assert [recipe.train.grad_clip_norm for recipe in recipes] == [1.0, 1.0]
    assert [recipe.model.logit_softcap for recipe in recipes] == [30.0, 15.0]
    assert study_hash(changed, make_arms(changed), []) != study_hash(plain, make_arms(plain), [])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("model.logit_softcap=20.0", "every level of the factor 'softcap' sets it anew"),
        ("train.budget.steps", "path=value"),
        ("train.stepps=3", "unknown key"),
    ],
)
def test_a_change_that_acts_in_no_arm_is_refused(change, words, tmp_path):
    (tmp_path / "s.toml").write_text(STUDY)
    with pytest.raises(ValueError, match=words):
        make_arms(load_study(tmp_path / "s.toml", changes=[change]))


def test_a_budget_in_seconds_leaves_nothing_of_a_change_of_steps(tmp_path):
    timed = STUDY.replace(
        'budget = {kind = "steps"}', 'budget = {kind = "seconds", seconds = 2.0, step_ms = {control = 100.0}}', 1
    )
    (tmp_path / "s.toml").write_text(timed)
    with pytest.raises(ValueError, match="the study's budget is in seconds"):
        load_study(tmp_path / "s.toml", changes=["train.budget.steps=60"])
