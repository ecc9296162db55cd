"""Assignment of formats by name, and row quantizers against a plain reference (B9, B10, B27)."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mulligan.numerics.config import GridConfig, IntFormat
from mulligan.numerics.grid import FP16_TINY, assign, dequantize_rows, quantize_rows, rows_of

INT8 = {"kind": "int", "bits": 8, "scale": {"kind": "row-max"}}
SCALES = (
    {"kind": "row-max"},
    {"kind": "percentile", "p": 0.9},
    {"kind": "percentile", "p": 0.9999984},
    {"kind": "standard-deviations", "k": 2.5},
    {"kind": "legacy-row-max-floored"},
    {"kind": "legacy-percentile-floored", "p": 0.9},
)
SHAPES = {"tok_emb.weight": (64, 8), "blocks.0.mlp.fc.weight": (16, 8), "blocks.1.mlp.fc.weight": (16, 8), "skip": (3,)}


def int_format(bits=8, scale=SCALES[0], code_range="symmetric"):
    return IntFormat.model_validate({"kind": "int", "bits": bits, "scale": scale, "range": code_range})


def grid(*families):
    return GridConfig.model_validate({"families": families})


def family(*match, **changes):
    return {"match": match, "format": {"kind": "fp16"}, **changes}


def random_weight(seed, rows=5, cols=17, spread=0.1):
    rng = np.random.default_rng(seed)
    weight = rng.standard_normal((rows, cols)) * spread * 10.0 ** rng.integers(-2, 2, (rows, 1))
    return torch.from_numpy(weight.astype(np.float32))


def plain_scale(row, scale, c):
    """Return the scale before the rounding to fp16, in float64, one row at a time."""
    if scale["kind"] == "standard-deviations":
        mean = sum(row) / len(row)
        limit = scale["k"] * math.sqrt(sum((w - mean) ** 2 for w in row) / (len(row) - 1))
    elif "percentile" in scale["kind"]:
        limit = float(np.quantile(np.abs(row), scale["p"]))
    else:
        limit = max(abs(w) for w in row)
    least = 1 / c if scale["kind"].startswith("legacy") else 0.0
    return max(limit / c, least, 2.0**-14), limit


def plain_code(weight, limit, scale, config):
    """Return the code of one weight; ties to even, as Python's round."""
    if config.scale.kind == "legacy-percentile-floored":
        weight = min(max(weight, -limit), limit)
    return min(max(round(float(np.float32(weight) / np.float32(scale))), config.min_code), config.max_code)


@pytest.mark.parametrize("code_range", ["symmetric", "legacy"])
@pytest.mark.parametrize("scale", SCALES, ids=lambda scale: scale["kind"])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), bits=st.integers(2, 8))
def test_rows_are_quantized_as_by_a_plain_reference(scale, code_range, seed, bits):
    config, weight = int_format(bits, scale, code_range), random_weight(seed)
    codes, stored = quantize_rows(weight, config)
    assert (codes.dtype, stored.dtype) == (torch.int8, torch.float16)
    for r, row in enumerate(weight.numpy()):
        expected, limit = plain_scale(row.astype(np.float64), scale, config.max_code)
        assert float(stored[r]) == pytest.approx(expected, rel=2.0**-10)
        plain = [plain_code(w, np.float32(limit), stored[r].item(), config) for w in row]
        assert np.abs(codes[r].numpy() - np.array(plain)).max() <= (config.scale.kind == "legacy-percentile-floored")


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), bits=st.integers(2, 8), scale=st.sampled_from(SCALES[:4]))
def test_inside_the_range_the_error_is_at_most_half_a_step(seed, bits, scale):
    config, weight = int_format(bits, scale), random_weight(seed)
    codes, stored = quantize_rows(weight, config)
    step = stored.to(torch.float32)[:, None]
    error = (weight - dequantize_rows(codes, stored, weight.shape)).abs()
    inside = weight.abs() <= step * config.max_code
    assert bool((error <= step * 0.5 * (1 + 1e-4))[inside].all())
    assert bool((error <= (step * 0.5).maximum(weight.abs() - step * config.max_code) * (1 + 1e-4)).all())


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10**6), bits=st.integers(2, 8))
def test_rows_with_maximum_one_tenth_keep_their_relative_precision(seed, bits):
    """B9: a floor of 1/c on the scale would quantize such rows with the step of rows that reach 1."""
    weight = random_weight(seed)
    weight = weight * (0.1 / weight.abs().amax(dim=1, keepdim=True))
    config = int_format(bits)
    error = (weight - dequantize_rows(*quantize_rows(weight, config), weight.shape)).abs() / 0.1
    assert float(error.max()) <= 1 / (2 * config.max_code) * (1 + 2.0**-10)


@pytest.mark.parametrize("scale", SCALES[4:], ids=lambda scale: scale["kind"])
def test_the_legacy_floor_acts_under_its_own_name_alone(scale):
    weight = random_weight(0)
    weight = weight * (0.1 / weight.abs().amax(dim=1, keepdim=True))
    floored = quantize_rows(weight, int_format(6, scale))[1]
    kind = scale["kind"].removeprefix("legacy-").removesuffix("-floored")
    free = quantize_rows(weight, int_format(6, {**scale, "kind": kind}))[1]
    assert torch.equal(floored, torch.full((5,), 1 / 31, dtype=torch.float16))
    assert bool((free < 1 / 31 / 5).all())


def test_the_legacy_floor_leaves_rows_beyond_one_alone():
    weight = 40.0 * torch.nn.functional.normalize(random_weight(0), dim=1)
    free, floored = (quantize_rows(weight, int_format(6, scale)) for scale in (SCALES[0], SCALES[4]))
    assert torch.equal(free[0], floored[0])
    assert torch.equal(free[1], floored[1])


def test_the_extra_code_below_appears_in_the_legacy_range_alone():
    weight = torch.tensor([[-1.0] + [0.01] * 9])
    scale = {"kind": "percentile", "p": 0.5}
    assert int(quantize_rows(weight, int_format(6, scale, "symmetric"))[0].min()) == -31
    assert int(quantize_rows(weight, int_format(6, scale, "legacy"))[0].min()) == -32


@pytest.mark.parametrize("scale", SCALES, ids=lambda scale: scale["kind"])
def test_rows_of_zeros_and_of_tiny_weights_stay_finite(scale):
    """B27: a scale that underflows fp16 is 0, and 0/0 is NaN."""
    weight = torch.stack([torch.zeros(6), torch.full((6,), 1e-12), torch.linspace(-1, 1, 6)])
    codes, stored = quantize_rows(weight, int_format(8, scale))
    back = dequantize_rows(codes, stored, weight.shape)
    assert float(stored.min()) >= FP16_TINY
    assert bool(torch.isfinite(back).all())
    assert torch.equal(back[:2], torch.zeros(2, 6))


@pytest.mark.parametrize("scale", SCALES[:4], ids=lambda scale: scale["kind"])
@pytest.mark.parametrize("shape", [(), (7,), (2, 3, 4), (3, 4)])
def test_all_but_matrices_have_one_scale(scale, shape):
    weight = torch.linspace(-1, 1, math.prod(shape)).reshape(shape)
    if not shape and scale["kind"] == "standard-deviations":
        with pytest.raises(ValueError, match="two values or more"):
            quantize_rows(weight, int_format(8, scale))
        return
    codes, stored = quantize_rows(weight, int_format(8, scale))
    assert stored.shape == ((3,) if shape == (3, 4) else (1,))
    assert codes.shape == ((3, 4) if shape == (3, 4) else (1, weight.numel()))
    assert dequantize_rows(codes, stored, shape).shape == weight.shape


@pytest.mark.parametrize("scale", SCALES, ids=lambda scale: scale["kind"])
@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (0,), (2, 0, 3)])
def test_tensors_without_elements_pass(scale, shape):
    codes, stored = quantize_rows(torch.empty(shape), int_format(8, scale))
    assert bool((stored > 0).all())
    assert dequantize_rows(codes, stored, shape).shape == shape


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), bits=st.integers(2, 8), per=st.sampled_from(["row", "matrix"]))
def test_a_clip_search_takes_the_percentile_with_the_least_squared_error(seed, bits, per):
    percentiles, weight = (0.5, 0.8, 0.95, 1.0), random_weight(seed)
    found = quantize_rows(weight, int_format(bits, {"kind": "clip-search", "percentiles": percentiles, "per": per}))
    tried = [quantize_rows(weight, int_format(bits, {"kind": "percentile", "p": p})) for p in percentiles]
    errors = [((dequantize_rows(*one, weight.shape).double() - weight) ** 2).sum(1).tolist() for one in tried]
    for r in range(5):
        costs = [error[r] for error in errors] if per == "row" else [sum(error) for error in errors]
        best = tried[costs.index(min(costs))]
        assert found[1][r] == best[1][r]
        assert torch.equal(found[0][r], best[0][r])


def test_few_bits_clip_rows_with_an_outlier_and_many_bits_do_not():
    weight = torch.cat((torch.linspace(-1, 1, 200), torch.tensor([4.0])))[None]
    scale = {"kind": "clip-search", "percentiles": [0.9, 1.0]}
    assert float(quantize_rows(weight, int_format(2, scale))[1][0]) < 1.1
    assert float(quantize_rows(weight, int_format(8, scale))[1][0]) * 127 == pytest.approx(4.0, rel=1e-3)


@pytest.mark.parametrize("scale", [*SCALES, {"kind": "clip-search"}], ids=lambda scale: scale["kind"])
@pytest.mark.parametrize("shape", [(), (7,), (2, 3, 4), (3, 4), (0, 4)])
def test_one_scale_for_the_whole_tensor_is_that_of_its_elements_as_one_row(scale, shape):
    weight = torch.linspace(-0.003, 0.001, math.prod(shape)).reshape(shape)
    per_row, whole = int_format(8, scale), int_format(8, scale).replace(scale_per="tensor")
    if not shape and scale["kind"] == "standard-deviations":
        return
    codes, stored = quantize_rows(weight, whole)
    assert (stored.dtype, tuple(stored.shape)) == (torch.float32, (1,))
    assert bool(stored > 0)
    assert tuple(codes.shape) == rows_of(shape)
    if weight.numel():
        one_row = quantize_rows(1e3 * weight.flatten(), per_row)  # where fp16 is precise
        if not scale["kind"].startswith("legacy"):
            assert float(stored) == pytest.approx(float(one_row[1]) / 1e3, rel=2.0**-10)
        error = (dequantize_rows(codes, stored, shape) - weight).abs()
        inside = weight.abs() <= stored * 127
        assert bool((error <= stored * 0.5001)[inside].all())


def test_a_whole_tensor_is_stored_by_its_maximum_in_float32():
    """As published for control tensors: scale max / 127, never rounded to fp16."""
    weight = torch.tensor([[1.0, 0.999], [0.3, -0.001]])
    codes, stored = quantize_rows(weight, int_format(8).replace(scale_per="tensor"))
    assert float(stored) == pytest.approx(1 / 127, rel=1e-7)
    assert codes.tolist() == [[127, 127], [38, 0]]


def test_a_percentile_of_more_than_16_million_values_is_exact():
    """torch.quantile refuses them."""
    num_values = 2**24 + 3
    weight = torch.arange(num_values, dtype=torch.float32).flip(0) * -1e-6
    _, stored = quantize_rows(weight, int_format(8, {"kind": "percentile", "p": 0.9999984}))
    assert float(stored[0]) == pytest.approx(0.9999984 * (num_values - 1) * 1e-6 / 127, rel=2.0**-10)


def test_quantizing_a_second_time_changes_nothing():
    """Fake quantization of shipped weights is their own value (B10)."""
    once = dequantize_rows(*quantize_rows(random_weight(3), int_format(6)), (5, 17))
    twice = dequantize_rows(*quantize_rows(once, int_format(6)), (5, 17))
    assert torch.equal(once, twice)


def test_weights_are_not_written_to_and_gradients_not_followed():
    weight = random_weight(1).requires_grad_()
    before = weight.detach().clone()
    codes, _ = quantize_rows(weight, int_format())
    assert not codes.requires_grad
    assert torch.equal(weight, before)


def test_the_first_family_that_takes_a_tensor_decides():
    formats = assign(
        grid(family("*.weight", min_elements=129, format=INT8), family("*mlp*", format={"kind": "fp32"}), family("*")),
        SHAPES,
    )
    assert {name: format.kind for name, format in formats.items()} == {
        "tok_emb.weight": "int",
        "blocks.0.mlp.fc.weight": "fp32",
        "blocks.1.mlp.fc.weight": "fp32",
        "skip": "fp16",
    }
    assert list(formats) == list(SHAPES)


def test_as_many_elements_as_the_minimum_are_enough():
    kinds = [
        assign(grid(family("*", min_elements=least, format=INT8), family("*")), {"a": (16, 8)})["a"].kind
        for least in (128, 129)
    ]
    assert kinds == ["int", "fp16"]


def test_a_glob_that_matches_no_tensor_is_an_error_with_the_nearest_names():
    with pytest.raises(
        ValueError, match=r"families\.1\.match\.0 = 'tok_embed\.\*' matches no tensor.*tok_emb\.weight"
    ) as error:
        assign(grid(family("*"), family("tok_embed.*")), SHAPES)
    assert "blocks.*.mlp.fc.weight" in str(error.value)


def test_a_tensor_of_no_family_is_an_error_with_the_families():
    with pytest.raises(ValueError, match=r"'skip' \(3 elements\) is in no family.*\*\.weight"):
        assign(grid(family("*.weight"), family("*", min_elements=100)), SHAPES)


def test_globs_tell_upper_case_from_lower():
    with pytest.raises(ValueError, match="matches no tensor"):
        assign(grid(family("*"), family("SKIP")), SHAPES)
