"""LQER: which matrices are corrected, and the factors against a plain reading of the definition."""

import numpy as np
import pytest
import torch

from mulligan.numerics.config import IntFormat
from mulligan.numerics.grid import quantize_rows
from mulligan.quantize.config import LowRankCorrection
from mulligan.quantize.low_rank import correct_worst
from mulligan.values.quantized import QuantizedTensor

FORMAT = IntFormat.model_validate({"kind": "int", "bits": 2, "scale": {"kind": "row-max"}})


def config(**changes):
    return LowRankCorrection.model_validate({"kind": "low-rank", "top_k": 2, "rank": 3, **changes})


def stored(weight):
    return QuantizedTensor(*quantize_rows(weight, FORMAT), FORMAT.bits, tuple(weight.shape))


def weights():
    generator = torch.Generator().manual_seed(0)
    spreads = {"a": 1.0, "b": 3.0, "c": 2.0}
    made = {name: spread * torch.randn(10, 70, generator=generator) for name, spread in spreads.items()}
    return {**made, "vector": 100 * torch.randn(70, generator=generator)}


def corrected(**changes):
    given = weights()
    tensors = {name: stored(weight) for name, weight in given.items()}
    return given, tensors, correct_worst(config(**changes), given, tensors)


@pytest.mark.parametrize("factors", ["asymmetric", "symmetric"])
def test_the_worst_matrices_are_corrected_and_lose_error(factors):
    given, before, after = corrected(factors=factors)
    assert [name for name in after if after[name].correction is not None] == ["b", "c"]
    for name in ("b", "c"):
        left = [float((tensors[name].dequantize() - given[name]).norm()) for tensors in (before, after)]
        assert left[1] < left[0]
        assert torch.equal(after[name].codes, before[name].codes)


def plain_factor(values, levels, least, most, group_size):
    """Return what one number after another of a factor is read as, and its codes."""
    flat, read, codes = values.flatten(), [], []
    for begin in range(0, len(flat), group_size):
        group = flat[begin : begin + group_size]
        scale = float(np.float16(max(abs(group)) / levels))
        codes += [int(min(max(round(value / scale), least), most)) for value in group]
        read += [code * scale for code in codes[begin:]]
    return np.array(read).reshape(values.shape), np.array(codes).reshape(values.shape)


@pytest.mark.parametrize(
    ("factors", "left", "right"),
    [("asymmetric", (1.5, -2, 1, 30), (7.5, -8, 7, 64)), ("symmetric", (7.0, -7, 7, 3), (7.0, -7, 7, 70))],
)
def test_factors_are_the_singular_vectors_on_their_bits(factors, left, right):
    given, before, after = corrected(factors=factors, top_k=1)
    error = given["b"].double().numpy() - before["b"].dequantize().double().numpy()
    u, s, v = np.linalg.svd(error, full_matrices=False)
    a, a_codes = plain_factor(u[:, :3] * s[:3], *left)
    b, b_codes = plain_factor(v[:3], *right)
    correction = after["b"].correction
    np.testing.assert_array_equal(correction.left.codes, a_codes)
    np.testing.assert_array_equal(correction.right.codes, b_codes)
    assert (correction.left.bits, correction.right.bits) == (2 if factors == "asymmetric" else 4, 4)
    expected = before["b"].dequantize().double().numpy() + a @ b
    np.testing.assert_allclose(after["b"].dequantize(), expected, rtol=0, atol=1e-5)


def test_fewer_matrices_and_less_rank_than_asked_for_are_enough():
    generator = torch.Generator().manual_seed(0)
    given = {"thin": torch.randn(2, 9, generator=generator)}
    after = correct_worst(config(rank=8, top_k=5), given, {"thin": stored(given["thin"])})
    assert after["thin"].correction.left.codes.shape == (2, 2)


def test_an_exact_matrix_is_corrected_by_nothing():
    weight = torch.tensor([[1.0, -1.0, 0.0], [1.0, 1.0, 1.0]])
    after = correct_worst(config(), {"w": weight}, {"w": stored(weight)})["w"]
    assert torch.equal(after.dequantize(), weight)
