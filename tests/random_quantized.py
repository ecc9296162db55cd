"""Hypothesis strategies for quantized weights of any shape and bits, and comparison bit for bit."""

import numpy as np
import torch
from hypothesis import strategies as st

from mulligan.numerics.grid import rows_of
from mulligan.values.quantized import Factor, LowRank, Quantized, QuantizedTensor

NAMES = (
    "tok_emb.weight",
    "blocks.0.attn.c_q.weight",
    "blocks.10.attn.c_q.weight",
    "blocks.2.attn.c_q.weight",
    "skip",
    "é",
)
LEVELS = {"zlib": (0, 1, 9), "lzma": (0, 6), "zstd": (1, 9), "brotli": (0, 5, 11)}

shapes = st.lists(st.integers(0, 6), max_size=3).map(tuple)
seeds = st.integers(0, 2**32 - 1)


def int_tensor(shape: tuple[int, ...], bits: int, seed: int) -> QuantizedTensor:
    rng = np.random.default_rng(seed)
    rows, cols = rows_of(shape)
    codes = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (rows, cols)).astype(np.int8)
    scale = rng.uniform(1e-4, 10.0, rows).astype(np.float16)
    return QuantizedTensor(torch.from_numpy(codes), torch.from_numpy(scale), bits, shape)


def varied_tensor(shape: tuple[int, int], bits: int, seed: int) -> QuantizedTensor:
    """Return a matrix with some of: one scale for all, a rotation, a correction."""
    rng = np.random.default_rng(seed)
    plain = int_tensor(shape, bits, seed)
    one_scale, rotated, corrected = rng.random(3) < 0.5
    scale = torch.from_numpy(rng.uniform(1e-4, 10.0, 1).astype(np.float32)) if one_scale else plain.scale
    rank = int(rng.integers(1, 4))
    correction = LowRank(factor((shape[0], rank), rng), factor((rank, shape[1]), rng)) if corrected else None
    return QuantizedTensor(plain.codes, scale, bits, shape, int(rng.integers(2**32)) if rotated else None, correction)


def factor(shape: tuple[int, int], rng: np.random.Generator) -> Factor:
    bits, group_size = int(rng.integers(2, 9)), int(rng.integers(1, 9))
    codes = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), shape).astype(np.int8)
    scale = rng.uniform(1e-4, 10.0, -(-codes.size // group_size)).astype(np.float16)
    return Factor(torch.from_numpy(codes), torch.from_numpy(scale), bits, group_size)


def float_tensor(shape: tuple[int, ...], bits: int, seed: int) -> torch.Tensor:
    """Return any bit patterns at all, NaN and infinities among them."""
    raw = np.random.default_rng(seed).integers(0, 256, (*shape, bits // 8)).astype(np.uint8)
    return torch.from_numpy(raw.view({16: np.float16, 32: np.float32}[bits]).reshape(shape))


tensors = st.one_of(
    st.builds(int_tensor, shapes, st.integers(2, 8), seeds),
    st.builds(varied_tensor, st.tuples(st.integers(1, 6), st.integers(1, 6)), st.integers(2, 8), seeds),
    st.builds(float_tensor, shapes, st.sampled_from((16, 32)), seeds),
)
models = st.dictionaries(st.text(max_size=4), st.one_of(st.none(), st.integers(), st.text(max_size=4)), max_size=3)
quantized = st.builds(lambda t, m: Quantized(t, m, {}), st.dictionaries(st.sampled_from(NAMES), tensors, max_size=5), models)
codecs = st.sampled_from(sorted(LEVELS)).flatmap(lambda name: st.tuples(st.just(name), st.sampled_from(LEVELS[name])))


def same_bits(a: QuantizedTensor | torch.Tensor, b: QuantizedTensor | torch.Tensor) -> bool:
    if isinstance(a, QuantizedTensor) or isinstance(b, QuantizedTensor):
        assert isinstance(a, QuantizedTensor)
        assert isinstance(b, QuantizedTensor)
        kept = (a.bits, a.shape, a.rotation_seed) == (b.bits, b.shape, b.rotation_seed)
        return (
            kept
            and torch.equal(a.codes, b.codes)
            and same_bits(a.scale, b.scale)
            and same_correction(a.correction, b.correction)
        )
    return a.dtype == b.dtype and a.shape == b.shape and a.numpy().tobytes() == b.numpy().tobytes()


def same_correction(a: LowRank | None, b: LowRank | None) -> bool:
    if a is None or b is None:
        return a is b
    sides = [(a.left, b.left), (a.right, b.right)]
    return all(
        (x.bits, x.group_size) == (y.bits, y.group_size) and same_bits(x.codes, y.codes) and same_bits(x.scale, y.scale)
        for x, y in sides
    )


def assert_same(a: Quantized, b: Quantized) -> None:
    assert a.model == b.model
    assert a.tensors.keys() == b.tensors.keys()
    assert all(same_bits(a.tensors[name], b.tensors[name]) for name in a.tensors)
