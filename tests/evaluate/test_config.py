"""The evaluate config: strides, kinds, and what each refusal says."""

import re

import pytest

from mulligan.core.config import parse_config
from mulligan.evaluate.config import EvaluateConfig, Flat
from mulligan.recipe import Recipe
from toy import model_config, recipe_data

FLAT = {"kind": "flat", "context_len": 8}
DATA = {"windows": [FLAT], "precision": "fp32", "bytes": "piece"}


def refusal(**changes):
    data = {name: value for name, value in {**DATA, **changes}.items() if value is not ...}
    with pytest.raises(ValueError, match=r"^evaluate") as caught:
        parse_config(EvaluateConfig, data, "evaluate")
    return str(caught.value)


def test_a_config_survives_its_canonical_form():
    windows = [
        FLAT,
        *({"kind": kind, "context_len": 8, "stride": s} for kind in ("sliding", "document-isolated") for s in (1, 8)),
    ]
    config = EvaluateConfig.model_validate({**DATA, "windows": windows})
    assert config.canonical()["windows"] == windows
    assert EvaluateConfig.model_validate(config.canonical()) == config


def test_flat_windows_stand_a_whole_context_apart():
    assert Flat(kind="flat", context_len=8).stride == 8


@pytest.mark.parametrize("kind", ["sliding", "document-isolated"])
def test_a_stride_beyond_the_context_is_refused_because_tokens_would_be_lost(kind):
    said = refusal(windows=[FLAT, {"kind": kind, "context_len": 8, "stride": 9}])
    assert "evaluate.windows.1" in said
    assert "stride = 9 is more than context_len = 8" in said
    assert "Give a stride of at most context_len" in said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"windows": []}, r"evaluate\.windows = .*at least 1 item"),
        ({"windows": ...}, r"evaluate\.windows: required, and not given"),
        ({"windows": [{"kind": "flat", "context_len": 0}]}, r"evaluate\.windows\.0\.context_len = 0: .*than or equal to 1"),
        ({"windows": [{"kind": "flat"}]}, r"evaluate\.windows\.0\.context_len: required"),
        ({"windows": [{"kind": "flat", "context_len": 8, "stride": 8}]}, r"evaluate\.windows\.0\.stride: unknown key"),
        ({"windows": [{"kind": "sliding", "context_len": 8}]}, r"evaluate\.windows\.0\.stride: required"),
        ({"windows": [{"kind": "sliding", "context_len": 8, "stride": 0}]}, r"evaluate\.windows\.0\.stride = 0"),
        ({"windows": [{"kind": "slidng", "context_len": 8}]}, r"unknown kind 'slidng'.*document-isolated.*'sliding'\?"),
        ({"windows": [{"context_len": 8}]}, r"evaluate\.windows\.0: no kind given"),
        ({"precision": "fp16"}, r"evaluate\.precision = 'fp16': .*'fp32' or 'bf16'"),
        ({"bytes": "text"}, r"evaluate\.bytes = 'text': .*'piece', 'raw' or 'doubled-space'"),
        ({"byte": "raw"}, r"evaluate\.byte: unknown key. Did you mean 'bytes'\?"),
    ],
)  # fmt: skip
def test_each_refusal_names_the_key_and_what_is_allowed(changes, said):
    assert re.search(said, refusal(**changes))


@pytest.mark.parametrize(
    ("model", "extension", "said"),
    [
        ({"positions": {"kind": "alibi"}}, {"kind": "off"}, "stretches rotary positions, and model.positions is 'alibi'"),
        ({}, {"kind": "ntk", "from_len": 8}, "no context of evaluate.windows is longer than 8: it acts nowhere"),
        (
            {"positions": {"kind": "rope", "base": 100.0, "rotated_dims": 2}, "model_dim": 32},
            {"kind": "ntk", "from_len": 4},
            "ntk needs more than 2 rotated dimensions",
        ),
    ],
    ids=["no rope", "never longer", "too few dimensions"],
)
def test_an_extension_that_cannot_act_is_refused_before_anything_is_trained(model, extension, said):
    data = recipe_data(model=model_config(vocab_size=260, **model).model_dump(mode="json"))
    data["evaluate"]["position_extension"] = extension
    with pytest.raises(ValueError, match=re.escape(said)):
        parse_config(Recipe, data, "")
