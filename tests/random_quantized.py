"""Hypothesis strategies for quantized weights of any shape and bits, and comparison bit for bit."""

import numpy as np
import torch
from hypothesis import strategies as st

from mulligan.numerics.grid import rows_of
from mulligan.values.quantized import Quantized, QuantizedTensor

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


def float_tensor(shape: tuple[int, ...], bits: int, seed: int) -> torch.Tensor:
    """Return any bit patterns at all, NaN and infinities among them."""
    raw = np.random.default_rng(seed).integers(0, 256, (*shape, bits // 8)).astype(np.uint8)
    return torch.from_numpy(raw.view({16: np.float16, 32: np.float32}[bits]).reshape(shape))


tensors = st.one_of(
    st.builds(int_tensor, shapes, st.integers(2, 8), seeds),
    st.builds(float_tensor, shapes, st.sampled_from((16, 32)), seeds),
)
models = st.dictionaries(st.text(max_size=4), st.one_of(st.none(), st.integers(), st.text(max_size=4)), max_size=3)
quantized = st.builds(lambda t, m: Quantized(t, m, {}), st.dictionaries(st.sampled_from(NAMES), tensors, max_size=5), models)
codecs = st.sampled_from(sorted(LEVELS)).flatmap(lambda name: st.tuples(st.just(name), st.sampled_from(LEVELS[name])))


def same_bits(a: QuantizedTensor | torch.Tensor, b: QuantizedTensor | torch.Tensor) -> bool:
    if isinstance(a, QuantizedTensor) or isinstance(b, QuantizedTensor):
        assert isinstance(a, QuantizedTensor)
        assert isinstance(b, QuantizedTensor)
        kept = (a.bits, a.shape) == (b.bits, b.shape)
        return kept and torch.equal(a.codes, b.codes) and same_bits(a.scale, b.scale)
    return a.dtype == b.dtype and a.shape == b.shape and a.numpy().tobytes() == b.numpy().tobytes()


def assert_same(a: Quantized, b: Quantized) -> None:
    assert a.model == b.model
    assert a.tensors.keys() == b.tensors.keys()
    assert all(same_bits(a.tensors[name], b.tensors[name]) for name in a.tensors)
