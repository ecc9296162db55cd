"""Both prunings, against one weight after another."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mulligan.numerics.config import GridConfig
from mulligan.quantize import stage
from mulligan.quantize.config import MagnitudePruning, PlusMinusOnePruning, RoundToNearest
from mulligan.quantize.magnitude_pruning import prune_by_magnitude
from mulligan.quantize.plus_minus_one_pruning import prune_plus_minus_ones
from mulligan.values.quantized import QuantizedTensor
from mulligan.values.weights import Weights


def magnitude(fraction, min_elements=10):
    return MagnitudePruning(kind="magnitude", fraction=fraction, min_elements=min_elements)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), fraction=st.floats(0.01, 0.99))
def test_what_lies_below_the_quantile_is_zero_and_nothing_else(seed, fraction):
    weight = torch.randn(6, 7, generator=torch.Generator().manual_seed(seed))
    found = prune_by_magnitude(magnitude(fraction), {"w": weight})["w"]
    ordered = sorted(abs(float(w)) for w in weight.flatten())
    at = fraction * 41
    threshold = ordered[int(at)] + (ordered[min(int(at) + 1, 41)] - ordered[int(at)]) * (at - int(at))
    plain = [0.0 if abs(float(w)) < threshold else float(w) for w in weight.flatten()]
    assert found.flatten().tolist() == plain
    assert plain.count(0.0) == np.ceil(at)


def test_only_large_matrices_are_pruned():
    tensors = {"large": torch.randn(5, 4), "small": torch.randn(3, 3), "vector": torch.randn(50)}
    pruned = prune_by_magnitude(magnitude(0.5), tensors)
    assert [name for name in tensors if torch.equal(pruned[name], tensors[name])] == ["small", "vector"]


def test_pruned_weights_ship_as_zeros_in_every_format_and_count_as_error():
    families = [
        {"match": ["a"], "format": {"kind": "int", "bits": 8, "scale": {"kind": "row-max"}}},
        {"match": ["*"], "format": {"kind": "fp16"}},
    ]
    generator = torch.Generator().manual_seed(0)
    given = Weights({name: torch.randn(4, 10, generator=generator) for name in "ab"}, {}, {})
    config = RoundToNearest(kind="round-to-nearest", prune=magnitude(0.5))
    made = stage.run(config, GridConfig.model_validate({"families": families}), given)
    for name, shipped in made.dequantize().items():
        assert int((shipped == 0).sum()) == 20
        plain = float((shipped - given.tensors[name]).norm() / given.tensors[name].norm())
        assert made.record["relative_rms_error"][name] == pytest.approx(plain, rel=1e-4)


def tensor(seed, rows=4, cols=9, scale_type=torch.float16):
    generator = torch.Generator().manual_seed(seed)
    codes = torch.randint(-2, 3, (rows, cols), generator=generator).to(torch.int8)
    scale = torch.randint(1, 6, (rows if scale_type == torch.float16 else 1,), generator=generator).to(scale_type)
    return QuantizedTensor(codes, scale, 4, (rows, cols))


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), fraction=st.floats(0.01, 1.0))
def test_codes_of_one_go_in_the_order_of_their_scale(seed, fraction):
    tensors = {"a": tensor(seed), "b": tensor(seed + 1, 3, 5), "c": torch.ones(4, dtype=torch.float16), "e": tensor(seed + 2)}
    config = PlusMinusOnePruning(kind="plus-minus-one", fraction=fraction, match=("a", "[bc]"))
    found = prune_plus_minus_ones(config, tensors)
    plain = {name: tensors[name].codes.clone() for name in "ab"}
    candidates = [
        (float(tensors[name].scale[r]), i, r, c, name)
        for i, name in enumerate("ab")
        for r, row in enumerate(plain[name])
        for c, code in enumerate(row)
        if abs(int(code)) == 1
    ]
    for _, _, r, c, name in sorted(candidates)[: round(fraction * len(candidates))]:
        plain[name][r, c] = 0
    assert all(torch.equal(found[name].codes, plain[name]) for name in "ab")
    assert found["c"] is tensors["c"]
    assert found["e"] is tensors["e"]


def test_what_has_one_scale_for_the_whole_or_is_no_matrix_is_left():
    vector = QuantizedTensor(torch.ones(1, 5, dtype=torch.int8), torch.ones(1, dtype=torch.float16), 4, (5,))
    others = {"whole": tensor(0, scale_type=torch.float32), "vector": vector}
    config = PlusMinusOnePruning(kind="plus-minus-one", fraction=1.0, match=("*",))
    found = prune_plus_minus_ones(config, {**others, "matrix": tensor(1)})
    assert found["whole"] is others["whole"]
    assert found["vector"] is vector
    assert not (found["matrix"].codes.abs() == 1).any()
